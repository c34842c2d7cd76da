"""Thresholds: the best F1 by trying every one, the fallback for rare labels, decisions that rounding cannot turn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from enct5.metrics import thresholds
from enct5.metrics.thresholds import FEWEST_POSITIVES, decide, tune


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def sample(rows: int = 300, labels: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of falling frequency, and logits that say something about them but not at 0."""
    random = np.random.default_rng(seed)
    truth = random.random((rows, labels)) < 0.4 / np.arange(1, labels + 1)
    logits = random.normal(size=(rows, labels)) + 2 * truth - np.linspace(1, 3, labels)
    return logits.astype(np.float32), truth.astype(np.float32)


def best_f1(scores: np.ndarray, truth: np.ndarray) -> float:
    """The highest F1 of any cut, tried one by one."""
    return max(f1_score(truth, scores >= cut, zero_division=0) for cut in np.unique(scores))


def test_without_thresholds_one_half_decides() -> None:
    logits = np.array([[-1e-3, 0.0, 1e-3], [-50.0, 50.0, np.inf]], dtype=np.float32)
    assert decide(logits, None).tolist() == [[False, True, True], [False, True, True]]


def test_each_label_has_its_own_threshold_which_counts_as_reached() -> None:
    logits = np.log(np.array([[0.25 / 0.75, 0.25 / 0.75], [9.0, 9.0]]))
    assert decide(logits, [0.25, 0.9 + 1e-9]).tolist() == [[True, False], [True, False]]
    assert decide(logits, [0.0, 1.0]).tolist() == [[True, False], [True, False]]


def test_the_best_f1_of_every_label_is_reached() -> None:
    logits, labels = sample()
    assert labels.sum(axis=0).min() >= FEWEST_POSITIVES
    tuned = tune(logits, labels)
    given, plain = decide(logits, tuned), decide(logits, None)
    for label in range(labels.shape[1]):
        reached = f1_score(labels[:, label], given[:, label])
        assert reached == pytest.approx(best_f1(sigmoid(logits[:, label]), labels[:, label]))
        assert reached > f1_score(labels[:, label], plain[:, label])
        assert 0 < tuned[label] < 0.5


def test_a_threshold_lies_midway_between_two_scores() -> None:
    logits, labels = sample()
    for label, threshold in enumerate(tune(logits, labels)):
        scores = np.sort(sigmoid(logits[:, label]))
        place = np.searchsorted(scores, threshold)
        assert threshold == pytest.approx((scores[place - 1] + scores[place]) / 2)


def test_decisions_survive_float32_scores() -> None:
    """A user of the stock pipeline compares float32 scores; they fall on the same side."""
    logits, labels = sample(rows=2000)
    tuned = tune(logits, labels)
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    np.testing.assert_array_equal(scores >= np.array(tuned), decide(logits, tuned))


def test_labels_with_few_positives_share_the_pooled_threshold() -> None:
    logits, labels = sample(rows=400, labels=6, seed=1)
    labels[:, 4:] = 0
    labels[: FEWEST_POSITIVES - 1, 4] = 1  # one too few; label 5 has none
    tuned = tune(logits, labels)
    assert tuned[4] == tuned[5]
    assert len(set(tuned)) == 5
    pooled = f1_score(labels.ravel(), sigmoid(logits).ravel() >= tuned[4])
    assert pooled == pytest.approx(best_f1(sigmoid(logits).ravel(), labels.ravel()))
    labels[FEWEST_POSITIVES - 1, 4] = 1
    assert tune(logits, labels)[4] != tuned[4]


def test_one_half_where_even_all_labels_have_few_positives() -> None:
    logits, labels = sample(rows=40, labels=3)
    labels[:] = 0
    labels[: FEWEST_POSITIVES // 3] = 1
    assert tune(logits, labels) == [0.5, 0.5, 0.5]
    assert tune(logits, np.zeros_like(labels)) == [0.5, 0.5, 0.5]


def test_giving_a_label_to_every_text_can_be_the_best() -> None:
    rows = 4 * FEWEST_POSITIVES
    logits = np.linspace(-3, -1, rows, dtype=np.float32)[:, None]
    labels = np.ones((rows, 1), dtype=np.float32)
    tuned = tune(logits, labels)
    assert decide(logits, tuned).all()
    assert 0 < tuned[0] < sigmoid(logits).min()


def test_scores_without_a_number_between_them_are_still_parted() -> None:
    low = 0.5
    high = np.nextafter(low, 1)
    scores = np.array([low] * FEWEST_POSITIVES + [high] * FEWEST_POSITIVES)
    truth = scores == high
    assert ((scores >= thresholds._best(scores, truth)) == truth).all()


def test_constant_scores_are_answered() -> None:
    logits = np.zeros((3 * FEWEST_POSITIVES, 1), dtype=np.float32)
    labels = (np.arange(len(logits)) % 2)[:, None].astype(np.float32)
    assert decide(logits, tune(logits, labels)).all()  # F1 2/3 against 0
