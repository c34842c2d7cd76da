"""Tell which task a label column poses, and why where the reader may not expect it."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from enct5.data.cells import as_number, is_bracketed, read_lists
from enct5.data.notes import in_rows, reads_as_missing
from enct5.data.written_numbers import read_numbers
from enct5.errors import EncT5Error, show
from enct5.tasks.labels import TAG

# Among so few different values a number is a grade or an id, and any text a class, however few rows there are.
_FEWEST_DIFFERENT = 20
_MOST_STRAY = 0.1  # share of cells that are no numbers in a column of numbers
_DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{4}|\d{1,2}/\d{1,2}/\d{2})([ T]\d{1,2}:\d{2}.*)?"
)
# A number with a currency, a unit or a sign around it, or with other separators than a decimal point.
_WRITTEN_NUMBER = re.compile(r"[^\w\s]?\s?([A-Z]{3}\s?)?[-+]?\d[\d.,'\s]*([^\w\s]|[A-Za-z]{1,3})?")
# A number of up to three digits, or of three more behind a point, as 1,137 is written where that separates thousands.
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})?")
_QUOTED = re.compile(r"""\s*[\[({]\s*['"]""")  # the start of a list, or of an object, of texts
_CODE = re.compile(r"\s*[-+]?0\d")  # leading zeros: a code, such as 001


def guess(values: Sequence[Any], column: str, separator: str | None = None) -> tuple[str, str | None]:
    """Tell the task from the values of a label column.

    Numbers are regression when one has a fraction, or when most are different; other numbers are classes. That they
    are typed as floats, or written as `1.0`, does not matter: formats differ in that.

    Args:
        values: The column, without missing values.
        column: Its name, for messages.
        separator: What separates the labels in one text; giving it means multi-label.

    Returns:
        The `problem_type` of transformers, or "token_classification" for lists of tags or of entities; and the reason,
        where another task may have been meant.

    Raises:
        EncT5Error: If the values are neither plain numbers nor plausible classes, or a few are no numbers.
    """
    if separator is not None:
        return "multi_label_classification", None
    lists = read_lists(values)
    if any(isinstance(value, list | dict) for value in lists):
        return _of_lists(lists, column), None
    written = read_numbers(values, column)
    numbers = [as_number(value) for value in written.values]
    present = [number for number in numbers if number is not None]
    fractions = any(number % 1 for number in present)
    codes = any(isinstance(value, str) and _CODE.match(value) for value in values)
    if not codes and (fractions or _mostly_different(present)):
        stray = [row for row, number in enumerate(numbers) if number is None]
        if not stray and written.doubt is not None:
            raise EncT5Error(written.doubt)
        if not stray:
            return "regression", written.said or _why_numbers(present, values, column, fractions)
        missing = all(reads_as_missing(values[row]) for row in stray) and 2 * len(stray) <= len(values)
        if missing or len(stray) <= _MOST_STRAY * len(values):
            raise EncT5Error(
                f"column {show(column)} holds numbers, but not in {in_rows(stray)}: {show(values[stray[0]])} is not a "
                "number; correct or remove it, or pass --task single for classes"
            )
    _refuse_what_is_no_class(values, column)
    pointed = any(isinstance(value, float) or "." in str(value) for value in values)
    if len(present) < len(values) or fractions or not pointed:
        return "single_label_classification", None
    return (
        "single_label_classification",
        f"column {show(column)} is read as classes, as none of its numbers has a fraction; --task regression predicts "
        "numbers",
    )


def _mostly_different(values: Sequence[object]) -> bool:
    different = len(set(values))
    return different > _FEWEST_DIFFERENT and different > len(values) / 2


def how_numbers_are_read(values: Sequence[Any], column: str) -> str | None:
    """How the numbers of a column are read, where that may surprise.

    Args:
        values: The column, without missing values.
        column: Its name.

    Raises:
        EncT5Error: As `read_numbers`.
    """
    return read_numbers(values, column).said or _pointed(values, column)


def _pointed(values: Sequence[Any], column: str) -> str | None:
    if not all(_GROUPED.fullmatch(_written(value)) for value in values):
        return None
    pointed = next((text for text in map(_written, values) if "." in text), None)
    return pointed and (
        f"column {show(column)} is read as numbers with a decimal point: {show(pointed)} is {float(pointed):g}; if the "
        "point separates thousands, take it out"
    )


def _why_numbers(numbers: Sequence[float], values: Sequence[Any], column: str, fractions: bool) -> str | None:
    if (pointed := _pointed(values, column)) is not None or fractions:
        return pointed
    return (
        f"column {show(column)} is read as numbers, as {len(set(numbers))} of its {len(numbers)} values differ; "
        "--task single reads them as classes"
    )


def _written(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _refuse_what_is_no_class(values: Sequence[Any], column: str) -> None:
    if all(map(is_bracketed, values)) and (quoted := next(filter(_QUOTED.match, values), None)) is not None:
        raise EncT5Error(
            f"column {show(column)} holds lists or objects that are written neither as JSON nor as Python writes "
            f'lists, such as {show(quoted)}; write lists as ["a", "b"], or pass --task single if each is a class'
        )
    different = len({str(value).strip() for value in values})
    if different > _FEWEST_DIFFERENT and all(
        isinstance(value, date) or _DATE.fullmatch(str(value).strip()) for value in values
    ):
        raise EncT5Error(
            f"column {show(column)} holds dates, {different} different ones in {len(values)} rows; name a column of "
            "classes or numbers (days from a first one, say), or pass --task single if each date is a class"
        )
    if different <= _FEWEST_DIFFERENT or different <= len(values) / 2:
        return
    texts = [str(value).strip() for value in values]
    if all(_WRITTEN_NUMBER.fullmatch(text) for text in texts):
        raise EncT5Error(
            f"column {show(column)} holds {different} different values in {len(values)} rows, which look like "
            f"numbers written in another way than 1234.5 ({show(_least_plain(texts))}); write them so, or pass "
            "--task single if they are classes"
        )
    raise EncT5Error(
        f"column {show(column)} has {different} different values in {len(values)} rows, which look like no classes; "
        "name another column, or pass --task single if they are labels, or --label-separator if each is several"
    )


def _least_plain(texts: Sequence[str]) -> str:
    return next((text for text in texts if as_number(text) is None), texts[0])


def _of_lists(values: Sequence[Any], column: str) -> str:
    objects = [value for value in values if isinstance(value, dict) and "start" not in value]
    if objects:
        raise EncT5Error(
            f"column {show(column)} holds objects, such as {show(objects[0])}; name a column of labels, numbers, or "
            "lists of them, made of one of their values, say"
        )
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    tags = bool(items) and all(isinstance(item, str) and TAG.fullmatch(item.strip()) for item in items)
    if tags or any(isinstance(item, dict) for item in items):
        return "token_classification"
    present = [item for item in items if item is not None]
    if not present or not all(isinstance(item, int | float) for item in present):
        return "multi_label_classification"
    lengths = {len(value) for value in values if isinstance(value, list)}
    if len(lengths) == 1 and lengths != {1} and set(items) == {0, 1}:
        raise EncT5Error(
            f"column {show(column)} holds lists of 0 and 1 ({show(values[0])}), one for each label, it seems; give "
            "lists of the labels' names, or pass --task regression for numbers"
        )
    return "regression" if any(isinstance(item, float) for item in present) else "multi_label_classification"
