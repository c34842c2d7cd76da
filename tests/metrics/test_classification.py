"""Figures of every task against values worked out by hand, and degenerate inputs."""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

from enct5.metrics.classification import (
    abstention_metrics,
    multi_label_metrics,
    per_label,
    per_label_multi,
    single_label_metrics,
)
from enct5.metrics.entities import entity_metrics, per_label_entities
from enct5.metrics.regression import regression_metrics
from enct5.tasks.entities import spans_of_tags

Array = npt.NDArray[Any]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """Degenerate inputs are answered, not warned about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def one_hot(classes: list[int], count: int) -> Array:
    """Logits that predict the given classes."""
    return np.eye(count, dtype=np.float32)[classes]


def test_single_label() -> None:
    """Three of four right; one of class 1 taken for class 0."""
    found = single_label_metrics(one_hot([0, 0, 1, 0], 2), np.array([0, 0, 1, 1]))
    assert found["accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["matthews_correlation"] == pytest.approx(1 / math.sqrt(3))


def test_single_label_ignores_classes_that_do_not_occur() -> None:
    """A class without rows or predictions does not lower the macro F1."""
    assert single_label_metrics(one_hot([0, 1], 5), np.array([0, 1]))["macro_f1"] == 1.0


def test_single_label_of_one_class() -> None:
    """Matthews correlation is 0 where it is not defined."""
    found = single_label_metrics(one_hot([0, 0], 2), np.array([0, 0]))
    error = found.pop("expected_calibration_error")
    assert error == pytest.approx(1 / (1 + math.e))  # always right, with a score of e / (1 + e)
    assert found == {"accuracy": 1.0, "macro_f1": 1.0, "matthews_correlation": 0.0}


def test_abstention() -> None:
    """What is answered at all, and how much of that is right; a score at the limit is an answer."""
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.5, 0.5]], dtype=np.float64)
    labels = np.array([0, 0, 0, 0])
    assert abstention_metrics(scores, labels, 0.8) == {"coverage": 0.5, "answered_accuracy": 0.5}
    assert abstention_metrics(scores, labels, 0.85) == {"coverage": 0.25, "answered_accuracy": 1}
    assert abstention_metrics(scores, labels, 0) == {"coverage": 1, "answered_accuracy": 0.5}
    assert abstention_metrics(scores, labels, 1) == {"coverage": 0, "answered_accuracy": 0}


def test_multi_label() -> None:
    """A score of exactly 0.5 counts as predicted; a label that occurs nowhere is left out of the macro F1."""
    logits = np.array([[2.0, -2.0, -9.0], [0.0, -1.0, -9.0], [3.0, 4.0, -9.0]])
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=np.float32)
    found = multi_label_metrics(logits, labels)
    assert found["micro_f1"] == pytest.approx(6 / 8)
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["subset_accuracy"] == pytest.approx(2 / 3)


def test_multi_label_with_thresholds_gives_both_figures() -> None:
    """Those of the thresholds under the plain names, those at 0.5 beside them."""
    logits = np.array([[2.0, -2.0], [0.0, -1.0], [3.0, 4.0]])
    labels = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    found = multi_label_metrics(logits, labels, [0.6, 0.2])  # scores .88 .5 .95 and .12 .27 .98
    assert {name: found[name] for name in ("micro_f1", "macro_f1", "subset_accuracy")} == {
        "micro_f1": 1.0,
        "macro_f1": 1.0,
        "subset_accuracy": 1.0,
    }
    plain = multi_label_metrics(logits, labels)
    assert {name: value for name, value in found.items() if name.endswith("_at_0.5")} == {
        f"{name}_at_0.5": value for name, value in plain.items()
    }
    assert plain["macro_f1"] < 1


def test_multi_label_of_a_single_label() -> None:
    """One label, or one that occurs, is measured as a label and not as two classes."""
    logits, labels = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([[1], [0], [0], [0]])
    found = multi_label_metrics(logits, labels)
    assert found == {"micro_f1": pytest.approx(2 / 3), "macro_f1": pytest.approx(2 / 3), "subset_accuracy": 0.75}
    wide = multi_label_metrics(np.pad(logits, ((0, 0), (2, 0)), constant_values=-1), np.pad(labels, ((0, 0), (2, 0))))
    assert wide == found


def test_multi_label_without_any_label() -> None:
    """Nothing to find and nothing found: every row is right, the F1 is 0."""
    found = multi_label_metrics(np.full((2, 3), -1.0), np.zeros((2, 3)))
    assert found == {"micro_f1": 0.0, "macro_f1": 0.0, "subset_accuracy": 1.0}


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_regression(shape: tuple[int, ...]) -> None:
    """Logits of shape (n,) and (n, 1) are the same; figures by hand."""
    found = regression_metrics(np.array([1.0, 2.0, 3.0, 5.0]).reshape(shape), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found["spearman"] == pytest.approx(1.0)
    assert found["pearson"] == pytest.approx(6.5 / math.sqrt(5 * 8.75))
    assert found["mae"] == pytest.approx(0.25)
    assert found["rmse"] == pytest.approx(0.5)
    assert found["r2"] == pytest.approx(1 - 1 / 5)


def test_regression_averages_targets() -> None:
    """Two targets, one exact and one upside down."""
    labels = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    found = regression_metrics(labels * [1, -1], labels)
    assert found["pearson"] == pytest.approx(0.0)
    assert found["mae"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "labels", "r2"),
    [
        ([1, 1, 1], [1, 2, 3], -1.5),
        ([1, 2, 3], [2, 2, 2], 0.0),
        ([2, 2], [2, 2], 1.0),
        ([2], [2], 1.0),
        ([1], [2], 0.0),
    ],
)
def test_regression_of_constants(values: list[float], labels: list[float], r2: float) -> None:
    """Correlations of constants are 0, never NaN."""
    found = regression_metrics(np.array(values, dtype=float), np.array(labels, dtype=float))
    assert (found["pearson"], found["spearman"]) == (0.0, 0.0)
    assert found["r2"] == pytest.approx(r2)
    assert not any(math.isnan(value) for value in found.values())


def test_per_label() -> None:
    """One record per class, also for classes that do not occur."""
    table = per_label(one_hot([0, 0, 1, 0], 3), np.array([0, 0, 1, 1]), ["a", "b", "c"])
    assert table[0] == {"label": "a", "precision": pytest.approx(2 / 3), "recall": 1.0, "f1": 0.8, "support": 2}
    assert table[1] == {"label": "b", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2}
    assert table[2] == {"label": "c", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_per_label_multi() -> None:
    """The same record for labels that may come together."""
    logits, labels = np.array([[1.0, -1.0], [0.0, -1.0]]), np.array([[1, 1], [0, 0]], dtype=np.float32)
    table = per_label_multi(logits, labels, ["a", "b"])
    assert table[0] == {
        "label": "a",
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
        "threshold": 0.5,
    }
    assert table[1] == {"label": "b", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1, "threshold": 0.5}
    table = per_label_multi(logits, labels, ["a", "b"], [0.7, 0.25])
    assert [(row["f1"], row["threshold"]) for row in table] == [(1.0, 0.7), (pytest.approx(2 / 3), 0.25)]


@pytest.mark.parametrize("labels", [1, 3])
def test_tables_have_a_row_per_label(labels: int) -> None:
    """A model of one label is no special case."""
    names = [f"l{number}" for number in range(labels)]
    table = per_label_multi(np.ones((2, labels)), np.ones((2, labels)), names)
    assert [row["label"] for row in table] == names
    assert {row["f1"] for row in table} == {1.0}


@pytest.mark.parametrize("measure", [single_label_metrics, multi_label_metrics, regression_metrics])
def test_nan_logits_are_refused(measure: Callable[[Array, Array], dict[str, float]]) -> None:
    """An overflowed model is named as the cause."""
    logits = np.array([[0.0, 1.0], [math.nan, 0.0], [0.0, math.nan]])
    with pytest.raises(ValueError, match=r"logits of 2 of 3 rows are NaN \(first: row 1\); .*not float16"):
        measure(logits, np.zeros((3, 2)))


def test_no_logits_are_refused() -> None:
    """An empty evaluation has no figures."""
    with pytest.raises(ValueError, match="nothing to measure"):
        single_label_metrics(np.zeros((0, 2)), np.zeros(0))


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
