"""Error phrasing: nearest names, listings, one line."""

import pytest

from enct5.errors import EncT5Error, nearest, printable, show, unknown


@pytest.mark.parametrize(
    ("name", "expected"), [("txt", "text"), ("TEXT", "text"), ("lable", "Label"), ("zzz", None), ("", None)]
)
def test_nearest(name: str, expected: str | None) -> None:
    """The most alike name is found whatever its case."""
    assert nearest(name, ["text", "Label", "id"]) == expected


def test_unknown_names_source_guess_and_candidates() -> None:
    """The message has all a user needs to correct the name."""
    error = unknown("column", "txt", ["text", "label"], "data.csv")
    assert isinstance(error, EncT5Error)
    assert str(error) == "no column `txt` in data.csv; did you mean `text`? (columns: text, label)"


def test_unknown_without_a_near_name_or_source() -> None:
    """What is not known is left out."""
    assert str(unknown("task", "poetry", ["single", "multi"])) == "no task `poetry` (tasks: single, multi)"
    assert str(unknown("column", "x", [])) == "no column `x` (columns: none)"


def test_unknown_lists_at_most_twenty() -> None:
    """A table of many columns does not flood the terminal."""
    message = str(unknown("column", "zzz", [f"c{number}" for number in range(25)]))
    assert message.endswith("c18, c19 and 5 more)")


def test_control_characters_are_shown_and_not_obeyed() -> None:
    """No terminal takes a part of a label for a command."""
    assert printable("a\nb\x1b[31m\x9b\u2028 für 😀") == "a\\nb\\x1b[31m\\x9b\\u2028 für 😀"


def test_show_stays_on_one_line_and_short() -> None:
    """Line breaks and length of a value do not break the message."""
    assert show("a\nb") == "`a b`"
    assert show(3) == "`3`"
    assert show("x" * 100) == "`" + "x" * 57 + "...`"
