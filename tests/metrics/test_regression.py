"""Figures of numbers by hand, and of constants."""

import math

import numpy as np
import pytest

from enct5.metrics.regression import regression_metrics


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
