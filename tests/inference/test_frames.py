"""Tables in, by their columns of texts; a DataFrame out, by the index of what was given."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import Dataset

from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from helpers.texts import LABELS, sentences


@pytest.mark.parametrize("make", [pd.DataFrame, Dataset.from_dict, pa.table, dict])
def test_tables_are_taken_by_the_columns_of_the_training(make: Any, predictor: Predictor, untold: Predictor) -> None:
    texts = sentences(4)
    table = make({"other": [*"abcd"], "text": texts, "second": texts[::-1]})
    wanted = predictor.predict(texts)
    assert predictor.predict(table) == wanted
    assert list(predictor.stream(table)) == wanted
    np.testing.assert_array_equal(predictor.logits(table), predictor.logits(texts))
    assert predictor.predict(table, text="second") == wanted[::-1]
    pairs = list(zip(texts, texts[::-1], strict=True))
    assert untold.predict(table, text=("text", "second")) == untold.predict(pairs)
    with pytest.raises(EncT5Error, match="the model was trained on `text`; give it single texts"):
        predictor.predict(table, text=("text", "second"))


def test_columns_that_are_not_asked_for_may_hold_anything(predictor: Predictor) -> None:
    texts = sentences(2)
    assert predictor.predict(pd.DataFrame({"text": texts, 5: [object(), {1}]})) == predictor.predict(texts)
    assert predictor.predict({"text": texts, "x": [object()]}) == predictor.predict(texts)


def test_frames_and_series_of_polars_are_taken(predictor: Predictor) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"text": sentences(3), "x": [1, 2, 3]})
    assert predictor.predict(frame) == predictor.predict(frame["text"]) == predictor.predict(sentences(3))


def test_a_column_is_named_for_tables_only_and_has_to_be_named_where_the_model_does_not_say_it(
    predictor: Predictor,
) -> None:
    with pytest.raises(EncT5Error, match="`text` is `message`, which names a column, but these are texts"):
        predictor.predict(["a"], text="message")
    silent = Predictor(predictor.model, predictor.tokenizer)
    with pytest.raises(EncT5Error, match="a DataFrame is no list of texts; name its column of texts"):
        silent.predict(pd.DataFrame({"text": ["a"]}))
    assert silent.predict(pd.DataFrame({"text": ["a"]}), text="text") == predictor.predict(["a"])


def test_a_frame_of_results_has_the_index_of_the_texts(predictor: Predictor) -> None:
    texts = pd.Series(sentences(4), index=[7, 3, 3, "x"], name="text")
    records = predictor.predict(texts)
    for given in (texts, texts.to_frame()):
        frame = predictor.predict(given, as_frame=True)
        assert list(frame.columns) == ["label", "score"]
        assert list(frame.index) == [7, 3, 3, "x"]
        assert frame.to_dict("records") == records
    assert predictor.predict(list(texts), as_frame=True).to_dict("records") == records
    assert list(predictor.predict(list(texts), as_frame=True).index) == [0, 1, 2, 3]
    assert predictor.predict(texts.iloc[0], as_frame=True).to_dict("records") == [predictor.predict(texts.iloc[0])]
    assert list(predictor.predict([], as_frame=True).columns) == ["label", "score"]


def test_a_frame_of_all_scores_has_a_column_a_label(predictor: Predictor) -> None:
    texts = sentences(4)
    best = predictor.predict(texts, all_scores=True)
    assert best == predictor.predict(texts, top_k=None)
    frame = predictor.predict(texts, all_scores=True, as_frame=True)
    assert list(frame.columns) == ["label", "score", *(f"score_{label}" for label in LABELS)]
    for row, scores in zip(frame.to_dict("records"), best, strict=True):
        assert {one["label"]: one["score"] for one in scores} == {label: row[f"score_{label}"] for label in LABELS}
        assert (row["label"], row["score"]) == (scores[0]["label"], scores[0]["score"])
    frame = predictor.predict(texts, top_k=2, as_frame=True, abstain_below=1.0)
    assert list(frame.columns) == ["label", "score", "label_1", "score_1", "label_2", "score_2"]
    assert frame["label"].isna().all()
    assert frame["label_2"].tolist() == [one[1]["label"] for one in best]
    with pytest.raises(EncT5Error, match="`top_k` and `all_scores` do not go together"):
        predictor.predict(texts, top_k=2, all_scores=True)
