"""Calibration: the error by hand, the temperature that undoes an exaggeration, and splits that say little."""

import numpy as np
import pytest
from scipy.special import log_softmax

from enct5.metrics.calibration import expected_calibration_error, fit_temperature, reliability


def drawn(count: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn with exactly their probabilities."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(count, classes)) * 2
    powers = np.exp(logits)
    cumulated = (powers / powers.sum(axis=1, keepdims=True)).cumsum(axis=1)
    return logits.astype(np.float32), (random.random((count, 1)) > cumulated).sum(axis=1)


def test_reliability_groups_texts_of_like_score() -> None:
    scores = np.array([[0.9, 0.1], [0.08, 0.92], [0.7, 0.3], [0.55, 0.45]])
    counts, means, right = reliability(scores, np.array([0, 0, 0, 1]))
    assert counts.tolist() == [1, 1, 2]
    assert means == pytest.approx([0.55, 0.7, 0.91])
    assert right.tolist() == [0, 1, 0.5]


def test_a_score_on_a_border_belongs_to_the_lower_bin() -> None:
    scores = np.array([[0.6, 0.4], [0.59, 0.41], [0.61, 0.39], [1.0, 0.0]])
    assert reliability(scores, np.zeros(4, int))[0].tolist() == [2, 1, 1]


def test_expected_calibration_error() -> None:
    """Two bins: mean score 0.91 with half right, and 0.7 all right."""
    scores = np.array([[0.9, 0.1], [0.08, 0.92], [0.7, 0.3]])
    error = expected_calibration_error(np.log(scores), np.array([0, 0, 0]))
    assert error == pytest.approx((2 * 0.41 + 0.3) / 3)
    assert expected_calibration_error(np.array([[500.0, -500.0]]), np.array([0])) == 0
    assert expected_calibration_error(np.array([[500.0, -500.0]]), np.array([1])) == 1


@pytest.mark.parametrize("factor", [0.25, 1, 4])
def test_the_temperature_undoes_an_exaggeration(factor: float) -> None:
    logits, labels = drawn(4000)
    temperature = fit_temperature(logits * factor, labels)
    assert temperature == pytest.approx(factor, rel=0.05)
    assert expected_calibration_error(logits * factor / temperature, labels) < 0.03


def test_the_temperature_gives_the_labels_their_highest_likelihood() -> None:
    logits, labels = drawn(2000)

    def likelihood(temperature: float) -> float:
        return float(log_softmax(3 * logits / temperature, axis=-1)[np.arange(2000), labels].sum())

    best = fit_temperature(3 * logits, labels)
    assert likelihood(best) > max(likelihood(best * 0.98), likelihood(best * 1.02))


def test_splits_that_say_little_leave_the_scores_nearly_as_they_are() -> None:
    assert fit_temperature(np.zeros((5, 3)), np.zeros(5, int)) == pytest.approx(1, abs=1e-3)
    logits = np.eye(3) * 2
    assert 0.4 < fit_temperature(logits, np.arange(3)) < 1  # all right: without more texts, only a little surer
    assert 1 < fit_temperature(logits, np.array([1, 2, 0])) < 5


def test_probabilities_are_matched_where_they_stand_for_labels() -> None:
    logits = np.random.default_rng(0).normal(size=(500, 4))
    powers = np.exp(logits / 2.5)
    wanted = powers / powers.sum(axis=1, keepdims=True)
    assert fit_temperature(logits, wanted) == pytest.approx(2.5, rel=0.02)
    # their likeliest classes alone would make the scores as sure as can be
    assert fit_temperature(logits, logits.argmax(axis=1)) < 0.1
