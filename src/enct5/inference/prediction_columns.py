"""The columns of predictions beside those of the texts: their names, values and Arrow's types."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from enct5.inference import score_columns
from enct5.tasks.base import Task
from enct5.tasks.multi_task import MultiTask

if TYPE_CHECKING:
    import pyarrow as pa

    from enct5.inference.predictor import Predictor


def names(task: Task, labels: Sequence[str], top_k: int | None, nested: bool, taken: Collection[str]) -> dict[str, str]:
    """The columns, by the names that `task` and `score_columns` have for them.

    Args:
        task: What is predicted.
        labels: Those of the model; none are needed where `top_k` is 1.
        top_k: As for `score_columns.names`.
        nested: Likewise.
        taken: Columns that are there; predictions for the output of an earlier call have `predicted_label`, too.
    """
    wanted = [*task.prediction_columns, *score_columns.names(labels, top_k, nested)]
    used = {*taken, *wanted}  # a task may be called `predicted_label`
    new: dict[str, str] = {}
    for name in wanted:
        new[name] = name
        if name in taken:
            while new[name] in used:
                new[name] = f"predicted_{new[name]}"
            used.add(new[name])
    return new


def values(
    predictor: "Predictor",
    texts: Iterable[Any],
    labels: Sequence[str],
    abstain_below: float | None,
    top_k: int | None,
    nested: bool,
) -> list[list[Any]]:
    """A row of the columns' values for each text."""
    if top_k == 1:
        return [predictor.task.cells(record) for record in predictor.stream(texts, abstain_below)]
    return [
        [*record.values(), *score_columns.values(best, labels, top_k, nested)]
        for record, best in predictor.scored(texts, abstain_below, top_k)
    ]


def arrow_types(task: Task, labels: Sequence[str], top_k: int | None, words: bool) -> list["pa.DataType"]:
    """The types of the columns that `names` names where nothing is nested, whatever values they have.

    Args:
        task: As for `names`.
        labels: Likewise, and needed.
        top_k: Likewise.
        words: Whether texts are lists of words.
    """
    import pyarrow as pa

    text = pa.list_(pa.string()) if words else pa.string()
    span = [("start", pa.int64()), ("end", pa.int64()), ("label", pa.string()), ("text", text), ("score", pa.float64())]
    types: dict[str, Callable[[int], pa.DataType]] = {
        "label": lambda count: pa.string(),
        "score": lambda count: pa.float64(),
        "labels": lambda count: pa.list_(pa.string()),
        "scores": lambda count: pa.list_(pa.float64()),
        "value": lambda count: pa.float64() if count == 1 else pa.list_(pa.float64()),
        "entities": lambda count: pa.list_(pa.struct(span)),
    }
    parts = (
        [(part.task, len(part.id2label)) for part in task.parts]
        if isinstance(task, MultiTask)
        else [(task, len(labels))]
    )
    found = [types[name](count) for part, count in parts for name in part.prediction_columns]
    more = score_columns.names(labels, top_k, nested=False)
    return [*found, *(pa.string() if name.startswith("label_") else pa.float64() for name in more)]
