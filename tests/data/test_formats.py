"""Every format gives the same table, in one piece and in parts; what names no columns has `text` and `label`."""

import logging
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from datasets import Dataset, DatasetDict

from enct5.data.digests import digest_of_data
from enct5.data.reading import read_chunks, read_table
from enct5.errors import EncT5Error

ROWS = {"text": [f"late again {row}" for row in range(9)], "label": ["bad", "good", "odd"] * 3}


def same(source: Any) -> None:
    """In one piece, in parts of four rows, and twice with one digest."""
    assert read_table(str(source)).to_dict() == ROWS
    parts = [chunk.to_dict() for chunk in read_chunks(str(source), 4)]
    assert [len(part["text"]) for part in parts] == [4, 4, 1]
    assert [text for part in parts for text in part["text"]] == ROWS["text"]
    assert len(str(digest_of_data(str(source)))) == 64


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_feather(tmp_path: Path, compression: Any) -> None:
    """Also under another name, and without pandas' index."""
    frame = pd.DataFrame(ROWS)
    for name in ("a.feather", "a.arrow", "a.csv", "a"):
        frame.to_feather(tmp_path / name, compression=compression)
        same(tmp_path / name)


def test_arrow_streams(tmp_path: Path) -> None:
    Dataset.from_dict(ROWS).save_to_disk(str(tmp_path / "saved"))
    (file,) = (tmp_path / "saved").glob("*.arrow")
    same(file)
    (tmp_path / "cut.arrow").write_bytes(file.read_bytes()[:300])
    with pytest.raises(EncT5Error, match=r"cannot read .*cut.arrow as Arrow"):
        read_table(str(tmp_path / "cut.arrow"))


def test_saved_data_sets(tmp_path: Path) -> None:
    """One, several by their splits, and class ids by their names."""
    table = Dataset.from_dict(ROWS)
    table.save_to_disk(str(tmp_path / "one"))
    same(tmp_path / "one")
    with pytest.raises(EncT5Error, match="is one data set without splits; name it without `:train`"):
        read_table(f"{tmp_path}/one:train")
    DatasetDict({"train": table, "test": table.select([0])}).save_to_disk(str(tmp_path / "two"))
    same(f"{tmp_path}/two:train")
    assert read_table(f"{tmp_path}/two:test")["label"][:] == ["bad"]
    for source in ("two", "two:dev"):
        with pytest.raises(EncT5Error, match=r"holds the splits test, train; name one, as in `.*two:train`"):
            read_table(f"{tmp_path}/{source}")
    DatasetDict({"train": table}).save_to_disk(str(tmp_path / "single"))
    same(tmp_path / "single")
    named = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    Dataset.from_dict({"text": ["a"], "label": [1]}, named).save_to_disk(str(tmp_path / "named"))
    assert read_table(f"{tmp_path}/named")["label"][:] == ["yes"]
    (tmp_path / "one" / "state.json").write_text("{}")
    with pytest.raises(EncT5Error, match=r"cannot read .*one, which `datasets` saved: "):
        read_table(f"{tmp_path}/one")


def test_several_files_are_one_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By a pattern, a folder or names; of any format; the digest is that of all."""
    caplog.set_level(logging.INFO, logger="enct5")
    frame = pd.DataFrame(ROWS)
    for kind, write in (
        ("csv", lambda part, path: part.to_csv(path, index=False)),
        ("jsonl", lambda part, path: part.to_json(path, orient="records", lines=True)),
        ("parquet", lambda part, path: part.to_parquet(path)),
        ("csv.gz", lambda part, path: part.to_csv(path, index=False)),
    ):
        folder = tmp_path / kind
        folder.mkdir()
        write(frame[:5], folder / f"a.{kind}")
        write(frame[5:][["label", "text"]], folder / f"b.{kind}")
        (folder / "README.txt").write_text("about")
        (folder / ".hidden.csv").write_text("x")
        for source in (
            folder,
            f"{folder}/*.{kind}",
            f"{folder}/a.{kind},{folder}/b.{kind}",
            f"{tmp_path}/**/[ab].{kind}",
        ):
            caplog.clear()
            same(source)
            assert caplog.messages[0] == f"{source}: 2 files, a.{kind}, b.{kind}"
        before = digest_of_data(str(folder))
        write(frame[6:], folder / f"b.{kind}")
        assert digest_of_data(str(folder)) != before


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,1\n")
    (tmp_path / "b.csv").write_text("text,tag\nb,2\n")
    with pytest.raises(EncT5Error, match=r"b.csv and .*a.csv have different columns \(`label`, `tag` in one of them"):
        read_table(f"{tmp_path}/*.csv")
    (tmp_path / "c.jsonl").write_text('{"text": "c"}\n')
    with pytest.raises(EncT5Error, match=r"is files of several formats \(.csv, .jsonl\); give those of one"):
        read_table(f"{tmp_path}/*")
    with pytest.raises(EncT5Error, match=r"is a folder; name one file in it, or a pattern .*a.csv, b.csv, c.jsonl"):
        read_table(str(tmp_path))
    with pytest.raises(EncT5Error, match=r"no file is like `.*\*.tsv`; check the pattern"):
        read_table(f"{tmp_path}/*.tsv")
    pd.DataFrame({"n": [1]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"n": ["x"]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(
        EncT5Error, match=r"column `n` of .*b.parquet is of type .*string, in .*a.parquet of type int64"
    ):
        read_table(f"{tmp_path}/*.parquet")


@pytest.mark.parametrize("names", [("train.csv", "test.csv"), ("train-0.csv", "train-1.csv", "validation-0.csv")])
def test_splits_in_a_folder_are_not_one_table(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_text(f"text,label\n{name},1\n")
    with pytest.raises(
        EncT5Error, match=r"is a folder of several splits \(.*\); name one file, or a split as `.*:train`"
    ):
        read_table(str(tmp_path))
    train = [name for name in names if "train" in name]
    assert read_table(f"{tmp_path}:train")["text"][:] == train
    with pytest.raises(EncT5Error, match="has no file of a split `left`"):
        read_table(f"{tmp_path}:left")


def test_fasttext(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="enct5")
    path = tmp_path / "a.txt"
    path.write_text("".join(f"__label__{label} {text}\n" for text, label in zip(*ROWS.values(), strict=True)))
    same(path)
    assert caplog.messages[0] == f"{path}: read as fastText's lines (columns `text` and `label`)"
    path.write_text("__label__a __label__b late,  again\n\nfine __label__c\n__label__d\n")
    assert read_table(str(path)).to_dict() == {
        "text": ["late,  again", "fine", ""],
        "label": [["a", "b"], ["c"], ["d"]],
    }


@pytest.mark.parametrize("separator", ["\t", " ", " NNP "])
def test_conll(tmp_path: Path, separator: str) -> None:
    """Words and their last column, by tabs or blanks, with comments and without an empty line at the end."""
    lines = ["-DOCSTART- -X- O O", "", "# sent_id = 1", "Anna B-who", "Roth I-who", "", "", "Ulm B-where", "it O"]
    content = "\n".join(line if line[:1] in "-#" else line.replace(" ", separator) for line in lines)
    for name in ("a.conll", "a.txt", "a.iob"):
        (tmp_path / name).write_text(content)
        assert read_table(str(tmp_path / name)).to_dict() == {
            "text": [["Anna", "Roth"], ["Ulm", "it"]],
            "label": [["B-who", "I-who"], ["B-where", "O"]],
        }
    (tmp_path / "a.conll").write_text(content + f"\nodd{separator}O{separator}O\n")
    with pytest.raises(EncT5Error, match=r"a.conll, line 10 has \d columns, the first has"):
        read_table(str(tmp_path / "a.conll"))


def test_lines_of_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Which no delimiter makes a table of."""
    caplog.set_level(logging.INFO, logger="enct5")
    path = tmp_path / "a.txt"
    path.write_text("late, again\nfine\n\n__label__ is no label, here\n")
    assert read_table(str(path))["text"][:] == ["late, again", "fine", "", "__label__ is no label, here"]
    assert caplog.messages == [f"{path}: read as lines, each a text of column `text`"]


def test_ndjson_and_its_kin(tmp_path: Path) -> None:
    content = "".join(f'{{"text": "{text}", "label": "{label}"}}\n' for text, label in zip(*ROWS.values(), strict=True))
    for name in ("a.ndjson", "a.jl", "a.jsonlines", "a.json", "a"):
        (tmp_path / name).write_text(content)
        same(tmp_path / name)
