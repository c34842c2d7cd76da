"""The columns of a table, checked, and their texts."""

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

from enct5.data.annotation_exports import ACCEPTED, ANSWER, IGNORED
from enct5.data.cells import is_missing
from enct5.data.lazy_columns import LazyColumns, values_of
from enct5.data.mistaken_formats import by_names
from enct5.data.spans import is_span
from enct5.errors import EncT5Error, show, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datasets import Dataset

    Table: TypeAlias = Dataset | Mapping[str, Sequence[Any]]  # its columns, once they are read


_REJECTED = ("reject", IGNORED)


def check_columns(
    table: "Dataset",
    source: str,
    text: Sequence[str],
    label: str | None,
    separator: str | None = None,
    takes_words: bool = False,
    first_row: int = 1,
) -> dict[str, Sequence[Any]]:
    """Read texts and labels, and refuse wrong column names, texts that are no texts, and missing values.

    Args:
        table: The table.
        source: Where it came from, for messages.
        text: One text column, or two for pairs.
        label: The label column, or None when there is none to read.
        separator: What separates labels in one text; when given, an empty label means a text without labels.
        takes_words: Whether a text may be a list of words.
        first_row: The number of the table's first row, where it is a part of a larger one.

    Returns:
        The columns by name, as they are there: whoever needs them again need not read them again. Those of a large
        table are `LazyColumns`.

    Raises:
        EncT5Error: If anything is wrong with the columns.
    """
    if len(text) not in (1, 2):
        raise EncT5Error(f"{len(text)} text columns given ({', '.join(text) or 'none'}); name one, or two for a pair")
    names = [*text, *([label] if label is not None else [])]
    check_names(table, source, names)
    columns = {name: values_of(table, name) for name in names}
    for name in text:
        _check_texts(columns[name], name, source, takes_words, first_row)
    if label is not None:
        _refuse_missing(missing_labels(columns[label], separator), "label", label, source, first_row)
    return columns


def missing_texts(values: Sequence[Any]) -> list[bool]:
    """Which texts of a column are not there; a blank one is."""
    return [value is None or value != value for value in values]  # a table that holds numbers marks them by NaN


def missing_labels(values: Sequence[Any], separator: str | None) -> list[bool]:
    """Which labels of a column are not there; with a separator a blank text is a row without labels."""
    return [is_missing(value) and not (separator is not None and isinstance(value, str)) for value in values]


def check_names(table: "Dataset", source: str, names: Sequence[str]) -> None:
    """Refuse names of columns that a table does not have, or that are named twice."""
    for name in names:
        if name not in table.column_names:
            raise _no_column(name, table, source)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise EncT5Error(f"column {show(twice)} of {source} is named twice; each text and the label needs its own")


def _no_column(name: str, table: "Dataset", source: str) -> EncT5Error:
    names = table.column_names
    row = table[0] if len(table) else {}
    said = by_names(names)
    if way := _way_to(name, row):
        said = f"it is within objects: name it {show(way)}"
    elif held := [column for column, value in row.items() if _has_spans(value)]:
        said = f"{show(held[0])} holds entities"
    elif len(table) == 1 and any(isinstance(value, list | dict) for value in row.values()):
        said = "it holds one object; a table is one list of objects, a row each, or one object a line"
    error = unknown("column", name, names, source)
    return error if said is None else EncT5Error(f"{error}; {said}")


def _has_spans(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_span, value))


def _way_to(name: str, row: dict[str, Any]) -> str | None:
    """The dotted path to a key within a row's objects."""
    for column, value in row.items():
        if isinstance(value, dict):
            if name in value:
                return f"{column}.{name}"
            if way := _way_to(name, value):
                return f"{column}.{way}"
    return None


def _check_texts(values: Sequence[Any], column: str, source: str, takes_words: bool, first_row: int) -> None:
    _refuse_missing(missing_texts(values), "text", column, source, first_row)
    first = values[0] if values else None
    for row, value in enumerate(values, first_row):
        if isinstance(value, list):
            if not takes_words:
                raise refused_list(value, f"column {show(column)} of {source}, row {row}")
            if wrong := [word for word in value if not isinstance(word, str)]:
                raise EncT5Error(
                    f"column {show(column)} of {source}, row {row}: {show(wrong[0])} is not a word but of type "
                    f"{type(wrong[0]).__name__}; name a column of lists of words"
                )
        elif not isinstance(value, str):
            remedy = "quote the values"
            if isinstance(value, dict):
                remedy = 'give a list of objects, a row each (orient="records" in pandas)'
            raise EncT5Error(
                f"column {show(column)} of {source}, row {row}: {show(value)} is not a text but of type "
                f"{type(value).__name__}; name a column of texts, or {remedy}"
            )
        if type(value) is not type(first):
            raise EncT5Error(
                f"column {show(column)} of {source}, row {row}: texts and lists of words are mixed; give one kind"
            )


def refused_list(value: list[Any], where: str) -> EncT5Error:
    """The error for a list in the place of a text, for the caller to raise."""
    return EncT5Error(
        f"{where}: {show(value)} is a list, not a text; lists of words are for tagging tokens (--task tokens), with "
        "tags or entities as labels: name a column of texts"
    )


def _refuse_missing(missing: list[bool], kind: str, column: str, source: str, first_row: int) -> None:
    if any(missing):
        of = f"{len(missing)} rows" if first_row == 1 else f"rows {first_row} to {first_row + len(missing) - 1}"
        raise EncT5Error(
            f"column {show(column)} of {source} lacks the {kind} in {sum(missing)} of {of} "
            f"(first: row {missing.index(True) + first_row}); fill it in or remove the rows"
        )


def read_texts(table: "Table", columns: Sequence[str]) -> Sequence[Any]:
    """Texts, or pairs of texts, of a table's columns; of a large table `LazyColumns`, where its columns are."""
    read = [table[name] for name in columns]
    lazy = [column for column in read if isinstance(column, LazyColumns)]
    if lazy and len(lazy) == len(read):
        return reduce(LazyColumns.beside, lazy)
    lists = [column[:] for column in read]
    return lists[0] if len(lists) == 1 else list(zip(*lists, strict=True))


def rejected(table: "Dataset", named: Sequence[str]) -> list[int]:
    """The places of the rows that an annotator has rejected or passed over, as Prodigy marks them.

    Args:
        table: The table.
        named: The columns that are texts or labels, which mark nothing.
    """
    if ANSWER in named or ANSWER not in table.column_names:
        return []
    answers = table[ANSWER][:]
    if not {ACCEPTED} <= set(answers) <= {ACCEPTED, *_REJECTED}:
        return []
    return [row for row, answer in enumerate(answers) if answer in _REJECTED]
