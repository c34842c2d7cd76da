"""The folded model of several tasks: one pass of the encoder, whose states every task's own decoder and head read."""

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from enct5.folding.model import FoldedEncT5, check_foldable, check_lengths, runs_of
from enct5.model.modeling_enct5_tasks import EncT5ForTasks


class FoldedTasks(nn.Module):
    """A trained model of several tasks for inference, as `FoldedEncT5` is one of a single task.

    Args:
        model: The model; it stays as it is.

    Attributes:
        names: The tasks' names.
        token_tasks: The names of those that label tokens, not texts.

    Raises:
        ValueError: For a model that cannot be folded; see `check_foldable`.
    """

    @torch.no_grad()
    def __init__(self, model: EncT5ForTasks) -> None:
        super().__init__()
        check_foldable(model)
        self.config, self.names = copy.copy(model.config), model.config.task_names
        parts: list[FoldedEncT5] = []
        for name in self.names:
            parts.append(FoldedEncT5(model.task_model(name), parts[0] if parts else None))
        self.parts = nn.ModuleList(parts)
        self.token_tasks = {name for name, part in zip(self.names, parts, strict=True) if part.labels_tokens}

    def forward(self, input_ids: torch.Tensor, lengths: Sequence[int]) -> dict[str, torch.Tensor]:
        """Logits of texts by task.

        Args:
            input_ids: As for `FoldedEncT5`.
            lengths: Likewise.

        Returns:
            Of each task what `FoldedEncT5` returns.

        Raises:
            ValueError: As `FoldedEncT5`.
        """
        check_lengths(input_ids, lengths)
        parts = cast("dict[str, FoldedEncT5]", dict(zip(self.names, self.parts, strict=True)))
        if not len(input_ids):
            return {name: part.empty() for name, part in parts.items()}
        first, *_ = parts.values()
        states = first.encode_windows(input_ids, [self.config.window_lengths(length) for length in lengths])
        runs = runs_of(lengths)
        return {name: part.decode(input_ids, states, runs) for name, part in parts.items()}
