"""Logits that every figure and prediction needs to be numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def check_logits(logits: Array) -> None:
    """Refuse logits that are no numbers, of which every figure and prediction would be meaningless.

    Args:
        logits: Model outputs of any shape.

    Raises:
        ValueError: If there are none, or some are NaN.
    """
    if logits.size == 0:
        raise ValueError("no logits: there is nothing to measure")
    rows = np.any(np.isnan(logits), axis=tuple(range(1, logits.ndim)))
    if np.any(rows):
        raise ValueError(
            f"logits of {np.sum(rows)} of {len(logits)} rows are NaN (first: row {np.argmax(rows)}); "
            "the model overflowed: load or train it in float32 or bfloat16, not float16"
        )
