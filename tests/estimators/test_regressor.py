"""A regressor learns numbers, one a text or several, and gives them in the shape of `y`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score

from enct5.estimators import EncT5Regressor
from helpers.estimators import leave_untrained
from helpers.runs import Run, numbers

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS, Y = [row["text"] for row in numbers(60)], np.array([row["label"] for row in numbers(60)])


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch, t5_folder: Callable[..., Path]) -> None:
    leave_untrained(monkeypatch, t5_folder())


def test_it_learns(run: Run) -> None:
    y = 1000 + 50 * Y
    fitted = EncT5Regressor(base=str(run.base), epochs=20, batch_size=8, learning_rate=3e-3).fit(TEXTS, y)
    predicted = fitted.predict(TEXTS)
    assert predicted.shape == (60,)
    assert predicted.dtype == np.float64
    assert fitted.score(TEXTS, y) == r2_score(y, predicted)
    assert fitted.score(TEXTS, y) > 0.5
    assert "rmse" in fitted.metrics_


@pytest.mark.parametrize("y", [Y, Y[:, None], np.stack([Y, -Y], axis=1), pd.Series(Y), list(range(60))])
def test_predictions_have_the_shape_of_y(y: object, untrained: None) -> None:
    fitted = EncT5Regressor().fit(TEXTS, y)
    predicted = fitted.predict(TEXTS[:7])
    assert predicted.shape == (7, *np.shape(y)[1:])
    values = [np.atleast_1d(row["value"]) for row in fitted.predictor_.predict(TEXTS[:7])]
    np.testing.assert_allclose(predicted.reshape(7, -1), values, atol=1e-6)


def test_it_is_cross_validated(untrained: None) -> None:
    scores = cross_val_score(EncT5Regressor(), TEXTS, Y, cv=3, error_score="raise")
    assert len(set(scores)) == 3


def test_numbers_have_to_be_there() -> None:
    with pytest.raises(ValueError, match="y contains NaN"):
        EncT5Regressor().fit(TEXTS[:2], [1.0, np.nan])
