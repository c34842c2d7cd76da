"""JSON under the name of a table is told as what it is; other names say nothing."""

from pathlib import Path

import pytest

from enct5.data.columns import check_columns
from enct5.data.mistaken_formats import by_names
from enct5.data.reading import read_table
from enct5.errors import EncT5Error


def test_names_that_say_nothing() -> None:
    for names in (["text"], ["text", "a;b"], ["a;b"], [""], []):
        assert by_names(names) is None


def test_json_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('{"text": "late", "label": "bad"}\n' * 3)
    with pytest.raises(EncT5Error, match=r"no column `text` .*; it seems to hold JSON; name it .jsonl, or .json"):
        check_columns(read_table(str(tmp_path / "a.csv")), "a.csv", ["text"], "label")
