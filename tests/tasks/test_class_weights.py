"""Weights of rare classes: the formulas by hand, and their limits."""

import numpy as np
import pytest

from enct5.tasks.multi_label import LARGEST_POSITIVE_WEIGHT, MULTI_LABEL
from enct5.tasks.single_label import SINGLE_LABEL


def test_every_class_has_the_same_total() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = SINGLE_LABEL.balance(labels, 3)
    assert weights == pytest.approx([10 / (3 * 6), 10 / (3 * 3), 10 / 3])
    assert np.mean(np.array(weights)[labels]) == pytest.approx(1)
    assert all(type(weight) is float for weight in weights)  # what a configuration can hold


def test_positives_weigh_as_much_as_negatives() -> None:
    labels = np.zeros((20, 3), dtype=np.float32)
    labels[:4, 0] = labels[:10, 1] = labels[:15, 2] = 1
    weights = MULTI_LABEL.balance(labels, 3)
    assert weights == pytest.approx([4, 1, 1 / 3])
    assert all(type(weight) is float for weight in weights)


def test_weights_of_labels_are_limited() -> None:
    labels = np.zeros((1000, 3), dtype=np.float32)
    labels[0, 0] = labels[:, 2] = 1  # one positive, none, and no negative
    assert MULTI_LABEL.balance(labels, 3) == [
        LARGEST_POSITIVE_WEIGHT,
        LARGEST_POSITIVE_WEIGHT,
        1 / LARGEST_POSITIVE_WEIGHT,
    ]
