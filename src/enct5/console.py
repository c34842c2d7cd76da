"""Tables on the terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_MOST_LABELS = 30


def _cells(values: Iterable[object]) -> list[Text]:
    """Values as they are to be read: rich would take the brackets of a label such as `[b]` for markup."""
    return [Text(f"{value:.3f}" if isinstance(value, float) else str(value)) for value in values]


def show_metrics(metrics: dict[str, float], per_label: list[dict[str, Any]], split: str) -> None:
    """Print the figures, and those of every label where they are few.

    Args:
        metrics: name -> value.
        per_label: records with the same keys, one a label; may be empty.
        split: what was evaluated on.
    """
    console = Console()
    console.print(Text(f"evaluation: {split}"), soft_wrap=True)
    table = Table("metric", "value")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}")
    console.print(table)
    if 0 < len(per_label) <= _MOST_LABELS:
        labels = Table(*per_label[0])
        for row in per_label:
            labels.add_row(*_cells(row.values()))
        console.print(labels)


def show_facts(facts: dict[str, Any]) -> None:
    """Print names and values."""
    table = Table("", "", show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(*_cells((name, value)))
    Console().print(table)


def show_predictions(rows: list[dict[str, Any]]) -> None:
    """Print records with the same keys, one a line."""
    table = Table(*rows[0], show_lines=True)
    for row in rows:
        table.add_row(*_cells(row.values()))
    Console().print(table)
