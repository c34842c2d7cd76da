"""The kinds of task by name."""

from typing import Any

import numpy.typing as npt

from enct5.errors import unknown
from enct5.tasks.base import Task
from enct5.tasks.multi_label import MULTI_LABEL
from enct5.tasks.regression import REGRESSION
from enct5.tasks.single_label import SINGLE_LABEL
from enct5.tasks.tagging import TAGGING

Array = npt.NDArray[Any]
_KINDS: tuple[Task, ...] = (SINGLE_LABEL, MULTI_LABEL, REGRESSION, TAGGING)
PROBLEM_TYPES = tuple(task.name for task in _KINDS)

TASKS: dict[str, Task] = {key: task for task in _KINDS for key in (task.name, task.alias)}


def find_task(name: str) -> Task:
    """Look a task up by its `problem_type`, its short name, or what else it is often called.

    Args:
        name: Such as "single_label_classification", "single" or "multi-class".

    Returns:
        The task.

    Raises:
        EncT5Error: If there is no such task.
    """
    if name in TASKS:
        return TASKS[name]
    plain = name.lower().replace("_", "-").replace(" ", "-")
    for task in _KINDS:
        if plain in (task.alias, *task.synonyms):
            return task
    raise unknown("task", name, TASKS)
