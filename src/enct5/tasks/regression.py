"""Regression: a number (or several) per text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.errors import EncT5Error
from enct5.metrics.logits import check_logits
from enct5.metrics.regression import regression_metrics
from enct5.metrics.thresholds import Thresholds
from enct5.tasks import labels
from enct5.tasks.base import Task, column_of, which_label
from enct5.tasks.details import MOST_MISTAKES, Details, Evaluated, Mistake, Points, Usage, listed

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler


Array = npt.NDArray[Any]
# float32 numbers in a standard deviation of targets: with fewer, rounding is more than a few per cent of what differs.
_FEWEST_STEPS = 10
_STRENGTHS = np.logspace(-3, 1, 9)  # of a ridge regression, a row
_MOST_POINTS = 2000  # of a scatter, each of which is an element of the page
_MOST_SCATTERS = 12


class Regression(Task):
    """A number, or several, per text."""

    name = "regression"
    alias = "regression"
    synonyms = ("regressor", "text-regression")
    description = "regression: a number (or several) per text"
    prediction_columns = ("value",)
    # the error itself, not a correlation: a checkpoint that is right but for its scale is not the best one
    metric_for_best_model = "rmse"
    greater_is_better = False
    bears_dropout = False
    usage = Usage(
        predicts="a number",
        decoding="""\
for values in logits:
    print({model.config.id2label[i]: float(value) for i, value in enumerate(values)})""",
        pipeline_options=", truncation=True, top_k=None",
    )

    def label_names(self, values: Sequence[Any]) -> list[str]:
        """`value`, or `value_1`, ..."""
        targets = len(values[0]) if values and isinstance(values[0], list) else 1
        return ["value"] if targets == 1 else [f"value_{target}" for target in range(1, targets + 1)]

    def encode(self, values: Sequence[Any], label2id: Mapping[str, int]) -> Array:
        """The numbers, float64 (n,) or (n, targets)."""
        numbers = np.array(values, dtype=np.float64)
        targets = numbers.shape[1] if numbers.ndim == 2 else 1
        if targets != len(label2id):
            raise EncT5Error(
                f"rows have {targets} number(s) to predict, the model gives {len(label2id)}; use matching data"
            )
        return numbers

    def decode(self, logits: Array, id2label: Mapping[int, str], thresholds: Thresholds) -> list[dict[str, Any]]:
        """The number, or a list of them."""
        check_logits(logits)
        rows = logits.reshape(len(logits), -1).tolist()
        return [{"value": row[0] if len(row) == 1 else row} for row in rows]

    def relevance(self, logits: Array, id2label: Mapping[int, str], label: str | None) -> Array:
        """The number, or that of a target."""
        if label is None and len(id2label) > 1:
            raise which_label(id2label, f"the model gives {len(id2label)} numbers")
        return np.asarray(logits[:, 0 if label is None else column_of(label, id2label)])

    def doubts(self, values: Sequence[Any]) -> list[str]:
        """What makes the numbers hard to learn."""
        rows = [value if isinstance(value, list) else [value] for value in values]
        constant = [numbers[0] for numbers in zip(*rows, strict=True) if len(set(numbers)) == 1]
        return [
            f"all {len(values)} values of a target are {number:g}: there is nothing to learn; name another column"
            for number in constant
        ]

    def fit_scaler(self, targets: Array) -> "StandardScaler":
        """What standardises the targets, one by one."""
        from sklearn.preprocessing import StandardScaler

        columns = targets.reshape(len(targets), -1).astype(np.float64)
        for column in columns.T:
            apart = float(np.spacing(np.abs(column).max().astype(np.float32)))
            if np.ptp(column) and column.std() < _FEWEST_STEPS * apart:
                raise EncT5Error(
                    f"the numbers to predict, {column.min():.15g} to {column.max():.15g}, lie too close together for a "
                    f"model, whose numbers (float32) are {apart:g} apart there; subtract {np.floor(column.min()):.15g} "
                    "from all of them"
                )
        # It divides by 1 where a target is constant.
        return StandardScaler().fit(columns)

    def fit_head(self, states: Array, targets: Array) -> tuple[Array, Array]:
        """A ridge regression, as strong as leave-one-out has it best: weight (targets, d_model) and bias (targets,)."""
        from sklearn.linear_model import RidgeCV

        scale = float(states.std()) or 1.0
        ridge = RidgeCV(alphas=len(states) * _STRENGTHS).fit(states / scale, targets.reshape(len(targets), -1))
        weight = ridge.coef_.reshape(-1, states.shape[1]) / scale
        return weight.astype(np.float32), np.atleast_1d(ridge.intercept_).astype(np.float32)

    def details(self, evaluation: Evaluated) -> Details:
        """The largest errors, and predicted values against true ones."""
        truth = evaluation.labels.reshape(len(evaluation.labels), -1).astype(np.float64)
        values = evaluation.scores.reshape(truth.shape).astype(np.float64)
        errors = np.sqrt(np.mean((values - truth) ** 2, axis=1))
        largest = np.argsort(-errors, kind="stable")[:MOST_MISTAKES]
        several = truth.shape[1] > 1
        shown = np.linspace(0, len(truth) - 1, min(len(truth), _MOST_POINTS)).astype(int)
        return Details(
            mistakes=[
                Mistake(
                    evaluation.rows[row],
                    {
                        "Predicted": listed(map(_number, values[row])),
                        "True": listed(map(_number, truth[row])),
                        "Error": _number(errors[row]),
                    },
                )
                for row in largest
            ],
            mistakes_note="The texts with the largest errors"
            + (" (root mean square over the targets)." if several else " (true and predicted value apart)."),
            scatters=[
                Points(f"value {target + 1}" if several else "value", truth[shown, target], values[shown, target])
                for target in range(min(truth.shape[1], _MOST_SCATTERS))
            ],
        )

    def parse(self, values: Sequence[Any], column: str, separator: str | None) -> list[Any]:
        """A number a row, or a list of as many numbers in each."""
        return labels.parse_numbers(values, column, separator)

    def scores(self, logits: Array) -> Array:
        """The values themselves."""
        return np.asarray(logits)

    def metrics(self, logits: Array, labels: Array, names: Sequence[str], thresholds: Thresholds) -> dict[str, float]:
        """Errors and correlations."""
        return regression_metrics(logits, labels)


REGRESSION = Regression()


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
