"""The tokenised data of a run of several tasks."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from huggingface_hub.errors import StrictDataclassError

from enct5.errors import EncT5Error
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.loading import first_line
from enct5.tasks.base import Task
from enct5.tasks.labelled_tasks import naming
from enct5.tasks.multi_task import MultiTask
from enct5.tokenization.shared_rows import SharedRows
from enct5.tokenization.token_rows import lengths_of
from enct5.training.config import TrainConfig
from enct5.training.data import Rows, TrainingData, as_columns, refuse_diverged, told_of_reading
from enct5.training.dataset import as_dataset
from enct5.training.defaults import smoothing
from enct5.training.evaluation_set import EvaluationSet
from enct5.training.multi_task.data import TaskRows
from enct5.training.multi_task.losses import TaskLoss, TasksLoss, spread

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)
Array = npt.NDArray[Any]

# Most tokens are in no entity, which is soon learned: the mean over them is a small loss, that labels of whole texts
# drown in the encoder both learn with.
_TAGS_WEIGHT = 4.0


@dataclass
class TaskPart:
    """What a run has of one of its tasks.

    Attributes:
        rows: its texts with labels, as a run of it alone would have them.
        places: the places of these among all texts to train on, and among those to judge by.
        loss_weight: factor of its loss.
    """

    rows: Rows
    places: tuple[Array, Array]
    loss_weight: float


@dataclass
class TasksEvaluationSet(EvaluationSet):
    """The texts that a run of several tasks is judged by; logits and labels are by task."""

    def logits(self, outputs: Any, num_labels: int) -> Any:
        """The logits of the texts by task, in their order, from a model's outputs for the rows of `dataset`."""
        places = np.argsort(self.order)
        inputs: Any = self.inputs
        return inputs.outputs([{name: own[place] for name, own in outputs.items()} for place in places], 0)


@dataclass
class TasksData(TrainingData):
    """Tokenised data of several tasks; the `labels` of its rows are the texts' numbers, by which the loss finds them.

    Attributes:
        parts: what there is of each task.
        losses: those of the tasks.
    """

    task: MultiTask
    parts: dict[str, TaskPart] = field(default_factory=dict)
    losses: TasksLoss | None = None

    @property
    def loss(self) -> TasksLoss | None:
        """What training minimises."""
        return self.losses

    def figures(self, predictions: Any) -> dict[str, float]:
        """The figures of all tasks, of a model's outputs for the rows of `evaluation`."""
        # What is padded has no logits of its own, and what pads them is a number.
        refuse_diverged([np.asarray(own) for own in predictions.values()])
        logits = self.labelled_logits(self.evaluation.logits(predictions, 0))
        for name, part in self.parts.items():
            if part.rows.scaler is not None:
                logits[name] = part.rows.scaler.inverse_transform(as_columns(logits[name]))
        return self.task.metrics(logits, self.evaluation.labels, [], None)

    def labelled_logits(self, logits: dict[str, Any]) -> dict[str, Any]:
        """Of each task the logits of those evaluation texts that have a label for it."""
        return {
            name: [logits[name][row] for row in part.places[1]]
            if isinstance(logits[name], list)
            else logits[name][part.places[1]]
            for name, part in self.parts.items()
        }

    def of_task(self, name: str) -> TrainingData:
        """What a run of one of the tasks alone would train on, as far as its model's start depends on it."""
        part = self.parts[name]
        rows = part.rows
        train = self.train
        if rows.task.fit_head is not None:
            labels = spread(np.asarray(rows.targets[0]), part.places[0], len(self.train)).tolist()
            train = self.train.remove_columns("labels").add_column("labels", labels).select(part.places[0])
        return TrainingData(
            task=rows.task,
            label_names=rows.label_names,
            counts=rows.counts,
            scaler=rows.scaler,
            train=train,
            train_texts=len(rows.split.train),
            evaluation=self.evaluation,
            texts_cut=self.texts_cut,
            notes=[],
            unread=self.unread,
            prompt_texts=rows.prompt_texts,
            class_weights=rows.class_weights,
        )


def _loss_weights(config: TrainConfig, tasks: Mapping[str, Task]) -> dict[str, float]:
    """The factor of each task's loss."""
    tags = {name for name, task in tasks.items() if task.inputs.windowed}
    own = {name: _TAGS_WEIGHT if name in tags and len(tags) < len(tasks) else 1.0 for name in tasks}
    return {name: config.all_tasks[name].weight or weight for name, weight in own.items()}


def prepare(config: TrainConfig, rows: TaskRows, tokenizer: "PreTrainedTokenizerBase") -> TasksData:
    """Tokenise the data of a run of several tasks, every text once, and log what was found.

    Args:
        config: the run's settings.
        rows: its data.
        tokenizer: the base model's.

    Raises:
        EncT5Error: for a loss that is not for its task.
    """
    train, held_out = (
        rows.task.rows_of(part.texts, tokenizer, config.max_length) for part in (rows.train, rows.held_out)
    )
    count = len(rows.train.texts)
    lengths = np.concatenate([lengths_of(train.rows), lengths_of(held_out.rows)])
    notes = [*rows.notes, *told_of_reading(config, train.unread, held_out.unread, rows.notes, lengths)]
    weights = _loss_weights(config, {name: part.task for name, part in rows.parts.items()})
    parts = {name: TaskPart(part, rows.places[name], weights[name]) for name, part in rows.parts.items()}
    losses = {}
    for name, part in parts.items():
        with naming(name):
            losses[name] = _loss(config.of_task(name), part, (train, held_out))
    numbers = np.arange(count + len(rows.held_out.texts))
    evaluation = TasksEvaluationSet(
        texts=rows.held_out.texts,
        labels={name: part.labels for name, part in rows.parts.items()},
        split=rows.said,
        shared_texts=rows.shared,
        inputs=held_out,
        targets=numbers[count:],
    )
    together = train.unread + held_out.unread
    return TasksData(
        task=rows.task,
        label_names=[],
        counts={},
        scaler=None,
        train=as_dataset(train, numbers[:count]),
        train_texts=count,
        evaluation=evaluation,
        texts_cut=together.texts_cut,
        notes=notes,
        unread=train.unread,
        prompt_texts=None,
        class_weights=None,
        parts=parts,
        losses=TasksLoss(losses),
    )


def _loss(config: TrainConfig, part: TaskPart, sides: tuple[SharedRows, SharedRows]) -> TaskLoss:
    """The loss of a task, with the labels of all texts."""
    rows, task = part.rows, part.rows.task
    counts = [len(side.rows) for side in sides]
    places = [part.places[0], counts[0] + part.places[1]]
    labelled = np.zeros(sum(counts), dtype=np.bool_)
    labelled[np.concatenate(places)] = True
    if task.inputs.windowed:
        labels: Any = []
        for side, own, targets in zip(sides, part.places, rows.targets, strict=True):
            spans: list[Any] = [None] * len(side.rows)
            for place, target in zip(own, targets, strict=True):
                spans[place] = target
            labels += [torch.from_numpy(tags) for tags in side.tags(spans)]
        trained = sum(int((own != -100).sum()) for own in labels[: counts[0]])
    else:
        together = np.concatenate([np.asarray(own) for own in rows.targets])
        labels, trained = spread(together, np.concatenate(places), sum(counts)), len(part.places[0])
    try:
        settings = EncT5Config(
            problem_type=task.name,
            id2label=dict(enumerate(rows.label_names)),
            loss=config.loss,
            class_weights=rows.class_weights,
        )
    except (StrictDataclassError, ValueError) as error:
        raise EncT5Error(first_line(error)) from error
    return TaskLoss(
        config=settings,
        labels=labels,
        labelled=torch.from_numpy(labelled),
        mean=max(trained, 1) / counts[0],
        weight=part.loss_weight,
        label_smoothing=smoothing(config, task) or 0.0,
    )
