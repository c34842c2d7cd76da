"""scikit-learn's own checks of estimators, on those of them that say something about texts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.utils import estimator_checks

from enct5.estimators import EncT5Classifier, EncT5Regressor, EncT5Tagger
from helpers.estimators import ClassifierOfNumbers, RegressorOfNumbers, leave_untrained

pytest.importorskip("sklearn", minversion="1.6", reason="older ones cannot be told which checks fail")
pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

UNTRAINED = "it asks for figures of a model that has learned, and this one is random"
EXPECTED_TO_FAIL = {
    "check_classifiers_train": UNTRAINED,
    "check_regressors_train": UNTRAINED,
    "check_methods_subset_invariance": "texts are batched by their length: other neighbours, other rounding (1e-6)",
    "check_fit2d_1sample": "a part of the texts is held out, for which one is too few; the message says it so",
}


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch, t5_folder: Callable[..., Path]) -> None:
    leave_untrained(monkeypatch, t5_folder())


@estimator_checks.parametrize_with_checks(
    [ClassifierOfNumbers(), RegressorOfNumbers()], expected_failed_checks=lambda estimator: EXPECTED_TO_FAIL
)
def test_estimators_are_what_scikit_learn_expects(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.filterwarnings("ignore:Can't test estimator")
@estimator_checks.parametrize_with_checks([EncT5Classifier(), EncT5Regressor(), EncT5Tagger()])
def test_estimators_of_texts_too_as_far_as_it_looks_at_them(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
