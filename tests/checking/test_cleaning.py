"""The cleaned copy: what goes, what stays and is marked, that nothing else changes and no file is replaced."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from enct5.checking import cleaning
from enct5.checking.report import Finding
from enct5.data.reading import read_table
from enct5.errors import EncT5Error
from helpers.checked import checked, messages_with

CHANGES: dict[int, dict[str, Any]] = {
    3: {"text": None},
    4: {"text": " said twice ", "label": "refund"},
    7: {"label": None},
    12: {"text": "   "},
    15: {"text": "Said  twice", "label": "refund"},
    20: {"text": "odd", "label": "refund"},
    21: {"text": "odd", "label": "delivery"},
}
KEPT = [number for number in range(1, 61) if number not in (3, 7, 12, 15)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_that_say_nothing_go_and_all_else_is_as_it_was(tmp_path: Path) -> None:
    rows = [{**row, "id": number, "share": 1.5, "tags": ["a"]} for number, row in enumerate(messages_with(CHANGES), 1)]
    table = checked(tmp_path, rows)
    said = cleaning.write(table, [], tmp_path / "clean.jsonl")
    assert lines(tmp_path / "clean.jsonl") == [rows[number - 1] for number in KEPT]
    assert (
        said
        == "56 of 60 rows: without 3 that lack text or label and 1 that repeat an earlier one; 0 doubtful ones stay"
    )


def test_doubtful_rows_stay_and_are_marked_the_gravest_first(tmp_path: Path) -> None:
    found = [
        Finding("contradictions", "", [20, 21]),
        Finding("suspicious_labels", "", [21, 40, 3]),
        Finding("near_duplicates", "", [40, 50]),
        Finding("leakage", "", [55]),
    ]
    said = cleaning.write(checked(tmp_path, messages_with(CHANGES)), found, tmp_path / "clean.jsonl")
    marks = {row["text"]: row["enct5_check"] for row in lines(tmp_path / "clean.jsonl")}
    texts = [row["text"] for row in messages_with(CHANGES)]
    wanted = {40: "label may be wrong", 50: "nearly repeats another row", 20: "same text, other label"}
    assert {number: marks[texts[number - 1]] for number in wanted} == wanted
    assert sorted(set(marks.values()) - {""}) == sorted(set(wanted.values()))
    assert said.endswith("; 4 doubtful ones stay, marked in the column `enct5_check`")


@pytest.mark.parametrize("name", ["clean.csv", "clean.tsv", "clean.parquet", "CLEAN.JSONL"])
def test_the_copy_is_read_as_the_table_was(tmp_path: Path, name: str) -> None:
    rows = messages_with({2: {"text": 'he said "no",\nthen\ttwice'}})
    cleaning.write(checked(tmp_path, rows), [Finding("contradictions", "", [5])], tmp_path / name)
    copy = read_table(str(tmp_path / name))
    assert copy["text"][:] == [row["text"] for row in rows]
    assert [mark or "" for mark in copy["enct5_check"][:]] == [""] * 4 + ["same text, other label"] + [""] * 55


def test_a_copy_of_a_copy_has_the_marks_of_the_last_check(tmp_path: Path) -> None:
    rows = [{**row, "enct5_check": "label may be wrong"} for row in messages_with({})]
    cleaning.write(checked(tmp_path, rows), [], tmp_path / "again.jsonl")
    assert [set(row) for row in lines(tmp_path / "again.jsonl")] == [{"text", "label"}] * 60


def test_whole_numbers_beside_none_stay_whole(tmp_path: Path) -> None:
    rows = [{**row, "id": None if number == 4 else number} for number, row in enumerate(messages_with({}))]
    cleaning.write(checked(tmp_path, rows), [], tmp_path / "clean.csv")
    assert pd.read_csv(tmp_path / "clean.csv", dtype=str, keep_default_na=False)["id"].tolist()[3:6] == ["3", "", "5"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clean.xlsx", "its name must end in one of .csv, .tsv, .jsonl, .parquet"),
        ("missing/clean.csv", "the folder .*missing does not exist"),
        ("rows.jsonl", "rows.jsonl is there already; choose another file for the cleaned copy, or delete it"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text("mine")
    with pytest.raises(EncT5Error, match=message):
        cleaning.check_output(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_nothing_is_left_behind_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = checked(tmp_path, messages_with({}))

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(cleaning.WRITERS, ".csv", cleaning.WRITERS[".csv"]._replace(write=full))
    with pytest.raises(EncT5Error, match=r"cannot write .*clean.csv: No space left on device; choose another file"):
        cleaning.write(table, [], tmp_path / "clean.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_columns_that_parquet_cannot_hold_are_one_line(tmp_path: Path) -> None:
    rows = [{**row, "any": number if number % 2 else [number]} for number, row in enumerate(messages_with({}))]
    table = checked(tmp_path, rows)
    with pytest.raises(EncT5Error, match=r"cannot write .*clean.parquet as Parquet: .*; write .jsonl instead"):
        cleaning.write(table, [], tmp_path / "clean.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
