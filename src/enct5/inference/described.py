"""What a folder says of its model, told without torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from enct5.errors import EncT5Error
from enct5.model.folder import TRAIN_CONFIG
from enct5.model.sources import check_source
from enct5.model.trained_on import TrainedOn
from enct5.tasks.base import Task
from enct5.tasks.multi_task import MultiTask
from enct5.tasks.registry import TASKS

if TYPE_CHECKING:
    from enct5.inference.predictor import Predictor


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
        task: Task | None = None
        if stored["model_type"] == "enct5":
            task = MultiTask.of_values(stored["tasks"]) if stored.get("tasks") else TASKS[stored["problem_type"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EncT5Error):
        return None
    trained = Path(source) / TRAIN_CONFIG
    return None if task is None else Described(task, TrainedOn.read(trained) if trained.is_file() else None)


def text_columns(model: "Predictor | Described", text: Sequence[str] | None) -> tuple[str, ...]:
    """The text columns named by the user, else those the model was trained with.

    Raises:
        EncT5Error: for two of a model of single texts, one of a model of pairs, or where nobody names any.
    """
    if text is not None:
        if model.config is not None:
            model.config.check_pairs(len(text) == 2)
        return tuple(text)
    if model.config is None or not model.config.text:
        raise EncT5Error("the model does not say which columns it was trained with; name the text column with --text")
    return model.config.text
