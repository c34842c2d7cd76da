"""The columns that a user names, made of what a table holds: nested values, a column a label, a tool's annotations."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from enct5.data import label_columns
from enct5.data.annotation_exports import ANSWER
from enct5.data.any_values import encoded_columns, with_columns
from enct5.data.cells import BRACKETS, is_missing
from enct5.data.columns import rejected
from enct5.data.data_file import logger
from enct5.data.notes import in_rows
from enct5.data.spans import Spans, is_span, read_spans, spans_within
from enct5.errors import EncT5Error, show, unknown

if TYPE_CHECKING:
    from datasets import Dataset


def with_texts(table: "Dataset", names: Sequence[str], source: str) -> "Dataset":
    """A table with the columns that dotted paths name, such as `data.text` of objects in a column `data`."""
    found = {name: _nested(table, name) for name in names if name not in table.column_names}
    columns = {name: values for name, values in found.items() if values is not None}
    return with_columns(table, columns, source) if columns else table


def with_labels(
    table: "Dataset", text: Sequence[str], label: str, separator: str | None, source: str
) -> tuple["Dataset", list[str]]:
    """A table whose text and label columns are as a task reads them, without rows that its annotator rejected.

    Args:
        table: The table.
        text: The text columns.
        label: The label column, or several, separated by commas: one for each label.
        separator: What separates labels in one text.
        source: Where it came from, for messages.

    Returns:
        The table, and notes on it. Where it lacks a column, that is for `check_columns` to tell.

    Raises:
        EncT5Error: If the labels cannot be read.
    """
    table, notes = _without_rejected(with_texts(table, text, source), [*text, label], source)
    table, found = with_label_column(table, text, label, source)
    notes += found
    if label not in table.column_names or not _may_hold_more(table, label, separator):
        return table, notes
    values = _filled(label_columns.read_objects(table[label][:]), separator, notes)
    return (table if values is None else with_columns(table, {label: values}, source)), notes


def with_label_column(table: "Dataset", text: Sequence[str], label: str, source: str) -> tuple["Dataset", list[str]]:
    """As `with_labels`, with all rows, those that lack their label as they are."""
    names = [name.strip() for name in label.split(",")]
    if label not in table.column_names and len(names) > 1:
        wide = with_texts(table, names, source)
        if missing := [name for name in names if name not in wide.column_names]:
            raise unknown("column", missing[0], wide.column_names, source)
        values, said = label_columns.names_of_columns({name: wide[name][:] for name in names}, source)
        logger.info(f"{source}: labels are read from {len(names)} columns, {said}")
        return with_columns(table, {label: values}, source), []
    table = with_texts(table, [label], source)
    if label not in table.column_names or not _may_hold_more(table, label):
        return table, []
    read = _read(table, text, label)
    if read is None:
        return table, []
    if read.said:
        logger.info(f"{source}: column {show(label)} holds {read.said}")
    return with_columns(table, {label: read.values}, source), read.notes


def _may_hold_more(table: "Dataset", label: str, separator: str | None = None) -> bool:
    """Whether a column may hold anything else than plain labels and numbers, told without reading it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.data.column(label)
    if label in encoded_columns(table) or pa.types.is_nested(column.type):
        return True
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    bracketed = pc.any(pc.match_substring_regex(column, rf"^\s*[{re.escape(''.join(BRACKETS))}]")).as_py()
    return bool(bracketed) or (separator is not None and column.null_count > 0)


def _without_rejected(table: "Dataset", named: Sequence[str], source: str) -> tuple["Dataset", list[str]]:
    left_out = rejected(table, named)
    if not left_out:
        return table, []
    kept = np.setdiff1d(np.arange(len(table)), left_out)
    if not len(kept):
        raise EncT5Error(f"{source} has no row whose `{ANSWER}` is accept; give a table with some")
    note = f"{in_rows(left_out)} whose `{ANSWER}` is reject or ignore are left out; what follows numbers the rest"
    return table.select(kept), [note]


def _nested(table: "Dataset", name: str) -> list[Any] | None:
    """The values at a dotted path, null where a row has none; `None` where no row has."""
    column, _, way = name.partition(".")
    while way and column not in table.column_names:  # whose own name has a dot, perhaps
        more, _, way = way.partition(".")
        column = f"{column}.{more}"
    if not way or column not in table.column_names:
        return None
    values = [_at(value, way) for value in table[column][:]]
    return None if all(value is None for value in values) else values


def _at(value: Any, way: str) -> Any:
    while way:
        if not isinstance(value, dict):
            return None
        if way in value:
            return value[way]
        key, _, way = way.partition(".")
        value = value.get(key)
    return value


def _read(table: "Dataset", text: Sequence[str], label: str) -> Spans | None:
    """Label values as lists of names, spans or BIO tags; `None` where they are nothing that has to be changed."""
    values = [spans_within(value) for value in label_columns.read_objects(table[label][:])]
    lists, said = label_columns.lists_of_objects(values, label)
    if said:
        return Spans(list(lists), said, [])
    if any(isinstance(value, list) and any(map(is_span, value)) for value in values):
        spans = read_spans(values, label)
        return spans._replace(said=spans.said and f"entities, as in exports of {spans.said}")
    if len(text) != 1 or text[0] not in table.column_names or not all(isinstance(value, list) for value in values):
        return None
    tags, written = label_columns.bio_tags(values, table[text[0]][:], label)
    return Spans(list(tags), f"tags {written}", []) if written else None


def _filled(values: Sequence[Any], separator: str | None, notes: list[str]) -> list[Any] | None:
    """Values with none in the place of absent ones, where a row may have several labels; `None` without such rows."""
    lists = [value for value in values if isinstance(value, list)]
    absent = {row for row, value in enumerate(values) if (is_missing(value) if lists else value is None)}
    empty: Any = [] if lists else ""
    if lists:
        others = len(lists) + len(absent) < len(values)
        applies = not others and not any(isinstance(item, float) for value in lists for item in value)  # targets
    else:
        applies = separator is not None
    if not applies or not absent:
        return None
    notes.append(f"labels are absent from {in_rows(sorted(absent))}, which counts as none")
    return [empty if row in absent else value for row, value in enumerate(values)]
