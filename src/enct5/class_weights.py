"""Weights that make up for rare classes: `--class-weights balanced`, for `class_weights` of the configuration."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Beyond it a few texts of a rare label would outweigh everything else in their batch.
LARGEST_POSITIVE_WEIGHT = 10.0


def balanced_classes(labels: Array, classes: int) -> list[float]:
    """Weigh classes so that each has the same total: n / (classes * its number of rows).

    Args:
        labels: Class ids of shape (n,).
        classes: Number of classes, each of which occurs.

    Returns:
        One weight per class, in id order; their mean over the rows is 1.
    """
    from sklearn.utils.class_weight import compute_class_weight

    return [float(weight) for weight in compute_class_weight("balanced", classes=np.arange(classes), y=labels)]


def balanced_labels(labels: Array, count: int) -> list[float]:
    """Weigh the rows that have a label so that they count as much as those without it: negatives / positives.

    Args:
        labels: Zeros and ones of shape (n, labels).
        count: Number of labels.

    Returns:
        One weight per label, in id order, between 1 / `LARGEST_POSITIVE_WEIGHT` and `LARGEST_POSITIVE_WEIGHT`.
    """
    positives = (labels >= 0.5).sum(axis=0)
    ratios = (len(labels) - positives) / np.maximum(positives, 1)
    return [float(ratio) for ratio in np.clip(ratios, 1 / LARGEST_POSITIVE_WEIGHT, LARGEST_POSITIVE_WEIGHT)]
