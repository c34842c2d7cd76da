"""Columns: those that are there, and what is proposed for those that are not."""

import pytest
from datasets import Dataset as Table

from enct5.data.columns import check_columns
from enct5.errors import EncT5Error


def test_good_columns_pass() -> None:
    """Empty texts are texts; a pair has two columns; labels of any type are no business of the check."""
    table = Table.from_dict({"a": ["", "x"], "b": ["y", "NA"], "label": [[], ["x"]], "n": [0, 1], "raw": ["", "x;y"]})
    check_columns(table, "a.csv", ["a", "b"], "label")
    check_columns(table, "a.csv", ["a"], "n")
    check_columns(table, "a.csv", ["a"], None)
    check_columns(table, "a.csv", ["a"], "raw", separator=";")


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        (["txt"], None, r"no column `txt` in a.csv; did you mean `text`\? \(columns: text, none, number, "),
        (["text"], "lable", "no column `lable` in a.csv; did you mean `label`"),
        ([], None, r"0 text columns given \(none\); name one, or two for a pair"),
        (["text", "text2", "label"], None, r"3 text columns given \(text, text2, label\)"),
        (["text", "text"], None, "column `text` of a.csv is named twice"),
        (["text"], "text", "column `text` of a.csv is named twice"),
        (["none"], None, r"column `none` of a.csv lacks the text in 2 of 3 rows \(first: row 2\)"),
        (["number"], None, "column `number` of a.csv, row 1: `7` is not a text but of type int"),
        (["tokens"], None, r"row 1: `\['a'\]` is a list, not a text; lists of words are for tagging tokens"),
        (["text"], "none", r"column `none` of a.csv lacks the label in 2 of 3 rows \(first: row 2\)"),
        (["text"], "empty", r"column `empty` of a.csv lacks the label in 2 of 3 rows \(first: row 1\)"),
    ],
)
def test_bad_columns(text: list[str], label: str | None, message: str) -> None:
    """Each mistake names the column, the row and what to do."""
    table = Table.from_dict(
        {
            "text": ["a", "b", "c"],
            "none": ["a", None, None],
            "number": [7, 8, 9],
            "tokens": [["a"], ["b"], ["c"]],
            "label": ["x", "y", "z"],
            "empty": ["", " ", "x"],
        }
    )
    with pytest.raises(EncT5Error, match=message):
        check_columns(table, "a.csv", text, label)
