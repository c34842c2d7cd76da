"""The losses of a student: how far it is from its teacher, and from the labels where it has some (arXiv 1503.02531)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from enct5.tasks.base import Task
from enct5.tokenization.windows import IGNORED

Tensor = torch.Tensor


def soft_classes(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """How far the student's distribution over classes is from the teacher's, both softened, for every row.

    Args:
        logits: the student's, float `(rows, labels)`.
        teacher: the teacher's, likewise.
        temperature: by which both are divided.

    Returns:
        The Kullback-Leibler divergence `(rows,)`, times the temperature squared, so that its gradient stays as large as
        that of a loss without temperature.
    """
    student, wanted = (functional.log_softmax(rows / temperature, dim=-1) for rows in (logits, teacher))
    return functional.kl_div(student, wanted, reduction="none", log_target=True).sum(-1) * temperature**2


def soft_labels(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The same for labels of which a text has any number: each is a choice between yes and no, and their mean counts.

    Args:
        logits: as for `soft_classes`.
        teacher: likewise.
        temperature: likewise.
    """
    student, wanted = logits / temperature, teacher / temperature
    yes = wanted.sigmoid() * (functional.logsigmoid(wanted) - functional.logsigmoid(student))
    no = (-wanted).sigmoid() * (functional.logsigmoid(-wanted) - functional.logsigmoid(-student))
    return (yes + no).mean(-1) * temperature**2


def soft_values(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The squared distance from the teacher's values `(rows, targets)`, which no temperature softens; `(rows,)`."""
    return (logits - teacher).square().mean(-1)


def hard_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy `(rows,)` of class ids `(rows,)`."""
    return functional.cross_entropy(logits, labels, reduction="none")


def hard_labels(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy `(rows,)` of zeros and ones `(rows, labels)`."""
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(-1)


def hard_values(logits: Tensor, labels: Tensor) -> Tensor:
    """The squared distance `(rows,)` from values `(rows, targets)`."""
    return (logits - labels).square().mean(-1)


_LOSSES: dict[str, tuple[Callable[[Tensor, Tensor, float], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "single_label_classification": (soft_classes, hard_classes),
    "multi_label_classification": (soft_labels, hard_labels),
    "regression": (soft_values, hard_values),
    "token_classification": (soft_classes, hard_classes),
}


@dataclass(frozen=True)
class SoftLoss:
    """The loss of a student: the mean over the rows of a batch, each of which is told by its number.

    A row without label is learned from the teacher alone, with the same weight in all as a row that has one.

    Attributes:
        task: what is learned.
        teacher: the teacher's logits, float32 `(rows, labels)`; rows are texts, or the student's tokens.
        labels: of all rows as the task's hard loss takes them, anything where there are none; None without labels.
        labelled: which rows have labels, bool `(rows,)`.
        temperature: by which the logits are divided.
        label_weight: of the labels where there are some; the teacher has the rest.
    """

    task: Task
    teacher: Tensor
    labels: Tensor | None
    labelled: Tensor
    temperature: float
    label_weight: float

    def __call__(self, logits: Tensor, numbers: Tensor) -> Tensor:
        """The loss, a scalar in float32.

        Args:
            logits: float `(batch, labels)`, or `(batch, sequence, labels)`.
            numbers: int64 `(batch,)` or `(batch, sequence)`: the row of every output, -100 where it has none.
        """
        soft, hard = _LOSSES[self.task.name]
        numbers = numbers.flatten()
        counted = numbers != IGNORED
        logits = logits.float().flatten(0, -2)[counted]
        rows = numbers[counted].cpu()
        losses = soft(logits, self.teacher[rows].to(logits.device), self.temperature)
        if self.labels is not None:
            of_labels = hard(logits, self.labels[rows].to(logits.device))
            weights = self.label_weight * self.labelled[rows].to(logits.device)
            losses = torch.lerp(losses, of_labels, weights)
        return losses.sum() / max(1, len(rows))
