"""Figures of predicted classes and labels, by scikit-learn.

The libraries are imported inside the functions, because the kinds of task, which the command line reads for its help,
import this file.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.metrics.calibration import expected_calibration_error
from enct5.metrics.logits import check_logits
from enct5.metrics.thresholds import DEFAULT, Thresholds, decide

Array = npt.NDArray[Any]
AT_DEFAULT = f"_at_{DEFAULT}"  # behind the name of a multi-label figure that the tuned thresholds have no part in


def single_label_metrics(logits: Array, labels: Array) -> dict[str, float]:
    """Measure single-label classification.

    Args:
        logits: Floats of shape (n, labels).
        labels: Right class ids of shape (n,).

    Returns:
        `accuracy`; `macro_f1`, averaged over the classes that occur in the labels or the predictions;
        `matthews_correlation`, 0 when labels or predictions are all of one class; `expected_calibration_error` (15 bins
        of equal width).
    """
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    check_logits(logits)
    predicted = logits.argmax(axis=-1)
    with warnings.catch_warnings():
        # one class in both labels and predictions: scikit-learn warns, and answers 0 as documented above
        warnings.simplefilter("ignore")
        matthews = matthews_corrcoef(labels, predicted)
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "matthews_correlation": float(matthews),
        "expected_calibration_error": expected_calibration_error(logits, labels),
    }


def abstention_metrics(scores: Array, labels: Array, below: float) -> dict[str, float]:
    """Measure single-label classification that leaves out the texts it is not sure of.

    Args:
        scores: Probabilities of shape (n, labels).
        labels: Right class ids of shape (n,).
        below: Texts whose highest score is lower get no answer.

    Returns:
        `coverage`, the share of texts that get an answer, and `answered_accuracy`, the share of those that is right (0
        when there are none).
    """
    # float64, as the scores of predictions are: 0.9 is not the same number in both precisions
    answered = scores.max(axis=-1).astype(np.float64) >= below
    right = scores.argmax(axis=-1) == labels
    return {
        "coverage": float(answered.mean()),
        "answered_accuracy": float(right[answered].mean()) if answered.any() else 0.0,
    }


def multi_label_metrics(logits: Array, labels: Array, thresholds: Thresholds = None) -> dict[str, float]:
    """Measure multi-label classification.

    Args:
        logits: Floats of shape (n, labels).
        labels: Zeros and ones of shape (n, labels).
        thresholds: The score from which on each label is predicted; None for 0.5.

    Returns:
        `micro_f1`; `macro_f1`, averaged over the labels that occur in the truth or the predictions;
        `subset_accuracy`, the share of rows with every label right. An F1 with nothing to average is 0. With
        thresholds these figures are theirs, and those at 0.5 follow under the same names with `_at_0.5` behind.
    """
    check_logits(logits)
    figures = _multi_label_figures(logits, labels, thresholds)
    if thresholds is not None:
        plain = _multi_label_figures(logits, labels, None)
        figures |= {f"{name}{AT_DEFAULT}": value for name, value in plain.items()}
    return figures


def _multi_label_figures(logits: Array, labels: Array, thresholds: Thresholds) -> dict[str, float]:
    from sklearn.metrics import f1_score

    truth, predicted = _label_columns(logits, labels, thresholds)
    occurs = np.flatnonzero((truth | predicted).any(axis=0))
    macro = f1_score(truth, predicted, labels=occurs, average="macro", zero_division=0) if len(occurs) else 0.0
    return {
        "micro_f1": float(f1_score(truth.ravel(), predicted.ravel(), zero_division=0)),
        "macro_f1": float(macro),
        "subset_accuracy": float((truth == predicted).all(axis=1).mean()),
    }


def per_label(logits: Array, labels: Array, label_names: Sequence[str]) -> list[dict[str, Any]]:
    """Tabulate single-label classification by class.

    Args:
        logits: Floats of shape (n, labels).
        labels: Right class ids of shape (n,).
        label_names: Class names in id order.

    Returns:
        One record per class, in id order: `label`, `precision`, `recall`, `f1` and `support` (its number of rows).
        A class that is never predicted has precision 0, one that does not occur has recall 0.
    """
    check_logits(logits)
    return _table(labels, logits.argmax(axis=-1), label_names)


def per_label_multi(
    logits: Array, labels: Array, label_names: Sequence[str], thresholds: Thresholds = None
) -> list[dict[str, Any]]:
    """Tabulate multi-label classification by label.

    Args:
        logits: Floats of shape (n, labels).
        labels: Zeros and ones of shape (n, labels).
        label_names: Label names in id order.
        thresholds: The score from which on each label is predicted; None for 0.5.

    Returns:
        Records as of `per_label`, each with the label's `threshold`.
    """
    check_logits(logits)
    table = _table(*_label_columns(logits, labels, thresholds), label_names)
    return [
        {**row, "threshold": DEFAULT if thresholds is None else float(thresholds[index])}
        for index, row in enumerate(table)
    ]


def _label_columns(logits: Array, labels: Array, thresholds: Thresholds) -> tuple[Array, Array]:
    # scikit-learn takes a single column for classes 0 and 1; an empty one behind it keeps it a column per label
    one_more = ((0, 0), (0, 1))
    return np.pad(labels >= 0.5, one_more), np.pad(decide(logits, thresholds), one_more)


def _table(truth: Array, predicted: Array, names: Sequence[str]) -> list[dict[str, Any]]:
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(truth, predicted, labels=range(len(names)), average=None, zero_division=0)
    return [
        {"label": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for name, p, r, f, s in zip(names, *columns, strict=True)
    ]
