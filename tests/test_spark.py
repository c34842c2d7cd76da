"""What Spark's workers call: arrays of texts in, arrays of labels and scores out, the model loaded by each worker."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from enct5.inference.predictor import Predictor
from enct5.spark import make_predict_fn
from helpers.models import saved_model


def test_columns_of_texts_become_columns_of_labels(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = saved_model(t5_folder(), tmp_path / "model")
    texts = ["my parcel is late", "refund", "coffee"]
    wanted = Predictor.from_pretrained(folder).predict(texts)
    found = make_predict_fn(str(folder), device="cpu")()(np.array(texts, dtype=object))  # as Spark hands strings over
    assert found["label"].tolist() == [one["label"] for one in wanted]
    np.testing.assert_allclose(found["score"], [one["score"] for one in wanted], rtol=1e-6)


def test_two_columns_are_pairs(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = saved_model(t5_folder(), tmp_path / "model", ("match",), "regression", text=("query", "document"))
    first, second = np.array(["late", "coffee"], dtype=object), np.array(["parcel", "cup"], dtype=object)
    wanted = Predictor.from_pretrained(folder).predict([("late", "parcel"), ("coffee", "cup")])
    found = make_predict_fn(str(folder))()(first, second)
    assert list(found) == ["value"]
    np.testing.assert_allclose(found["value"], [one["value"] for one in wanted], rtol=1e-6)
