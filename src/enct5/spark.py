"""Predictions on Spark, by `pyspark.ml.functions.predict_batch_udf`."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from enct5.errors import EncT5Error


def make_predict_fn(model: str, **settings: Any) -> Callable[[], Callable[..., Mapping[str, np.ndarray]]]:
    """What `predict_batch_udf` takes for a model that gives one label a text: it is loaded once a worker.

    Example:
        >>> kind = StructType().add("label", "string").add("score", "double")
        >>> predict = predict_batch_udf(make_predict_fn("runs/intents"), return_type=kind, batch_size=4096)
        >>> frame.withColumn("predicted", predict("text"))

    Args:
        model: run folder, another EncT5 checkpoint, an exported model or a name on the hub, readable on every machine.
        **settings: those of `Predictor.from_pretrained`.

    Returns:
        A function without arguments, which returns one from a column of texts `(rows,)`, or for a model that was
        trained on pairs from two, to the columns `label` and `score` (`value` of a regression), each `(rows,)`. It
        raises `EncT5Error` for a model that gives anything else, such as several labels a text.
    """

    def load() -> Callable[..., Mapping[str, np.ndarray]]:
        from enct5.inference.predictor import Predictor

        predictor = Predictor.from_pretrained(model, **settings)
        names = predictor.task.prediction_columns
        if names != ("label", "score") and (names != ("value",) or predictor.engine.config.num_labels > 1):
            raise EncT5Error(
                f"{model} does {predictor.task.description}, not one label or number a text, as Spark takes"
            )

        def columns_of(texts: list[Any]) -> Mapping[str, np.ndarray]:
            found = predictor.predict(texts)
            return {name: np.array([one[name] for one in found]) for name in names}

        # Spark counts a function's arguments, and hands over as many columns.
        def predict(texts: np.ndarray) -> Mapping[str, np.ndarray]:
            return columns_of(texts.tolist())

        def predict_pairs(first: np.ndarray, second: np.ndarray) -> Mapping[str, np.ndarray]:
            return columns_of(list(zip(first.tolist(), second.tolist(), strict=True)))

        pairs = predictor.config is not None and predictor.config.takes_pairs
        return predict_pairs if pairs else predict

    return load
