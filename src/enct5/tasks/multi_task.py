"""Several tasks that one model does in one pass, each with its own labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from enct5.errors import EncT5Error, show
from enct5.metrics.thresholds import Thresholds
from enct5.tasks.base import Task
from enct5.tasks.details import Details, Evaluated
from enct5.tasks.registry import find_task
from enct5.tokenization.shared_rows import RowsOfTasks

MULTI_TASK = "multi_task"


@dataclass(frozen=True)
class NamedTask:
    """One of several tasks of a model.

    Attributes:
        name: As the user calls it.
        task: What kind it is.
        id2label: Names of its outputs.
        thresholds: For its `decode`.
        label: The column that its labels came from.
        separator: What separated several labels in one field there.
    """

    name: str
    task: Task
    id2label: dict[int, str]
    thresholds: Thresholds = None
    label: str | None = None
    separator: str | None = None

    @property
    def labels(self) -> list[str]:
        """The outputs' names, in id order."""
        return [self.id2label[index] for index in range(len(self.id2label))]


class MultiTask(Task):
    """Several tasks. Logits, labels and results are dictionaries by the tasks' names.

    Args:
        parts: The tasks, in order.

    Raises:
        EncT5Error: For a task called as a result of another is, `a_score` beside `a`.
    """

    name = MULTI_TASK
    alias = "tasks"
    synonyms = ()
    metric_for_best_model = "mean"
    counted = "labels"

    def __init__(self, parts: Sequence[NamedTask]) -> None:
        self.parts = list(parts)
        kinds = ", ".join(f"{part.name} ({part.task.alias})" for part in parts)
        self.description = f"{len(parts)} tasks in one pass: {kinds}"
        self.rows_of = RowsOfTasks(frozenset(part.name for part in parts if part.task.inputs.windowed))
        self.inputs = self.rows_of  # type: ignore[assignment]  # what is made of it is like what a class makes
        self.prediction_columns = tuple(name for part in parts for name in _columns(part).values())
        if twice := [name for name, count in Counter(self.prediction_columns).items() if count > 1]:
            raise EncT5Error(
                f"two of the tasks {', '.join(part.name for part in parts)} have a result called {show(twice[0])}; "
                "call one of them something else"
            )

    @classmethod
    def of_values(cls, tasks: Sequence[Mapping[str, Any]]) -> "MultiTask":
        """The tasks that entries of a configuration's `tasks` describe."""
        return cls(
            [
                NamedTask(
                    name=values["name"],
                    task=find_task(values["problem_type"]),
                    id2label={int(index): label for index, label in values["id2label"].items()},
                    thresholds=values.get("thresholds"),
                    label=values.get("label_column"),
                    separator=values.get("label_separator"),
                )
                for values in tasks
            ]
        )

    def __reduce__(self) -> Any:
        return type(self), (self.parts,)

    def __getitem__(self, name: str) -> NamedTask:
        return next(part for part in self.parts if part.name == name)

    def decode(
        self, logits: Mapping[str, Any], id2label: Mapping[int, str], thresholds: Thresholds
    ) -> list[dict[str, Any]]:
        """One record per row: each task's own by its name."""
        if not logits:
            return []
        found = [part.task.decode(logits[part.name], part.id2label, part.thresholds) for part in self.parts]
        names = [part.name for part in self.parts]
        return [dict(zip(names, row, strict=True)) for row in zip(*found, strict=True)]

    def cells(self, record: Mapping[str, Any]) -> list[Any]:
        """A record's values in the order of `prediction_columns`."""
        return [value for part in self.parts for value in record[part.name].values()]

    def scores(self, logits: Mapping[str, Any]) -> dict[str, Any]:
        """Each task's own."""
        return {part.name: part.task.scores(logits[part.name]) for part in self.parts}

    def metrics(
        self, logits: Mapping[str, Any], labels: Mapping[str, Any], names: Sequence[str], thresholds: Thresholds
    ) -> dict[str, float]:
        """The figures of all tasks as `task.figure`, and `mean`: that of the figures that choose each task's model.

        Args:
            logits: By task, of the rows that have a label for it.
            labels: Those labels, as each task encodes them.
            names: Not used: each task knows its own.
            thresholds: Likewise, but `None` is for all.
        """
        figures = {
            part.name: part.task.metrics(logits[part.name], labels[part.name], part.labels, part.thresholds)
            for part in self.parts
        }
        chosen = [_goodness(part.task, figures[part.name]) for part in self.parts]
        together = {f"{name}.{figure}": value for name, own in figures.items() for figure, value in own.items()}
        return {"mean": sum(chosen) / len(chosen), **together}

    def parse(self, values: Sequence[Any], column: str, separator: str | None) -> NoReturn:
        """Refused: each task reads its own column."""
        raise self._apart()

    def label_names(self, values: Sequence[Any]) -> NoReturn:
        """Refused: each task has its own labels."""
        raise self._apart()

    def encode(self, values: Sequence[Any], label2id: Mapping[str, int]) -> NoReturn:
        """Refused: each task has its own labels."""
        raise self._apart()

    def details(self, evaluation: Evaluated) -> Details:
        """Refused: each task has its own."""
        raise self._apart()

    def _apart(self) -> EncT5Error:
        names = ", ".join(part.name for part in self.parts)
        return EncT5Error(f"this model does {self.description}; ask for one of them ({names})")


def task_of(config: Any) -> Task:
    """What the model of a configuration does."""
    return MultiTask.of_values(config.tasks) if config.tasks else find_task(str(config.problem_type))


def _columns(part: NamedTask) -> dict[str, str]:
    """The columns of a task's results in a table: the first, its answer, is called as the task is."""
    first, *others = part.task.prediction_columns
    return {first: part.name, **{name: f"{part.name}_{name}" for name in others}}


def _goodness(task: Task, figures: Mapping[str, float]) -> float:
    """The figure that chooses a task's model, on a scale on which tasks may be averaged.

    Of numbers that is not the error, whose unit is the user's, but the share of the variance that is explained, which
    grows as the error falls; 0 where that is below 0, as it is without bounds: one task must not drown the others.
    """
    if task.greater_is_better:
        return figures[task.metric_for_best_model]
    return max(0.0, figures["r2"])
