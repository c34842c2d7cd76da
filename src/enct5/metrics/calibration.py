"""How far scores can be taken at their word, and the temperature that makes single-label scores honest.

Both figures are those of Guo et al., *On Calibration of Modern Neural Networks* (arXiv 1706.04599). The libraries are
imported inside the functions, because the task records, which the command line reads for its help, import this file.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BINS = 15  # of equal width, over scores from 0 to 1


def reliability(scores: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Compare scores with how often they are right, for texts whose score falls into the same of 15 equal bins.

    Args:
        scores: Probabilities of shape (n, labels).
        labels: Right class ids of shape (n,).

    Returns:
        For each bin that holds texts, in rising order: their number, the mean score of their predicted class, and the
        share of them that is right. A score on the border of two bins belongs to the lower one.
    """
    sureness = scores.max(axis=-1).astype(np.float64)
    right = scores.argmax(axis=-1) == labels
    bins = np.digitize(sureness, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
    counts = np.bincount(bins, minlength=BINS)
    held = counts > 0
    means = [np.bincount(bins, weights=values, minlength=BINS)[held] / counts[held] for values in (sureness, right)]
    return counts[held], means[0], means[1]


def expected_calibration_error(logits: Array, labels: Array) -> float:
    """Measure by how much scores differ from the share of right answers: 0 is honest, 1 as wrong as can be.

    Args:
        logits: Floats of shape (n, labels).
        labels: Right class ids of shape (n,).

    Returns:
        The difference between mean score and accuracy of each of 15 bins of equal width, averaged over the texts.
    """
    from scipy.special import softmax

    counts, scores, accuracies = reliability(softmax(logits.astype(np.float64), axis=-1), labels)
    return float(np.average(np.abs(scores - accuracies), weights=counts))


def fit_temperature(logits: Array, labels: Array) -> float:
    """Find the number by which to divide logits so that their probabilities are the likeliest for the labels.

    The temperature minimises the negative log-likelihood. The logarithm of the temperature has a standard normal prior,
    which a few dozen texts outweigh: it keeps the temperature near 1 where there are fewer, and finite where every text
    is right and the likelihood grows for ever.

    Args:
        logits: Floats of shape (n, labels).
        labels: Right class ids of shape (n,); or the probabilities of the classes, of shape (n, labels), which are then
            matched.

    Returns:
        The temperature: above 1 makes scores less sure, below 1 surer.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits, rows = logits.astype(np.float64), np.arange(len(labels))

    def cost(log_temperature: float) -> float:
        likelihoods = log_softmax(logits / np.exp(log_temperature), axis=-1)
        of_labels = likelihoods[rows, labels] if labels.ndim == 1 else labels * likelihoods
        return float(log_temperature**2 / 2 - of_labels.sum())

    return float(np.exp(minimize_scalar(cost, bounds=(-5, 5), method="bounded").x))
