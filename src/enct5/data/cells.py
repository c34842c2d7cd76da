"""What a cell of a table holds: nothing, a number, a list."""

import ast
import json
import re
import warnings
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LARGEST = 3e38  # a model's numbers are float32
BRACKETS = ("[", "(", "{")
_NEIGHBOURS = re.compile(r"""['"]\s+['"]""")


def as_number(value: object) -> float | None:
    """The number that a cell holds, or None where it holds none that a model can predict."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            return None
    elif isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return number if abs(number) <= _LARGEST else None


def read_lists(values: Sequence[Any]) -> Sequence[Any]:
    """Read lists that a CSV file holds as text, of JSON or of Python; any other column comes back as it is."""
    if not all(is_bracketed(value) for value in values):
        return values
    lists = []
    for value in values:
        found = _read_list(value)
        if found is None:
            return values
        lists.append(found)
    return lists


def is_bracketed(value: object) -> bool:
    """Whether a cell is a text that begins as a list or an object does, or is Python's empty set."""
    return isinstance(value, str) and (value.lstrip()[:1] in BRACKETS or value.strip() == "set()")


def _read_list(text: str) -> list[Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or one of endless numbers or lists
        found = _read_python(text)
    if isinstance(found, tuple):
        return list(found)
    if isinstance(found, set):
        return sorted(found, key=str)
    return found if isinstance(found, list) else None


def _read_python(text: str) -> object:
    """The value that a text writes as Python does; None where it writes none."""
    # Python would join neighbouring texts, as numpy writes those of an array, to one
    if _NEIGHBOURS.search(text):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes
        try:
            found: object = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found = None
    return found


def has_label(value: Any, separator: str | None) -> bool:
    """Whether a row has a label; with a separator a blank text is one: none of them."""
    return not is_missing(value) or (separator is not None and isinstance(value, str))


def is_missing(value: object) -> bool:
    """Whether a cell of a label column is empty: null, NaN, or a blank text."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())
