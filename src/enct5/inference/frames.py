"""Predictions as a DataFrame of pandas."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from enct5.errors import require
from enct5.inference import score_columns
from enct5.tasks.base import Task

if TYPE_CHECKING:
    import pandas as pd


def frame(
    found: Iterable[tuple[dict[str, Any], list[dict[str, Any]]]],
    task: Task,
    labels: Sequence[str],
    top_k: int | None,
    index: "pd.Index | None" = None,
) -> "pd.DataFrame":
    """A row for each result.

    Args:
        found: results, and the likeliest labels beside them, as from `Predictor.scored`.
        task: what they are results of.
        labels: those of the model, in id order.
        top_k: how many of them have columns; None for all.
        index: of the rows.
    """
    require("pandas", "data", "as_frame")
    import pandas as pd

    names = [*task.prediction_columns, *score_columns.names(labels, top_k, nested=False)]
    rows = [
        [*task.cells(record), *([] if top_k == 1 else score_columns.values(best, labels, top_k, nested=False))]
        for record, best in found
    ]
    return pd.DataFrame(rows, columns=names, index=index)


def index_of(texts: Any) -> "pd.Index | None":
    """The index of a Series or DataFrame; None for anything else."""
    pd = sys.modules.get("pandas")  # which whoever has one has imported
    return texts.index if pd and isinstance(texts, (pd.Series, pd.DataFrame)) else None
