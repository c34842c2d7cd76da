"""What a model's folder has on record of its tasks."""

from collections.abc import Sequence
from typing import Any

from enct5.model.folder import record_of

_OF_A_TASK = ("task", "metrics", "per_label", "temperature", "expected_calibration_error")
_OF_ITS_DATA = ("label", "train_rows", "eval_rows", "class_counts")


def recorded_tasks(source: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the run of a model recorded of its tasks.

    Args:
        source: Its folder.
        names: The tasks; where the model has one without a name, that by which it is to be called.

    Returns:
        Records by name, as in metrics.json's `tasks`; fewer where less is known.
    """
    record = record_of(source)
    several = record.get("tasks")
    if isinstance(several, dict):
        return {name: several[name] for name in names if name in several}
    if not names or "metrics" not in record:
        return {}
    data = record.get("data", {})
    own: dict[str, Any] = {key: record[key] for key in _OF_A_TASK if key in record}
    own.update({key: data[key] for key in _OF_ITS_DATA if key in data})
    return {names[0]: {"loss_weight": 1.0, **own}}
