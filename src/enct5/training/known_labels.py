"""The labels that a base has, to which a run adds others: what it reads of the base before its data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from enct5.data.notes import and_more
from enct5.errors import EncT5Error, show, unknown
from enct5.model.configuration_enct5 import EncT5Config
from enct5.tasks.base import Task
from enct5.tasks.entities import entity_labels, tag_names
from enct5.tasks.labelled_tasks import naming
from enct5.tasks.registry import find_task
from enct5.training.base import Base
from enct5.training.config import TrainConfig


@dataclass(frozen=True)
class KnownLabels:
    """The labels of a task of a base.

    Attributes:
        source: folder or hub id of the base.
        task: the kind of task.
        names: what the labels, or tags, are called, in id order.
    """

    source: str
    task: Task
    names: list[str]

    def with_those_of(self, values: Sequence[Any]) -> list[str]:
        """These names, and behind them those of label values that are not among them.

        Raises:
            EncT5Error: where there is none, or classes are told apart from none that the base has.
        """
        new = [name for name in self.task.label_names(values) if name not in self.names]
        tags = self.task.inputs.windowed
        known = entity_labels(self.names) if tags else self.names
        listed = and_more([show(name) for name in known])
        if not new:
            raise EncT5Error(
                f"the data has no label but those of {self.source} ({listed}); check it, or leave out --add-labels"
            )
        if not tags and not self.task.class_counts(values).keys() & set(known):
            raise EncT5Error(
                f"the data has none of the labels of {self.source} ({listed}), so that every text would get a new one; "
                "add rows of these, too"
            )
        return [*self.names, *new]


def known_labels(config: TrainConfig) -> dict[str, KnownLabels]:
    """The labels that a run adds to, by task; of a model of one task by the name ``.

    Args:
        config: the run's settings.

    Raises:
        EncT5Error: for a base, or a task of it, that no label can be added to.
    """
    base = Base.read(config)
    if base is None:
        return {}
    if not base.config.tasks:
        if config.tasks:
            raise EncT5Error(f"{config.base} has one task, without a name; name the column by --label, not by --task")
        return {"": _known(config, base.config)}
    if not config.tasks:
        names = ", ".join(base.tasks)
        raise EncT5Error(f"{config.base} has several tasks ({names}); say which gets labels: --task NAME=COLUMN")
    found = {}
    for name in config.tasks:
        if name not in base.tasks:
            raise unknown("task", name, list(base.tasks))
        with naming(name):
            found[name] = _known(config.of_task(name), base.tasks[name])
    return found


def _known(config: TrainConfig, own: EncT5Config) -> KnownLabels:
    task = find_task(str(own.problem_type))
    if config.task not in ("auto", task.alias):
        raise EncT5Error(f"{config.base} does {task.description}, not {config.task}; leave the kind out")
    if task.fit_scaler is not None:
        raise EncT5Error(f"{config.base} predicts numbers, which are no labels; leave out --add-labels")
    if task.prompt_per_label:
        raise EncT5Error(
            "labels that a text may have several of have a prompt each, and these read each other: with a new one the "
            "others would not stay as they are; let the new ones be a task of their own: --add-task NAME=COLUMN:multi"
        )
    id2label: Any = own.id2label
    names = [id2label[number] for number in range(len(id2label))]
    if task.inputs.windowed and names != tag_names(entity_labels(names)):
        raise EncT5Error(
            f"labels are added to BIO tags (O, B-x, I-x, ...), not to {', '.join(names[:5])}; leave out --add-labels"
        )
    return KnownLabels(config.base, task, names)
