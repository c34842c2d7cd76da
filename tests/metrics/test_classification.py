"""Figures of classes and labels against values worked out by hand, and degenerate inputs."""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from enct5.metrics.classification import (
    abstention_metrics,
    multi_label_metrics,
    per_label,
    per_label_multi,
    single_label_metrics,
)
from enct5.metrics.regression import regression_metrics

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
