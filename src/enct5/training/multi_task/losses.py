"""What training several tasks minimises: each task's own loss over the rows that have a label for it, weighted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.modeling_enct5 import sequence_loss, token_loss

IGNORED = -100


@dataclass(frozen=True)
class TaskLoss:
    """The loss of one of several tasks.

    Attributes:
        config: the configuration of its model.
        labels: of all texts, those to judge by behind those to train on: a tensor whose first dimension is the texts,
            or for token labels a list of tensors (tokens,).
        labelled: which texts have a label, bool (texts,).
        mean: how many labelled texts there are for each text to train on; of token labels how many labelled tokens.
        weight: factor of the loss.
        label_smoothing: share of the target that is spread over all classes.
    """

    config: EncT5Config
    labels: Any
    labelled: torch.Tensor
    mean: float
    weight: float
    label_smoothing: float

    def __call__(self, logits: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """The loss of some texts.

        It is the sum over those with a label, divided by how many there would be on average: over an epoch every label
        of the task weighs the same, and a batch without any adds nothing.

        Args:
            logits: of the texts, `(batch, num_labels)` or `(batch, sequence, num_labels)`.
            texts: their numbers, int64 `(batch,)`.
        """
        if isinstance(self.labels, list):
            return self._of_tokens(logits, texts)
        kept = self.labelled[texts.cpu()]
        rows, labels = logits[kept.to(logits.device)], self.labels[texts.cpu()[kept]].to(logits.device)
        if not len(rows):
            return logits.sum() * 0
        if self.label_smoothing:
            mean = functional.cross_entropy(rows.float(), labels, label_smoothing=self.label_smoothing)
        else:
            mean = sequence_loss(self.config, rows, labels)
        return mean * (len(rows) / (len(texts) * self.mean))

    def _of_tokens(self, logits: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        labels = torch.full(logits.shape[:2], IGNORED)
        for row, text in enumerate(texts.tolist()):
            own = self.labels[text]
            labels[row, : len(own)] = own
        count = int((labels != IGNORED).sum())
        return token_loss(logits, labels.to(logits.device)) * (count / (len(texts) * self.mean))


class TasksLoss:
    """The sum of the tasks' losses, each times its weight.

    Args:
        parts: the losses by task.
    """

    def __init__(self, parts: Mapping[str, TaskLoss]) -> None:
        self.parts = dict(parts)

    def __call__(self, logits: Mapping[str, torch.Tensor], texts: torch.Tensor) -> torch.Tensor:
        """The loss of some texts, given the logits of all tasks and the texts' numbers `(batch,)`."""
        losses = [part.weight * part(logits[name], texts) for name, part in self.parts.items()]
        return torch.stack(losses).sum()


def spread(values: np.ndarray, rows: Sequence[int] | np.ndarray, count: int) -> torch.Tensor:
    """Labels of some of so many texts, at their places; zeros elsewhere."""
    labels = np.zeros((count, *values.shape[1:]), dtype=values.dtype)
    labels[rows] = values
    return torch.from_numpy(labels)
