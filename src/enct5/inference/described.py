"""What a folder says of its model, told without torch."""

import json
from pathlib import Path
from typing import NamedTuple

from enct5.model.folder import TRAIN_CONFIG
from enct5.model.sources import check_source
from enct5.model.trained_on import TrainedOn
from enct5.tasks.base import Task
from enct5.tasks.registry import TASKS


class Described(NamedTuple):
    """What a folder says of its model.

    Attributes:
        task: what it predicts.
        config: what it was trained on, if it says so.
    """

    task: Task
    config: TrainedOn | None


def described(source: str) -> Described | None:
    """What a folder says of its model; `None` for one on the hub, or one whose loading will tell what is wrong."""
    check_source(source)
    try:
        stored = json.loads((Path(source) / "config.json").read_text(encoding="utf-8"))
        task = TASKS[stored["problem_type"]] if stored["model_type"] == "enct5" else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
    trained = Path(source) / TRAIN_CONFIG
    return None if task is None else Described(task, TrainedOn.read(trained) if trained.is_file() else None)
