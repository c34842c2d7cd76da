"""Figures of entities by hand, and seqeval's."""

import numpy as np
import pytest
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

from enct5.metrics.entities import entity_metrics, per_label_entities
from enct5.tasks.entities import spans_of_tags

ENTITIES_FOUND = [[(0, 4, "place"), (5, 9, "day")], [(0, 2, "day")], []]
ENTITIES_RIGHT = [[(0, 4, "place"), (5, 10, "day")], [], [(3, 8, "place"), (8, 9, "place")]]


def test_entities_are_right_when_ends_and_label_are() -> None:
    """One of three found is right, and one of four is found."""
    figures = entity_metrics(ENTITIES_FOUND, ENTITIES_RIGHT)
    assert figures == pytest.approx({"entity_f1": 2 / 7, "entity_precision": 1 / 3, "entity_recall": 1 / 4})
    assert set(entity_metrics(ENTITIES_RIGHT, ENTITIES_RIGHT).values()) == {1.0}
    other_label = [[(0, 4, "day")]]
    assert set(entity_metrics(other_label, [[(0, 4, "place")]]).values()) == {0.0}


def test_entities_by_label() -> None:
    """Labels stand in the given order; one that does not occur has zeros."""
    place, day, other = per_label_entities(ENTITIES_FOUND, ENTITIES_RIGHT, ["place", "day", "other"])
    assert place == {"label": "place", "precision": 1.0, "recall": pytest.approx(1 / 3), "f1": 0.5, "support": 3}
    assert day == {"label": "day", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert other == {"label": "other", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_no_entities_at_all() -> None:
    """Nothing found where there is nothing to find is no error."""
    assert set(entity_metrics([[], []], [[], []]).values()) == {0.0}
    assert [row["support"] for row in per_label_entities([[]], [[]], ["a"])] == [0]


@pytest.mark.parametrize("seed", range(20))
def test_figures_of_entities_are_those_of_seqeval(seed: int) -> None:
    """On random tags, whose spans are read as seqeval reads them."""
    random = np.random.default_rng(seed)
    tags = ["O", *(f"{prefix}-{label}" for label in ("a", "b", "c") for prefix in "BI")]
    wanted, predicted = (
        [[str(random.choice(tags)) for _ in range(length)] for length in (0, 1, 5, 30, 80)] for _ in range(2)
    )
    predicted = [
        [right if random.random() < 0.7 else tag for right, tag in zip(*rows, strict=True)]
        for rows in zip(wanted, predicted, strict=True)
    ]
    spans = [
        [[(span.start, span.end, span.label) for span in spans_of_tags(row)] for row in rows]
        for rows in (predicted, wanted)
    ]
    precision, recall, f1, _ = precision_recall_fscore_support(wanted, predicted, average="micro")
    assert entity_metrics(*spans) == pytest.approx(
        {"entity_f1": f1, "entity_precision": precision, "entity_recall": recall}
    )
    by_label = precision_recall_fscore_support(wanted, predicted, average=None)
    for row, label, *figures in zip(per_label_entities(*spans, ["a", "b", "c"]), "abc", *by_label, strict=True):
        assert list(row.values()) == [label, *map(pytest.approx, figures)]
