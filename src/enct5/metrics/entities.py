"""Figures of entities: spans are sets."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

Spans = Sequence[Sequence[tuple[int, int, str]]]


def entity_metrics(predicted: Spans, wanted: Spans) -> dict[str, float]:
    """Measure entities; one is right when its start, end and label are.

    Args:
        predicted: `(start, end, label)` of every text's predicted entities, which do not overlap.
        wanted: The right ones.

    Returns:
        `entity_f1`, `entity_precision` and `entity_recall` over all entities (micro average); 0 with none to count.
    """
    figures = _shares(*(counts.total() for counts in _span_counts(predicted, wanted)))
    return {f"entity_{name}": figures[name] for name in ("f1", "precision", "recall")}


def per_label_entities(predicted: Spans, wanted: Spans, label_names: Sequence[str]) -> list[dict[str, Any]]:
    """Tabulate entities by label.

    Args:
        predicted: As for `entity_metrics`.
        wanted: As for `entity_metrics`.
        label_names: The labels.

    Returns:
        Records as of `per_label`, in the order of `label_names`; `support` is a label's number of right entities.
    """
    right, found, there = _span_counts(predicted, wanted)
    return [
        {"label": name, **_shares(right[name], found[name], there[name]), "support": there[name]}
        for name in label_names
    ]


def _span_counts(predicted: Spans, wanted: Spans) -> list[Counter[str]]:
    """How many spans of each label are predicted rightly, predicted, and wanted."""
    right = [set(found) & set(there) for found, there in zip(predicted, wanted, strict=True)]
    return [Counter(label for spans in rows for _, _, label in spans) for rows in (right, predicted, wanted)]


def _shares(right: int, predicted: int, wanted: int) -> dict[str, float]:
    return {
        "precision": right / max(predicted, 1),
        "recall": right / max(wanted, 1),
        "f1": 2 * right / max(predicted + wanted, 1),
    }
