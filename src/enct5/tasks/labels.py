"""Turn the label column of a table into plain label values."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from enct5.data.cells import BRACKETS, as_number, is_missing, read_lists
from enct5.data.written_numbers import read_numbers
from enct5.errors import EncT5Error, show

_INTEGER = re.compile(r"[+-]?\d{1,18}")  # a grade is no longer, and Python refuses thousands of digits
TAG = re.compile(r"O|[BIESLU]-.+")


def parse_names(values: Sequence[Any], column: str, separator: str | None) -> list[str]:
    """Read one class name per row.

    Args:
        values: The label column.
        column: Its name, for messages.
        separator: Refused, since one row has one label here.

    Returns:
        The names, without blanks at their ends; numbers become their text.

    Raises:
        EncT5Error: If a row holds no label or several.
    """
    refuse_separator(separator, "single")
    for row, value in enumerate(read_lists(values), 1):
        if isinstance(value, list | dict):
            raise not_a("one label", column, row, value, "use --task multi for several labels per text")
        if is_missing(value):
            raise not_a("a label", column, row, value, "fill it in or remove the row")
    known: dict[str, str] = {}  # rows of a class share its name, which takes 8 bytes of each
    return [known.setdefault(name, name) for name in (str(value).strip() for value in values)]


def parse_name_lists(values: Sequence[Any], column: str, separator: str | None) -> list[list[str]]:
    """Read any number of label names per row.

    Args:
        values: The label column: lists, JSON lists as text, or texts to split.
        column: Its name, for messages.
        separator: What separates the labels in one text; needed for texts, refused for lists.

    Returns:
        The names of each row in their order, each once, without blanks at their ends; a row may have none.

    Raises:
        EncT5Error: If a row cannot be read as labels.
    """
    if separator == "":
        raise EncT5Error("the label separator is empty; give the text between two labels, as in --label-separator ';'")
    lists = values if separator is not None else read_lists(values)
    known: dict[tuple[str, ...], list[str]] = {}  # rows of the same labels share their list
    result = []
    for row, value in enumerate(lists, 1):
        if isinstance(value, str) and separator is not None:
            names = [name.strip() for name in value.split(separator) if name.strip()]
        elif isinstance(value, list) and separator is None:
            if any(is_missing(item) or isinstance(item, list | dict) for item in value):
                raise not_a("a list of label names", column, row, value, "give names or numbers")
            names = [str(item).strip() for item in value]
        elif isinstance(value, list):
            raise not_a("a text to split", column, row, value, "leave out --label-separator, the labels are lists")
        elif isinstance(value, str) and value.lstrip().startswith(BRACKETS):
            raise not_a("a list of labels", column, row, value, 'write each row as a list, such as ["a", "b"] or []')
        else:
            raise not_a("a list of labels", column, row, value, "give the text between labels with --label-separator")
        different = tuple(dict.fromkeys(names))
        result.append(known.setdefault(different, list(different)))
    return result


def parse_numbers(values: Sequence[Any], column: str, separator: str | None) -> list[Any]:
    """Read one number per row, or a list of as many numbers in each row.

    Args:
        values: The label column.
        column: Its name, for messages.
        separator: Refused, since numbers are not split.

    Returns:
        Floats, or lists of floats where there are several targets.

    Raises:
        EncT5Error: If a value is no finite number, or the rows have different numbers of targets.
    """
    refuse_separator(separator, "regression")
    lists = read_lists(read_numbers(values, column).values)
    if not any(isinstance(value, list) for value in lists):
        return [_number(value, column, row) for row, value in enumerate(lists, 1)]
    rows = [
        [_number(item, column, row) for item in (value if isinstance(value, list) else [value])]
        for row, value in enumerate(lists, 1)
    ]
    for row, numbers in enumerate(rows, 1):
        if len(numbers) != len(rows[0]) or not numbers:
            raise not_a(
                f"{len(rows[0]) or 'a list of'} numbers", column, row, lists[row - 1], "give as many in each row"
            )
    return [numbers[0] for numbers in rows] if len(rows[0]) == 1 else rows


def _number(value: object, column: str, row: int) -> float:
    number = float(value) if isinstance(value, bool) else as_number(value)
    if number is not None:
        return number
    raise not_a("a number", column, row, value, "correct it (up to 3e38), or use --task single for classes")


def not_a(wanted: str, column: str, row: int, value: object, advice: str) -> EncT5Error:
    """Build the error for a label that is not what a task wants, for the caller to raise."""
    return EncT5Error(f"column {show(column)}, row {row}: {show(value)} is not {wanted}; {advice}")


def refuse_separator(separator: str | None, task: str) -> None:
    """Refuse a label separator where labels are not split."""
    if separator is not None:
        raise EncT5Error(
            f"--label-separator {show(separator)} goes with --task multi, not {task}; leave one of them out"
        )


def are_whole_numbers(names: Iterable[str]) -> bool:
    """Whether every name is a whole number, such as a grade."""
    return all(_INTEGER.fullmatch(name) for name in names)


def sort_names(names: set[str]) -> list[str]:
    """Put label names into the order of their ids.

    Args:
        names: The different names.

    Returns:
        Whole numbers by value when all names are such, else names by their code points.
    """
    if are_whole_numbers(names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
