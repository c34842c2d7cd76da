"""What a run learns from a teacher, and how far the student got."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from enct5.metrics.thresholds import Thresholds
from enct5.tasks.base import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


Array = npt.NDArray[Any]


@dataclass
class Teaching:
    """What a run learns from a teacher, and how far the student got.

    Attributes:
        task: what is learned.
        loss: what training minimises.
        label_names: names of the outputs.
        facts: what is recorded of the teacher and the labels.
        judged_by_labels: whether all texts of the evaluation have labels, or the teacher's decisions stand for them.
        outputs: the teacher's logits of the evaluation.
        decisions: what it decides there, as the task encodes labels.
        labels: the right answers there, those of the labels or the teacher's.
        thresholds: the teacher's own.
    """

    task: Task
    loss: "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]"
    label_names: list[str]
    facts: dict[str, Any]
    judged_by_labels: bool
    outputs: Any
    decisions: Any
    labels: Any
    thresholds: Thresholds

    @property
    def scores_to_match(self) -> Array | None:
        """The teacher's scores of the evaluation, (texts, labels), where the student's have no labels to fit."""
        return None if self.judged_by_labels else self.task.scores(self.outputs)

    def record(self, logits: Any, thresholds: Thresholds) -> dict[str, Any]:
        """What is recorded of the distillation.

        Args:
            logits: the student's outputs for the evaluation.
            thresholds: its own.
        """
        agreement = self.task.metrics(logits, self.decisions, self.label_names, thresholds)
        record = {**self.facts, "agreement": agreement}
        if self.judged_by_labels:
            record["teacher_metrics"] = self.task.metrics(self.outputs, self.labels, self.label_names, self.thresholds)
        return record
