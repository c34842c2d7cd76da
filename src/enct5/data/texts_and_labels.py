"""Texts, and labels beside them, in the place of a table."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from enct5.data.in_memory import is_table
from enct5.errors import EncT5Error, show

TEXT, PAIR, LABEL = "text", "text_pair", "label"  # the columns that they become


def are_texts(data: Any) -> bool:
    """Whether what should be a table is a list, array or Series of anything but rows."""
    if isinstance(data, str) or is_table(data) or not isinstance(data, Iterable):
        return False
    return not isinstance(next(iter(data), None), Mapping)


def table_of(texts: Any, labels: Any = None) -> dict[str, Any]:
    """Texts, or pairs of them, and labels, where there are any, as the columns of a table."""
    given = {} if labels is None else {LABEL: labels}
    if isinstance(texts, Iterator) or not isinstance(texts, Iterable) or not isinstance(next(iter(texts), None), tuple):
        return {TEXT: texts, **given}
    for row, text in enumerate(texts, 1):
        if not isinstance(text, tuple) or len(text) != 2:
            raise EncT5Error(
                f"text {row} is {show(repr(text))}, the first is a pair; give pairs of strings, or strings"
            )
    first, second = (list(column) for column in zip(*texts, strict=True))
    return {TEXT: first, PAIR: second, **given}


def text_columns(table: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of texts of a table that was made of texts."""
    return tuple(name for name in table if name != LABEL)
