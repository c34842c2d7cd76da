"""Ways of running a model on rows of token ids: as it is, compiled, and in its inference form."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from enct5.batching import pad
from enct5.folding import FoldedEncT5
from enct5.modeling_enct5 import EncT5ForClassification


class Engine(Protocol):
    """What gives the logits of rows of token ids.

    Attributes:
        form: what it runs, in a few words.
    """

    form: str

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The logits of every row: `(num_labels,)`, or of tokens `(tokens or more, num_labels)`."""
        ...


class PlainEngine:
    """The model itself, on padded batches."""

    form = "plain model"

    def __init__(self, model: EncT5ForClassification, pad_token_id: int) -> None:
        self.model, self.pad_token_id = model, pad_token_id
        self._forward: Callable[..., Any] = model

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The logits of every row."""
        tensors = pad(rows, self.pad_token_id)
        outputs = self._forward(**{name: tensor.to(self.model.device) for name, tensor in tensors.items()})
        return outputs.logits.float().cpu().numpy()


class CompiledEngine(PlainEngine):
    """The model compiled by torch for batches of any size, on padded batches.

    Raises:
        Exception: whatever the compiler raises, such as for want of a C++ compiler.
    """

    form = "compiled model"

    def __init__(self, model: EncT5ForClassification, pad_token_id: int) -> None:
        super().__init__(model, pad_token_id)
        self._forward = torch.compile(model, dynamic=True)
        # Compilation waits for the first batch; one with padding, so that a failure shows here.
        self([[pad_token_id] * 3, [pad_token_id] * 2])


class FoldedEngine:
    """The model's inference form, of the weights that it has when this is made.

    Raises:
        ValueError: for a model that has none; the message is a clause that says why.
    """

    form = "inference form"

    def __init__(self, model: EncT5ForClassification) -> None:
        self.model, self.folded, self._weights = model, FoldedEncT5(model), _state(model)

    def is_current(self) -> bool:
        """Whether the model's weights are still those of the inference form."""
        return self._weights == _state(self.model)

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The logits of every row."""
        lengths = [len(row) for row in rows]
        input_ids = torch.from_numpy(np.concatenate(rows)).long()
        logits = self.folded(input_ids.to(self.model.device), lengths).float().cpu().numpy()
        return np.split(logits, np.cumsum(lengths)[:-1]) if self.folded.labels_tokens else logits


def _state(model: torch.nn.Module) -> list[tuple[int, int]]:
    """What changes with a model's weights: where they lie, and how often they were written to."""
    return [(weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in model.parameters()]
