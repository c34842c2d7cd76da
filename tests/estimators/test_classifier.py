"""A classifier learns, and goes where scikit-learn's estimators go."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import enct5
from enct5.estimators import EncT5Classifier
from helpers.estimators import leave_untrained
from helpers.runs import Run, messages, several_labels

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = {"epochs": 5, "batch_size": 8, "learning_rate": 3e-3}
TEXTS, LABELS = [row["text"] for row in messages(60)], np.array([row["label"] for row in messages(60)])
CLASSES = np.unique(LABELS).tolist()
SEVERAL = several_labels(40)
SEVERAL_TEXTS, LISTS = [row["text"] for row in SEVERAL], [row["label"] for row in SEVERAL]
MATRIX = np.array([[name in row for name in CLASSES] for row in LISTS], dtype=int)


@pytest.fixture(scope="module")
def fitted(run: Run, one_thread: None) -> EncT5Classifier:
    return EncT5Classifier(base=str(run.base), **QUICK).fit(TEXTS, LABELS)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch, t5_folder: Callable[..., Path]) -> None:
    leave_untrained(monkeypatch, t5_folder())


def test_it_is_the_model_of_a_run_with_these_settings(fitted: EncT5Classifier, run: Run) -> None:
    predictor = enct5.Predictor.from_pretrained(run.out)
    texts = [row["text"] for row in messages(20, seed=5)]
    assert fitted.classes_.tolist() == CLASSES
    assert fitted.metrics_ == run.record["metrics"]
    assert fitted.predict(texts).tolist() == [row["label"] for row in predictor.predict(texts)]
    scores = [{one["label"]: one["score"] for one in best} for best in predictor.predict(texts, top_k=None)]
    found = fitted.predict_proba(texts)
    np.testing.assert_allclose(found, [[row[name] for name in CLASSES] for row in scores], atol=1e-6)
    assert fitted.score(texts, LABELS[:20]) == accuracy_score(LABELS[:20], fitted.predict(texts))


def test_it_is_pickled_with_what_it_learned(fitted: EncT5Classifier, tmp_path: Path) -> None:
    joblib.dump(fitted, tmp_path / "classifier.joblib")
    for other in (joblib.load(tmp_path / "classifier.joblib"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(other.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
        assert other.get_params() == fitted.get_params()


@pytest.mark.parametrize("classes", [[10, 9, 2], [True, False], [0.5, 2.5, 1.5], ["b", "a", "B"]])
def test_classes_keep_their_type_and_order(classes: list[Any], untrained: None) -> None:
    dtype = object if isinstance(classes[0], float) else None  # numbers with fractions are no classes but as objects
    y = np.array([classes[number % len(classes)] for number in range(24)], dtype=dtype)
    if dtype is object:
        y = np.array([f"{value}" for value in y])
    fitted = EncT5Classifier().fit(TEXTS[:24], y)
    assert fitted.classes_.tolist() == sorted(set(y.tolist()))
    predicted, scores = fitted.predict(TEXTS), fitted.predict_proba(TEXTS)
    assert predicted.dtype == y.dtype
    assert predicted.tolist() == fitted.classes_[scores.argmax(axis=1)].tolist()
    assert len(set(predicted.tolist())) > 1


def test_several_labels_come_back_as_they_were_given(untrained: None) -> None:
    by_matrix = EncT5Classifier(label_prompts="names").fit(SEVERAL_TEXTS, MATRIX)
    frame = pd.DataFrame(MATRIX, columns=CLASSES)
    by_frame = EncT5Classifier().fit(SEVERAL_TEXTS, frame)
    by_lists = EncT5Classifier().fit(SEVERAL_TEXTS, LISTS)
    assert by_matrix.classes_.tolist() == [0, 1, 2]
    assert by_frame.classes_.tolist() == by_lists.classes_.tolist() == CLASSES
    lists, matrix = by_lists.predict(SEVERAL_TEXTS), by_frame.predict(SEVERAL_TEXTS)
    assert 0 < matrix.sum() < matrix.size
    for row, names in zip(matrix, lists, strict=True):
        assert {CLASSES[place] for place in np.flatnonzero(row)} == set(names)
    np.testing.assert_array_equal(by_frame.predict_proba(SEVERAL_TEXTS) >= 0.5, matrix)
    np.testing.assert_array_equal(by_lists.predict_proba(SEVERAL_TEXTS), by_frame.predict_proba(SEVERAL_TEXTS))
    assert (
        by_frame.score(SEVERAL_TEXTS, frame)
        == by_lists.score(SEVERAL_TEXTS, LISTS)
        == np.mean((matrix == MATRIX).all(axis=1))
    )
    assert by_frame.score(SEVERAL_TEXTS, matrix) == by_lists.score(SEVERAL_TEXTS, lists) == 1


def test_a_column_without_a_one_has_no_probability(untrained: None) -> None:
    fitted = EncT5Classifier().fit(SEVERAL_TEXTS, np.insert(MATRIX, 1, 0, axis=1))
    assert fitted.predict_proba(SEVERAL_TEXTS)[:, 1].tolist() == [0] * 40
    assert fitted.predict_proba(SEVERAL_TEXTS)[:, [0, 2, 3]].min() > 0
    assert fitted.predict(SEVERAL_TEXTS).shape == (40, 4)
    assert not fitted.predict(SEVERAL_TEXTS)[:, 1].any()


def test_prompts_start_from_names_that_mean_something(monkeypatch: Any, t5_folder: Callable[..., Path]) -> None:
    seen = leave_untrained(monkeypatch, t5_folder())
    EncT5Classifier().fit(SEVERAL_TEXTS, MATRIX)
    EncT5Classifier().fit(SEVERAL_TEXTS, pd.DataFrame(MATRIX, columns=CLASSES))
    EncT5Classifier().fit(SEVERAL_TEXTS, LISTS)
    assert [config.label_prompts for config in seen] == ["pad", None, None]


def test_it_is_cross_validated_searched_and_piped(untrained: None) -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(lower, EncT5Classifier())
    scores = cross_val_score(pipeline, TEXTS, LABELS, cv=3)
    assert len(scores) == 3
    assert len(set(scores)) > 1
    assert cross_val_predict(pipeline, np.array(TEXTS), LABELS, cv=2, method="predict_proba").shape == (60, 3)
    search = GridSearchCV(pipeline, {"enct5classifier__epochs": [1, 2]}, cv=2, scoring="f1_macro", error_score="raise")
    search.fit(pd.Series(TEXTS), LABELS)
    assert search.best_params_["enct5classifier__epochs"] in (1, 2)
    assert search.predict(TEXTS[:2]).tolist() == search.best_estimator_.predict(TEXTS[:2]).tolist()
    for y, folds in ((MATRIX, 2), (LISTS, KFold(2))):
        assert len(cross_val_score(EncT5Classifier(), SEVERAL_TEXTS, y, cv=folds, error_score="raise")) == 2


def test_labels_are_given_from_their_thresholds_on(untrained: None) -> None:
    fitted = EncT5Classifier().fit(SEVERAL_TEXTS, LISTS)
    fitted.predictor_.model.config.thresholds = thresholds = [0.2, 0.6, 0.8]
    scores, predicted = fitted.predict_proba(SEVERAL_TEXTS), fitted.predict(SEVERAL_TEXTS)
    assert [set(names) for names in predicted] == [
        {name for name, score, threshold in zip(CLASSES, row, thresholds, strict=True) if score >= threshold}
        for row in scores
    ]
    assert len({tuple(names) for names in predicted}) > 2
