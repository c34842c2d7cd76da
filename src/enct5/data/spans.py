"""Labelled spans of texts as tools write them, made alike: objects of start, end and label, and the text they cover."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from enct5.data.notes import in_rows
from enct5.errors import EncT5Error, show

_STARTS = ("start", "start_offset", "startOffset", "begin", "start_char")
_ENDS = ("end", "end_offset", "endOffset", "stop", "end_char")
_LABELS = ("label", "labels", "tag", "type", "entity_type", "entity_group", "entity", "category", "class")
_WITHIN = ("entities", "spans", "annotations", "labels", "label")  # keys of an object that holds a row's spans


class Spans(NamedTuple):
    """A column of spans.

    Attributes:
        values: A list of objects a row, as far as they are spans.
        said: Whose way of writing them it is, where it is not the plain one.
        notes: On spans that are named twice.
    """

    values: list[Any]
    said: str | None
    notes: list[str]


def is_span(item: Any) -> bool:
    """Whether something is a span, in any way of writing it."""
    if isinstance(item, dict):
        return any(key in item for key in _STARTS) and any(key in item for key in _ENDS)
    return isinstance(item, list | tuple) and _order(item) is not None


def spans_within(value: Any) -> Any:
    """A row's spans where they stand within an object; anything else as it is."""
    if isinstance(value, dict) and len(value) == 1:
        ((key, held),) = value.items()
        if key in _WITHIN and isinstance(held, list) and all(map(is_span, held)):
            return held
    return value


def read_spans(values: Sequence[Any], column: str) -> Spans:
    """Make the spans of a column alike.

    Args:
        values: Lists of spans, one a row; what is none stays as it is.
        column: Its name, for messages.

    Raises:
        EncT5Error: If a span has several labels.
    """
    read, twice = [], []
    first = next((item for value in values if isinstance(value, list) for item in value), None)
    for row, value in enumerate(values):
        if not isinstance(value, list):
            read.append(value)
            continue
        spans = [_plain(item, column, row + 1) if is_span(item) else item for item in value]
        kept = [span for place, span in enumerate(spans) if span not in spans[:place]]
        if len(kept) < len(spans):
            twice.append(row)
        read.append(kept)
    notes = [f"an entity is named more than once in {in_rows(twice)}, and counts once"] if twice else []
    return Spans(read, _tool(first), notes)


def _order(item: Sequence[Any]) -> tuple[int, int, int] | None:
    """Where start, end and label stand in a list of three."""
    if len(item) != 3:
        return None
    first, second, third = (isinstance(part, int | float) and not isinstance(part, bool) for part in item)
    if first and second and isinstance(item[2], str):
        return 0, 1, 2
    return (1, 2, 0) if second and third and isinstance(item[0], str) else None


def _tool(item: Any) -> str | None:
    if isinstance(item, dict):
        if "start_offset" in item:
            return "doccano"
        return "Label Studio" if isinstance(item.get("labels"), list) else None
    order = _order(item) if isinstance(item, list | tuple) else None
    return None if order is None else "doccano and spaCy" if order[0] == 0 else "Argilla"


def _plain(item: Any, column: str, row: int) -> dict[str, Any]:
    if not isinstance(item, dict):
        start, end, label = (item[place] for place in _order(item) or ())
        return {"start": _whole(start), "end": _whole(end), "label": label}
    label = next((item[key] for key in _LABELS if key in item), None)
    if isinstance(label, list) and len(label) > 1:
        raise EncT5Error(
            f"column {show(column)}, row {row}: {show(item)} has {len(label)} labels; a word can have one label only: "
            "keep one of them"
        )
    if isinstance(label, list):
        label = label[0] if label else None
    start, end = (next(item[key] for key in keys if key in item) for keys in (_STARTS, _ENDS))
    aside = {
        key: value for key, value in item.items() if key not in (*_STARTS, *_ENDS, *_LABELS) and isinstance(value, str)
    }
    return {"start": _whole(start), "end": _whole(end), "label": label, **aside}


def _whole(offset: Any) -> Any:
    """An offset as a whole number, where it is one that tables hold as a fraction."""
    return int(offset) if isinstance(offset, float) and offset.is_integer() else offset
