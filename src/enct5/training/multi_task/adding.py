"""Tasks that are added to those of a base, or take their place, whose encoder stays as it is."""

from typing import Any

from enct5.model.joining import with_tasks_of
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.model.task_records import recorded_tasks


def with_old_tasks(
    base: str, model: EncT5ForTasks, record: dict[str, Any], replaces: bool = False
) -> tuple[EncT5ForTasks, dict[str, Any]]:
    """The model of the base's tasks and the new ones, and what is recorded of each.

    Args:
        base: folder or hub id.
        model: the model of the new tasks, trained and measured.
        record: what is recorded of these, by task.
        replaces: whether they take the place of those of the base that are called so.
    """
    together = with_tasks_of(base, model, replaces)
    names = together.config.task_names
    known = recorded_tasks(base, [name for name in names if name not in record]) | record
    return together, {name: known[name] for name in names if name in known}
