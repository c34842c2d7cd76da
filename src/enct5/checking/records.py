"""What is shown of a row."""

from collections.abc import Mapping
from typing import Any

from enct5.checking.table import CheckedTable
from enct5.tasks.entities import Entities


def record(table: CheckedTable, place: int, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The number of a row, its label, its text, and what is found of it.

    Args:
        table: The table.
        place: The row's place in `table.labelled`.
        facts: What is found; a label among it has the place of the row's own.
    """
    return {
        "Row": table.rows[place] + 1,
        "Label": label_of(table.labelled.values[place]),
        "Text": shown(table.labelled.texts[place]),
        **(facts or {}),
    }


def shown(text: Any) -> str:
    """A text in one string: of a pair both, of a list its words."""
    if isinstance(text, str):
        return text
    return (" | " if isinstance(text, tuple) else " ").join(text)


def label_of(value: Any) -> str:
    """A label value in one string."""
    if isinstance(value, Entities):
        return ", ".join(f"{span.start}-{span.end} {span.label}" for span in value.spans)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
