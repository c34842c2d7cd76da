"""Prediction files: the input's rows and columns as they were, the predictions beside them, whole or absent."""

import datetime
import decimal
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from enct5.data.reading import read_table
from enct5.errors import EncT5Error
from enct5.inference import prediction_file
from enct5.inference.prediction_file import WRITERS, check_output, predict_table
from helpers.echo import Echo
from helpers.paths import ROOT
from helpers.tables import TEXTS, write


@pytest.mark.parametrize("kind", list(WRITERS))
@pytest.mark.parametrize("source", list(WRITERS))
def test_rows_and_columns_come_out_as_they_went_in(tmp_path: Path, source: str, kind: str) -> None:
    columns = {"id": [f"{row:03d}" for row in range(len(TEXTS))], "text": TEXTS, "a note": TEXTS[::-1]}
    given, out = write(tmp_path / f"in{source}", columns), tmp_path / f"out{kind}"
    predict_table(Echo(), str(given), None, out)
    table = read_table(str(out))
    assert table.column_names == ["id", "text", "a note", "label", "score"]
    for name, values in columns.items():
        assert table[name][:] == values
    assert table["label"][:] == [f"<{text}>" for text in TEXTS]
    assert [float(score) for score in table["score"][:]] == [len(text) / 7 for text in TEXTS]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([given.name, out.name])


def test_columns_of_parquet_keep_types_and_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a part has none of them."""
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 2)
    day, cent = datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.timezone.utc), decimal.Decimal("1.50")
    columns = {
        "text": pa.array(["a", "b", "c"]),
        "time": pa.array([1577840523456789123, None, None], pa.timestamp("ns")),
        "zone": pa.array([None, None, day], pa.timestamp("ms", tz="UTC")),
        "hash": pa.array([2**64 - 1, None, 1], pa.uint64()),
        "small": pa.array([None, None, 7], pa.int8()),
        "share": pa.array([0.1, None, 1], pa.float32()),
        "price": pa.array([cent, None, cent], pa.decimal128(10, 2)),
        "tags": pa.array([[], None, ["x"]], pa.list_(pa.string())),
        "of": pa.array([{"a": 1}, None, {"a": None}], pa.struct([("a", pa.int16())])),
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    predict_table(Echo(), str(tmp_path / "in.parquet"), None, tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").drop_columns(["label", "score"]).equals(pa.table(columns))


def test_json_values_keep_their_types_and_digits(tmp_path: Path) -> None:
    columns = {
        "text": ["a", "b"],
        "number": [0.1234567890123456789, 1e-17],
        "count": [2**53 + 1, None],
        "flag": [True, False],
        "tags": [["x", "é"], []],
        "path": ["a/b", "c"],
    }
    given = write(tmp_path / "in.jsonl", columns)
    predict_table(Echo(), str(given), None, tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {name: [row[name] for row in rows] for name in columns} == columns
    assert "a/b" in (tmp_path / "out.jsonl").read_text(encoding="utf-8")


def test_nested_and_mixed_json_values_are_kept(tmp_path: Path) -> None:
    given = tmp_path / "in.jsonl"
    rows = [{"text": "a", "meta": {"k": [1, None]}, "any": "x"}, {"text": "b", "meta": {"k": []}, "any": 3}]
    given.write_text("".join(json.dumps(row) + "\n" for row in rows))
    predict_table(Echo(), str(given), None, tmp_path / "out.jsonl")
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [{name: row[name] for name in ("text", "meta", "any")} for row in written] == rows
    with pytest.raises(EncT5Error, match=r"cannot write .*out\.parquet as Parquet: .*; write \.jsonl instead"):
        predict_table(Echo(), str(given), None, tmp_path / "out.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_dates_become_text_in_json_and_stay_dates_in_parquet(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 1, 31, 12, 30)
    Dataset.from_dict({"text": ["a"], "day": [day]}).to_parquet(str(tmp_path / "in.parquet"))
    predict_table(Echo(), str(tmp_path / "in.parquet"), None, tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text())["day"] == "2024-01-31 12:30:00"
    predict_table(Echo(), str(tmp_path / "in.parquet"), None, tmp_path / "out.parquet")
    assert read_table(str(tmp_path / "out.parquet"))["day"][:] == [day]


def test_missing_numbers_are_null_in_json(tmp_path: Path) -> None:
    Dataset.from_dict({"text": ["a", "b"], "x": [float("nan"), 1.5]}).to_parquet(str(tmp_path / "in.parquet"))
    predict_table(Echo(), str(tmp_path / "in.parquet"), None, tmp_path / "out.jsonl")
    assert [json.loads(line)["x"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [None, 1.5]


@pytest.mark.parametrize("kind", list(WRITERS))
def test_several_labels_are_lists_or_json(tmp_path: Path, kind: str) -> None:
    given = write(tmp_path / "in.csv", {"text": ["ä, 1", "b"]})
    predict_table(Echo("multi"), str(given), None, tmp_path / f"out{kind}")
    table = read_table(str(tmp_path / f"out{kind}"))
    assert table.column_names == ["text", "labels", "scores"]
    as_text = kind in (".csv", ".tsv")
    read = json.loads if as_text else lambda value: value
    assert [read(value) for value in table["labels"][:]] == [["ä, 1", 'b "quoted"'], ["b", 'b "quoted"']]
    assert [read(value) for value in table["scores"][:]] == [[0.9, 0.1 + 0.2]] * 2
    if as_text:
        assert "ä" in table["labels"][0]


def test_regression_writes_the_value(tmp_path: Path) -> None:
    given = write(tmp_path / "in.csv", {"text": ["a", "bcde"]})
    predict_table(Echo("regression"), str(given), None, tmp_path / "out.csv")
    assert [float(value) for value in read_table(str(tmp_path / "out.csv"))["value"][:]] == [1 / 3, 4 / 3]


def test_a_column_of_the_input_is_never_overwritten(tmp_path: Path) -> None:
    given = write(tmp_path / "in.csv", {"text": ["a"], "label": ["right"]})
    predict_table(Echo(), str(given), None, tmp_path / "first.csv")
    first = read_table(str(tmp_path / "first.csv"))
    assert first.column_names == ["text", "label", "predicted_label", "score"]
    assert first[0] == {"text": "a", "label": "right", "predicted_label": "<a>", "score": str(1 / 7)}
    predict_table(Echo(), str(tmp_path / "first.csv"), ("label",), tmp_path / "second.csv")
    second = read_table(str(tmp_path / "second.csv"))
    assert second[0] == {
        **first[0],
        "predicted_predicted_label": "<right>",
        "predicted_score": str(5 / 7),
    }


def test_pairs_come_from_two_columns(tmp_path: Path) -> None:
    given = write(tmp_path / "in.csv", {"b": ["x", "y"], "a": ["1", "2"]})
    predict_table(Echo(text=("a", "b")), str(given), None, tmp_path / "out.csv")
    assert read_table(str(tmp_path / "out.csv"))["label"][:] == ["<1 + x>", "<2 + y>"]
    predict_table(Echo(text=("a", "b")), str(given), ("b", "a"), tmp_path / "turned.csv")
    assert read_table(str(tmp_path / "turned.csv"))["label"][:] == ["<x + 1>", "<y + 2>"]


def test_a_failure_leaves_the_former_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, out = write(tmp_path / "in.csv", {"text": ["a", "b"]}), tmp_path / "out.csv"
    out.write_text("former")

    def broken_stream(self: Echo, texts: Iterable[Any], abstain_below: float | None) -> Iterator[dict[str, Any]]:
        yield {"label": "x", "score": 1.0}
        raise RuntimeError("stop")

    def broken_writer(frame: pd.DataFrame, file: Path, header: bool) -> None:
        file.write_text("half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Echo, "stream", broken_stream)
        with pytest.raises(RuntimeError, match="stop"):
            predict_table(Echo(), str(given), None, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]
    with monkeypatch.context() as patched:
        patched.setitem(WRITERS, ".csv", WRITERS[".csv"]._replace(write=broken_writer))
        with pytest.raises(EncT5Error, match=r"cannot write .*out\.csv: No space left on device; .* with --resume"):
            predict_table(Echo(), str(given), None, out)
    assert out.read_text() == "former"
    predict_table(Echo(), str(given), None, out, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]
    assert read_table(str(out))["label"][:] == ["<a>", "<b>"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.txt", r"must end in one of \.csv, \.tsv, \.jsonl, \.parquet"),
        ("out", r"must end in one of \.csv"),
        ("missing/out.csv", "the folder .*missing does not exist"),
        ("folder.csv", "is a folder; name a file"),
    ],
)
def test_an_output_that_could_not_be_written_is_refused_beforehand(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(EncT5Error, match=message):
        check_output(tmp_path / name)


def test_an_output_may_end_in_capital_letters(tmp_path: Path) -> None:
    check_output(tmp_path / "OUT.CSV")
    check_output(None)
    given = write(tmp_path / "in.csv", {"text": ["a"]})
    predict_table(Echo(), str(given), None, tmp_path / "OUT.TSV")
    assert read_table(str(tmp_path / "OUT.TSV"))["label"][:] == ["<a>"]


def test_missing_texts_and_columns_are_refused(tmp_path: Path) -> None:
    given = write(tmp_path / "in.jsonl", {"text": ["a", None], "txet": ["a", "b"]})
    with pytest.raises(EncT5Error, match="lacks the text in 1 of 2 rows"):
        predict_table(Echo(), str(given), None, None)
    with pytest.raises(EncT5Error, match=r"no column `texts`.*did you mean `text`"):
        predict_table(Echo(), str(given), ("texts",), None)


@pytest.mark.parametrize("kind", list(WRITERS))
@pytest.mark.parametrize("source", list(WRITERS))
def test_rows_in_many_chunks_make_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, kind: str
) -> None:
    given = write(tmp_path / f"in{source}", {"id": [f"{row:03d}" for row in range(len(TEXTS))], "text": TEXTS})
    for size, name in ((100, "whole"), (3, "chunks"), (7, "halves")):
        monkeypatch.setattr(prediction_file, "CHUNK_ROWS", size)
        predict_table(Echo(), str(given), None, tmp_path / f"{name}{kind}")
    whole, *others = (read_table(str(tmp_path / f"{name}{kind}")).to_dict() for name in ("whole", "chunks", "halves"))
    assert others == [whole, whole]
    assert whole["text"] == TEXTS


def test_columns_that_only_later_rows_have_are_written_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "in.jsonl"
    given.write_text('{"text": "a"}\n{"text": "b", "n": null}\n{"text": "c", "n": 1}\n{"text": "d", "n": 0.5}\n')
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 1)
    for kind in WRITERS:
        predict_table(Echo(), str(given), None, tmp_path / f"out{kind}")
        table = read_table(str(tmp_path / f"out{kind}"))
        assert table.column_names == ["text", "n", "label", "score"]
        assert table["label"][:] == ["<a>", "<b>", "<c>", "<d>"]
    assert read_table(str(tmp_path / "out.parquet"))["n"][:] == [None, None, 1, 0.5]


def test_rows_are_numbered_in_the_whole_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 2)
    given = write(tmp_path / "in.jsonl", {"text": ["a", "b", "c", None, "d"]})
    with pytest.raises(EncT5Error, match=r"lacks the text in 1 of rows 3 to 4 \(first: row 4\)"):
        predict_table(Echo(), str(given), None, tmp_path / "out.csv")
    given.write_text('{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n{"text": 4}\n')
    with pytest.raises(EncT5Error, match=r"column `text` of .*, row 4"):
        predict_table(Echo(), str(given), None, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]  # told before any prediction


MEMORY = """
import re, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from enct5 import cli
from enct5.inference import prediction_file
from helpers.echo import Echo

prediction_file.CHUNK_ROWS = 1000
for given in sys.argv[2:]:
    prediction_file.predict_table(Echo(), given, None, Path(given + ".csv"))
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from Linux's /proc")
@pytest.mark.parametrize("kind", [".jsonl", ".parquet"])
def test_memory_does_not_grow_with_the_table(tmp_path: Path, kind: str) -> None:
    files = []
    for rows in (2_000, 40_000):  # 4 and 80 MB of text
        files.append(str(write(tmp_path / f"in{rows}{kind}", {"text": [f"{row:2000d}" for row in range(rows)]})))
    script = [sys.executable, "-c", MEMORY, str(ROOT / "tests"), *files]
    peaks = [int(peak) / 1024 for peak in subprocess.check_output(script, stderr=subprocess.DEVNULL).split()]
    assert peaks[1] - peaks[0] < 60, peaks  # MiB


@pytest.mark.parametrize("name", [None, "out.csv"])
def test_what_the_model_was_not_given_is_told_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str | None
) -> None:
    predictor = Echo()
    list(predictor.stream(["日本語"]))  # another call's
    given = str(write(tmp_path / "in.csv", {"text": ["für drei", "ein", "a long text", "0123456789" * 10]}))
    out = None if name is None else tmp_path / name
    predict_table(predictor, given, None, out)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "note: 0.8% of the characters of 4 texts are unknown to the model's tokenizer, most often ü",
        "note: 1 text is longer than 64 tokens and was cut, which loses 9.0% of all tokens",
    ]
    assert not predictor.warns_of_unknown
    given = str(write(tmp_path / "in.csv", {"text": ["für", "日本"]}))
    predict_table(predictor, given, None, out)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "predictions written" not in line]
    assert line.startswith("warning: 60.0% of the characters of 2 texts are unknown to the model's tokenizer, most")


def test_nothing_is_told_where_all_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict_table(Echo(), str(write(tmp_path / "in.csv", {"text": ["one", "two"]})), None, None)
    assert capsys.readouterr().err == ""


def test_the_input_itself_is_no_output(tmp_path):
    table = tmp_path / "texts.csv"
    table.write_text("text\na\n", encoding="utf-8")
    with pytest.raises(EncT5Error, match="is the input itself; choose another output"):
        check_output(table, str(table))
