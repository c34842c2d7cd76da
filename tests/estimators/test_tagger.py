"""A tagger learns tags of words, or spans of texts."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from seqeval.metrics import f1_score
from sklearn.model_selection import cross_val_score

from enct5.estimators import EncT5Tagger
from helpers.estimators import leave_untrained
from helpers.runs import Run
from helpers.tagging_runs import rows

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = rows(40)
WORDS, TAGS = [row["tokens"] for row in ROWS], [row["tags"] for row in ROWS]
TEXTS, SPANS = [row["text"] for row in ROWS], [row["entities"] for row in ROWS]


@pytest.fixture(scope="module")
def fitted(run: Run, one_thread: None) -> EncT5Tagger:
    return EncT5Tagger(base=str(run.base), epochs=25, batch_size=8, learning_rate=3e-3).fit(WORDS, TAGS)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch, t5_folder: Callable[..., Path]) -> None:
    leave_untrained(monkeypatch, t5_folder())


def test_words_get_the_tags_that_they_were_taught(fitted: EncT5Tagger) -> None:
    predicted = fitted.predict(WORDS)
    assert list(map(len, predicted)) == list(map(len, WORDS))
    assert fitted.classes_.tolist() == ["O", "B-place", "I-place", "B-thing", "I-thing"]
    assert {tag for row in predicted for tag in row} <= set(fitted.classes_)
    score = fitted.score(WORDS, TAGS)
    assert score == pytest.approx(f1_score(TAGS, predicted))
    assert score > 0.5
    assert fitted.score(WORDS, predicted) == 1


def test_words_of_arrays_are_those_of_lists(fitted: EncT5Tagger) -> None:
    held = pd.Series([np.array(words) for words in WORDS])  # as pandas reads them from Parquet
    assert fitted.predict(held) == fitted.predict(WORDS)
    assert fitted.predictor_.predict(held) == fitted.predictor_.predict(WORDS)
    assert fitted.score(held, pd.Series(TAGS)) == fitted.score(WORDS, TAGS)


def test_it_is_pickled_with_what_it_learned(fitted: EncT5Tagger) -> None:
    assert pickle.loads(pickle.dumps(fitted)).predict(WORDS) == fitted.predict(WORDS)


def test_texts_have_spans(untrained: None) -> None:
    fitted = EncT5Tagger().fit(TEXTS, SPANS)
    predicted: list[Any] = fitted.predict(TEXTS)
    assert predicted == [row["entities"] for row in fitted.predictor_.predict(TEXTS)]
    assert any(predicted)
    assert fitted.score(TEXTS, predicted) == 1
    assert fitted.score(TEXTS, SPANS) < 1


def test_it_is_cross_validated(untrained: None) -> None:
    assert len(cross_val_score(EncT5Tagger(), WORDS, TAGS, cv=2, error_score="raise")) == 2


def test_tags_have_to_fit_their_words() -> None:
    with pytest.raises(ValueError, match="row 1: 1 tags for 2 words"):
        EncT5Tagger().fit([["a", "b"], ["c"]], [["O"], ["B-x"]])
