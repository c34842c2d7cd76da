"""Figures of predicted numbers."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.metrics.logits import check_logits

Array = npt.NDArray[Any]


def regression_metrics(logits: Array, labels: Array) -> dict[str, float]:
    """Measure regression; with several targets each figure is the mean of the targets' figures.

    Args:
        logits: Predicted values of shape (n,), (n, 1) or (n, targets).
        labels: Right values of shape (n,) or (n, targets).

    Returns:
        `pearson` and `spearman`, 0 where predictions or labels are constant (then no correlation is defined);
        `mae`; `rmse`; `r2`, for constant labels 1 when every prediction is exact and else 0.
    """
    check_logits(logits)
    wanted = labels.reshape(len(labels), -1).astype(np.float64)
    values = logits.reshape(wanted.shape).astype(np.float64)
    targets = [_one_target(*pair) for pair in zip(values.T, wanted.T, strict=True)]
    return {name: float(np.mean([target[name] for target in targets])) for name in targets[0]}


def _one_target(values: Array, wanted: Array) -> dict[str, float]:
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    varied = np.ptp(values) > 0 and np.ptp(wanted) > 0
    with warnings.catch_warnings():
        # predictions that differ by rounding only: scipy warns, the number is still the best there is
        warnings.simplefilter("ignore")
        pearson = float(pearsonr(values, wanted).statistic) if varied else 0.0
    return {
        "pearson": float(np.nan_to_num(pearson)),
        "spearman": float(spearmanr(values, wanted).statistic) if varied else 0.0,
        "mae": float(mean_absolute_error(wanted, values)),
        "rmse": float(root_mean_squared_error(wanted, values)),
        # one row has no variance to explain: scikit-learn gives NaN there, and the constant case above fits
        "r2": float(r2_score(wanted, values)) if len(wanted) > 1 else float(values[0] == wanted[0]),
    }
