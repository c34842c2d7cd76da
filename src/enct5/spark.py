"""Predictions on Spark, by `pyspark.ml.functions.predict_batch_udf`."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def make_predict_fn(model: str, **settings: Any) -> Callable[[], Callable[..., Mapping[str, np.ndarray]]]:
    """What `predict_batch_udf` takes for a model that gives one label a text: it is loaded once a worker.

    Example:
        >>> predict = predict_batch_udf(
        ...     make_predict_fn("runs/intents"), return_type="label string, score double", batch_size=4096
        ... )
        >>> frame.withColumn("predicted", predict("text"))

    Args:
        model: run folder, another EncT5 checkpoint, an exported model or a name on the hub, readable on every machine.
        **settings: those of `Predictor.from_pretrained`.

    Returns:
        A function without arguments, which returns one from a column of texts, or two of pairs, each `(rows,)`, to the
        columns `label` and `score` (`value` of a regression), each `(rows,)`.
    """

    def load() -> Callable[..., Mapping[str, np.ndarray]]:
        from enct5.inference.predictor import Predictor

        predictor = Predictor.from_pretrained(model, **settings)

        def predict(*columns: np.ndarray) -> Mapping[str, np.ndarray]:
            texts = columns[0].tolist() if len(columns) == 1 else list(zip(*columns, strict=True))
            found = predictor.predict(texts)
            return {name: np.array([one[name] for one in found]) for name in predictor.task.prediction_columns}

        return predict

    return load
