"""From which score on a multi-label model gives each label: tuning the thresholds, and deciding by them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Thresholds = Sequence[float] | None  # one per label; None stands for 0.5 everywhere

DEFAULT = 0.5
# A threshold that suits a handful of positives best says little about new texts.
FEWEST_POSITIVES = 10


def decide(logits: Array, thresholds: Thresholds) -> Array:
    """Tell which labels are given: those whose score reaches the threshold.

    Args:
        logits: Floats of shape (n, labels).
        thresholds: One per label, or None for 0.5.

    Returns:
        Booleans of shape (n, labels).
    """
    return np.asarray(_scores(logits) >= (DEFAULT if thresholds is None else np.asarray(thresholds)))


def tune(logits: Array, labels: Array) -> list[float]:
    """Choose each label's threshold for its F1.

    A label with fewer than `FEWEST_POSITIVES` positives gets the threshold that is best for all labels pooled (for the
    micro F1), or 0.5 where even those are fewer.

    Args:
        logits: Floats of shape (n, labels).
        labels: Zeros and ones of shape (n, labels).

    Returns:
        One threshold per label, between 0 and 1.
    """
    scores, truth = _scores(logits), labels >= 0.5
    fallback = _best(scores.ravel(), truth.ravel()) if truth.sum() >= FEWEST_POSITIVES else DEFAULT
    return [
        _best(column, wanted) if wanted.sum() >= FEWEST_POSITIVES else fallback
        for column, wanted in zip(scores.T, truth.T, strict=True)
    ]


def _scores(logits: Array) -> Array:
    # in float64, so that scores near 1 stay apart, and tuning and deciding see the same numbers
    with np.errstate(over="ignore"):  # of very negative logits, whose score is 0
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


def _best(scores: Array, truth: Array) -> float:
    """The threshold of the best F1, midway between two neighbouring scores: rounding then changes no decision."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, steps = precision_recall_curve(truth, scores)
    # the curve ends in a point without a threshold
    total = precision[:-1] + recall[:-1]
    f1 = np.divide(2 * precision[:-1] * recall[:-1], total, out=np.zeros_like(total), where=total > 0)
    best = int(f1.argmax())
    below = steps[best - 1] if best else 0.0
    middle = (below + steps[best]) / 2
    return float(middle if middle > below else steps[best])
