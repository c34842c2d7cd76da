"""Columns that are read as they are looked at: what lists of them are."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

from enct5.data import lazy_columns
from enct5.data.columns import check_columns, read_texts
from enct5.data.lazy_columns import LazyColumns, taken, values_of
from enct5.errors import EncT5Error

TEXTS = ["a", "b", "", "é", None, "f", "g"]
NUMBERS = [1, 2, 3, 4, 5, 6, 7]


def chunked(values: list[Any]) -> pa.ChunkedArray:
    return pa.chunked_array([values[:2], values[2:3], values[3:]])


@pytest.fixture(autouse=True)
def few_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_columns, "FEWEST_ROWS", 0)
    monkeypatch.setattr(lazy_columns, "_AT_A_TIME", 3)


@pytest.mark.parametrize("rows", [None, [6, 0, 2, 2, 4], []])
def test_a_column_is_its_list(rows: list[int] | None) -> None:
    column = LazyColumns([chunked(TEXTS)], None if rows is None else np.array(rows, dtype=np.int64))
    wanted = TEXTS if rows is None else [TEXTS[row] for row in rows]
    assert (list(column), len(column), column[1:4], column[::-2]) == (wanted, len(wanted), wanted[1:4], wanted[::-2])
    if wanted:
        assert (column[0], column[-1]) == (wanted[0], wanted[-1])
        assert list(column.select([2, 1]).select([1])) == [wanted[1]]
    with pytest.raises(IndexError):
        column[len(wanted)]


def test_columns_side_by_side_are_tuples() -> None:
    both = LazyColumns([chunked(TEXTS)]).select([1, 5]).beside(LazyColumns([chunked(NUMBERS)]))
    assert list(both) == [("b", 2), ("f", 6)]


def test_columns_are_those_of_the_table() -> None:
    """Of its rows where some were selected; lists and dates are read at once, as ever."""
    table = Dataset(pa.table({"text": chunked(TEXTS), "number": NUMBERS, "share": [n / 2 for n in NUMBERS]}))
    for some in (table, table.select([5, 1, 1])):
        for name in table.column_names:
            column = values_of(some, name)
            assert isinstance(column, LazyColumns)
            assert list(column) == some[name][:]
    assert values_of(Dataset.from_dict({"names": [["a"], []]}), "names") == [["a"], []]
    assert values_of(Dataset.from_dict({"flag": [True, False]}), "flag") == [True, False]


def test_few_rows_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_columns, "FEWEST_ROWS", 3)
    assert values_of(Dataset.from_dict({"text": ["a", "b"]}), "text") == ["a", "b"]


def test_rows_are_taken_of_columns_arrays_and_lists_alike() -> None:
    rows = np.array([3, 0])
    assert list(taken(LazyColumns([chunked(TEXTS)]), rows)) == taken(TEXTS, rows) == ["é", "a"]
    assert taken(np.array(NUMBERS), rows).tolist() == [4, 1]


def test_pairs_are_read_of_checked_columns() -> None:
    table = Dataset(pa.table({"one": chunked(["a"] * 7), "two": chunked([*"bcdefgh"]), "label": [*"xyxyxyx"]}))
    columns = check_columns(table, "data.csv", ["one", "two"], "label")
    assert isinstance(columns["label"], LazyColumns)
    assert list(read_texts(columns, ["one", "two"])) == [("a", letter) for letter in "bcdefgh"]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("text", TEXTS, r"`text` of data.csv lacks the text in 1 of 7 rows \(first: row 5\)"),
        ("text", NUMBERS, "`text` of data.csv, row 1: `1` is not a text"),
        ("label", [*"abcd", None, "e", " "], r"`label` of data.csv lacks the label in 2 of 7 rows \(first: row 5\)"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(name: str, values: list[Any], message: str) -> None:
    columns = {"text": [*"abcdefg"], "label": [*"xyxyxyx"], name: values}
    table = Dataset(pa.table({key: chunked(own) for key, own in columns.items()}))
    with pytest.raises(EncT5Error, match=message):
        check_columns(table, "data.csv", ["text"], "label")
