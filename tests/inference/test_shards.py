"""Shards: every row in one of them and no more, whatever the files; those of one output agree, or are refused."""

import csv
import json
import subprocess
import sys
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from enct5.data.reading import read_table
from enct5.errors import EncT5Error
from enct5.inference import prediction_file
from enct5.inference.prediction_file import Asked, check_output, predict_table, read_rows
from enct5.inference.shards import Shard
from helpers.echo import Echo
from helpers.paths import ROOT
from helpers.tables import write


def predict(source: Path | str, out: Path, shard: Shard, resume: bool = False, **run: Any) -> None:
    check_output(out, str(source), shard)
    rows = read_rows(Echo(), str(source), None, shard=shard)
    predict_table(Echo(), str(source), None, out, Asked(run=run), resume, rows)


def shards_of(count: int) -> list[Shard]:
    return [Shard(index, count) for index in range(count)]


def labels(part: Path) -> list[str]:
    """Those of a file of predictions, which has no rows where there are more shards than rows."""
    if part.suffix == ".parquet":
        return pd.read_parquet(part)["label"].tolist()
    if part.suffix == ".jsonl":
        return [json.loads(line)["label"] for line in part.read_text().splitlines()]
    header, *rows = csv.reader(part.open(newline=""), delimiter="\t" if part.suffix == ".tsv" else ",")
    return [row[header.index("label")] for row in rows]


@pytest.mark.parametrize("total", [0, 1, 2, 7, 100, 16384, 10**9 + 7])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_shards_follow_each_other_and_are_of_one_size(total: int, count: int) -> None:
    found = [shard.rows(total) for shard in shards_of(count)]
    assert (found[0].start, found[-1].stop) == (0, total)
    assert all(one.stop == other.start for one, other in pairwise(found))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 11, 14])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_all_shards_of_several_files_are_the_one_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, count: int
) -> None:
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 3)
    (data := tmp_path / "data").mkdir()
    for number, rows in enumerate((5, 1, 5)):
        write(data / f"{number}.csv", {"text": [f"text {number}.{row}" for row in range(rows)]})
    for source in (data, f"{data}/*.csv", f"{data}/0.csv,{data}/1.csv,{data}/2.csv"):
        predict_table(Echo(), str(source), None, whole := tmp_path / f"whole{ending}")
        out = tmp_path / f"of {str(source)[-5:].replace('/', '')}{ending}"
        for shard in reversed(shards_of(count)):
            predict(source, out, shard)
        parts = [out.with_name(f"{out.stem}-{index:05}-of-{count:05}{ending}") for index in range(count)]
        read = [labels(part) for part in parts]
        assert list(chain(*read)) == read_table(str(whole))["label"][:]
        assert max(map(len, read)) - min(map(len, read)) <= 1


def test_a_folder_gets_parquet_files_that_are_read_as_one_table(tmp_path: Path) -> None:
    given = write(tmp_path / "in.csv", {"text": [f"text {row}" for row in range(10)]})
    for shard in shards_of(3):
        predict(given, tmp_path / "new" / "out", shard)
    names = [f"part-{index:05}-of-00003.parquet" for index in range(3)]
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir() if path.name[0] != ".") == names
    table = read_table(str(tmp_path / "new" / "out"))
    assert table["text"][:] == [f"text {row}" for row in range(10)]
    assert table["label"][:] == [f"<text {row}>" for row in range(10)]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("3/2", r"--shard is `3/2`, but shards count from 0: the last of 2 is `1/2`"),
        ("4/4", r"--shard is `4/4`, but shards count from 0: the last of 4 is `3/4`"),
        ("0/0", r"--shard is `0/0`, but shards count from 0: there is at least one"),
        ("/4", r"--shard is `/4`; give which shard, counted from 0, and of how many, as `0/4`"),
        ("1", r"--shard is `1`; give"),
        ("-1/4", r"--shard is `-1/4`; give"),
        ("1/4/5", r"--shard is `1/4/5`; give"),
        ("1.0/4", r"--shard is `1.0/4`; give"),
        ("", r"--shard is ``; give"),
    ],
)
def test_what_is_no_shard_is_refused(written: str, message: str) -> None:
    with pytest.raises(EncT5Error, match=message) as refused:
        Shard.read(written)
    assert "\n" not in str(refused.value)


def test_shards_are_counted_from_0() -> None:
    assert [Shard.read(written) for written in ("0/1", "0/4", "3/4", "007/1000")] == [
        Shard(0, 1),
        Shard(0, 4),
        Shard(3, 4),
        Shard(7, 1000),
    ]


def test_shards_of_other_data_models_options_or_numbers_are_refused(tmp_path: Path) -> None:
    given, out = write(tmp_path / "in.csv", {"text": ["a", "b", "c", "d"]}), tmp_path / "out"
    predict(given, out, Shard(0, 2), model="m")
    with pytest.raises(EncT5Error, match=r"the call for part-00000-of-00002\.parquet had another model \(`m`, not `n`"):
        predict(given, out, Shard(1, 2), model="n")
    with pytest.raises(EncT5Error, match=r"holds shards of 2 \(part-00000-of-00002\.parquet\), not of 3; choose"):
        predict(given, out, Shard(1, 3), model="m")
    write(given, {"text": ["a", "b", "c", "d", "e"]})
    with pytest.raises(EncT5Error, match="had another content of the data"):
        predict(given, out, Shard(1, 2), model="m")
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == []  # nothing of what was refused
    write(given, {"text": ["a", "b", "c", "d"]})
    predict(given, out, Shard(1, 2), model="m")
    assert read_table(str(out))["text"][:] == ["a", "b", "c", "d"]


def test_shards_that_are_not_finished_are_agreed_with_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, out = write(tmp_path / "in.csv", {"text": ["a", "b"]}), tmp_path / "out.csv"

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Echo, "stream", interrupted)
        with pytest.raises(EncT5Error, match="interrupted"):
            predict(given, out, Shard(0, 2), model="m")
    with pytest.raises(EncT5Error, match=r"the call for out-00000-of-00002\.csv had another model"):
        predict(given, out, Shard(1, 2), model="n")
    predict(given, out, Shard(1, 2), model="m")
    with pytest.raises(EncT5Error, match="add --resume, or delete it"):
        predict(given, out, Shard(0, 2), model="m")
    predict(given, out, Shard(0, 2), resume=True, model="m")
    assert read_table(str(tmp_path / "out-*.csv"))["label"][:] == ["<a>", "<b>"]


def test_to_resume_is_to_go_on_to_begin_or_to_leave_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 2)
    given, out = write(tmp_path / "in.csv", {"text": [f"text {row}" for row in range(7)]}), tmp_path / "out.csv"
    predict(given, out, Shard(0, 2), resume=True, model="m")  # nothing to resume
    own, seen = tmp_path / "out-00001-of-00002.csv", list[str]()
    plain = Echo.stream

    def stopping(self: Echo, texts: Any, abstain_below: float | None = None) -> Any:
        for text, result in zip(texts, plain(self, texts, abstain_below), strict=True):
            if text == "text 4" and not seen:
                raise KeyboardInterrupt
            seen.append(text) if seen or text == "text 4" else None
            yield result

    monkeypatch.setattr(Echo, "stream", stopping)
    with pytest.raises(EncT5Error, match="interrupted"):
        predict(given, out, Shard(1, 2), model="m")
    seen.append("again")
    predict(given, out, Shard(1, 2), resume=True, model="m")
    assert seen == ["again", "text 4", "text 5", "text 6"]  # row 3 is a part of its own, and was done
    assert read_table(str(own))["label"][:] == [f"<text {row}>" for row in range(3, 7)]
    capsys.readouterr()
    predict(given, out, Shard(1, 2), resume=True, model="m")
    assert capsys.readouterr().err == f"{own} is there already\n"
    assert len(seen) == 4
    own.unlink()
    predict(given, out, Shard(1, 2), resume=True, model="m")
    assert len(seen) == 8
    with pytest.raises(EncT5Error, match="another model"):  # what is done was not asked for so
        predict(given, out, Shard(1, 2), resume=True, model="n")
    for path in (own, tmp_path / "out-00000-of-00002.csv"):  # as the message says
        path.unlink()
    predict(given, out, Shard(1, 2), model="n")


def test_where_shards_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    write(tmp_path / "data.csv", {"text": ["a"]})
    (tmp_path / "file").write_text("x")
    shard = Shard(0, 2)
    for out, source, message in (
        ("out.xls", "data.csv", r"name a folder, or a file that ends in one of \.csv"),
        ("no/out.csv", "data.csv", "the folder .*no does not exist"),
        ("file", "data.csv", "it is a file; name a folder"),
        (".", ".", "is read, and shards written there would be read as well"),
        ("out.csv", ".", "is read, and shards written there would be read as well"),
    ):
        with pytest.raises(EncT5Error, match=message):
            check_output(tmp_path / out, str(tmp_path / source), shard)


def test_columns_of_json_lines_are_those_of_all_shards(tmp_path: Path) -> None:
    given = tmp_path / "in.jsonl"
    given.write_text('{"text": "a", "note": 1}\n{"text": "b", "mark": "x"}\n')
    for shard in shards_of(2):
        predict(given, tmp_path / "out.jsonl", shard)
    rows = [json.loads((tmp_path / f"out-0000{index}-of-00002.jsonl").read_text()) for index in range(2)]
    assert [list(row) for row in rows] == [["text", "note", "mark", "label", "score"]] * 2
    assert [(row["note"], row["mark"]) for row in rows] == [(1, None), (None, "x")]


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from enct5 import cli
from enct5.inference import prediction_file
from enct5.inference.shards import Shard
from helpers.echo import Echo

class Killed(Echo):
    def stream(self, texts, abstain_below=None):
        for text, result in zip(texts, super().stream(texts, abstain_below)):
            if text == "text 8":
                os.kill(os.getpid(), signal.SIGKILL)
            yield result

prediction_file.CHUNK_ROWS = 3
shard, echo = Shard(1, 2), Killed()
rows = prediction_file.read_rows(echo, sys.argv[2], None, shard=shard)
prediction_file.predict_table(echo, sys.argv[2], None, Path(sys.argv[3]), None, True, rows)
"""


@pytest.mark.slow
def test_a_killed_shard_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, out = write(tmp_path / "in.csv", {"text": [f"text {row}" for row in range(11)]}), tmp_path / "out.jsonl"
    script = [sys.executable, "-c", KILLED, str(ROOT / "tests"), str(given), str(out)]
    assert subprocess.run(script, capture_output=True, check=False).returncode == -9
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 3)
    for shard in shards_of(2):
        predict(given, out, shard, resume=True)
    assert read_table(str(tmp_path / "out-*.jsonl"))["label"][:] == [f"<text {row}>" for row in range(11)]
