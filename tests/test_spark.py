"""What Spark's workers call: arrays of texts in, arrays of labels and scores out, the model loaded by each worker."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from enct5.spark import make_predict_fn
from helpers.models import MULTI, REGRESSION, TOKENS, saved_model


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


@pytest.mark.parametrize(
    ("labels", "task"), [(("a", "b"), MULTI), (("O", "B-x"), TOKENS), (("width", "height"), REGRESSION)]
)
def test_models_of_several_results_a_text_are_refused(
    t5_folder: Callable[..., Path], tmp_path: Path, labels: tuple[str, ...], task: str
) -> None:
    folder = saved_model(t5_folder(), tmp_path / "model", labels, task)
    with pytest.raises(EncT5Error, match="not one label or number a text, as Spark takes"):
        make_predict_fn(str(folder))()


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Spark on this machine, with two workers."""
    pyspark = pytest.importorskip("pyspark.sql", reason="needs pyspark")
    if shutil.which("java") is None:
        pytest.skip("needs Java, which Spark runs on")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYSPARK_PYTHON", sys.executable)
        patched.setenv("PYTHONPATH", ":".join(sys.path))
        patched.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = pyspark.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        started = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", 7).getOrCreate()
        yield started
        started.stop()


@pytest.mark.slow
def test_spark_gives_what_a_predictor_does(spark: Any, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import StructType

    folder = saved_model(t5_folder(), tmp_path / "texts")
    texts = [f"where is parcel {number} " + "late " * (number % 5) for number in range(40)]
    frame = spark.createDataFrame(list(enumerate(texts)), "id int, text string").repartition(3)
    kind = StructType().add("label", "string").add("score", "double")
    predict = predict_batch_udf(make_predict_fn(str(folder), device="cpu"), return_type=kind, batch_size=5)
    rows = frame.withColumn("predicted", predict("text")).orderBy("id").collect()
    wanted = Predictor.from_pretrained(folder).predict(texts)
    assert [row.text for row in rows] == texts
    assert [row.predicted.label for row in rows] == [one["label"] for one in wanted]
    assert [row.predicted.score for row in rows] == pytest.approx([one["score"] for one in wanted], abs=1e-5)

    folder = saved_model(t5_folder(), tmp_path / "pairs", ("match",), REGRESSION, text=("query", "document"))
    pairs = [(f"parcel {number}", f"it is late {number % 3}") for number in range(12)]
    frame = spark.createDataFrame([(number, *pair) for number, pair in enumerate(pairs)], "id int, q string, d string")
    kind = StructType().add("value", "double")
    predict = predict_batch_udf(make_predict_fn(str(folder)), return_type=kind, batch_size=5)
    rows = frame.withColumn("predicted", predict("q", "d")).orderBy("id").collect()
    wanted = Predictor.from_pretrained(folder).predict(pairs)
    assert [row.predicted.value for row in rows] == pytest.approx([one["value"] for one in wanted], abs=1e-5)
