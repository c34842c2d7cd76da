"""Ways of running a model on rows of token ids: as it is, compiled, and in its inference form."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from enct5.folding.model import FoldedEncT5, check_foldable
from enct5.model.fingerprint import Fingerprint, Structure
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.replica import evaluating
from enct5.tokenization.batches import pad


class Engine(Protocol):
    """What gives the logits of rows of token ids.

    Attributes:
        form: what it runs, in a few words.
        pads: whether the rows of a batch are padded to one length, and attend under a mask.
    """

    form: str
    pads: bool

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The logits of every row: `(num_labels,)`, or of tokens `(tokens or more, num_labels)`."""
        ...


class PlainEngine:
    """The model itself in evaluation mode, whatever mode it is in, on padded batches.

    Raises:
        EncT5Error: where its mode is not for this to choose; see `replica.evaluating`.
    """

    form = "plain model"
    pads = True

    def __init__(self, model: EncT5ForClassification, pad_token_id: int) -> None:
        self.model, self.pad_token_id = model, pad_token_id
        self._forward: Callable[..., Any] = evaluating(model)

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
        self._structure = Structure(model)
        self._forward = torch.compile(self._forward, dynamic=True)
        # Compilation waits for the first batch; one with padding, so that a failure shows here.
        self([[pad_token_id] * 3, [pad_token_id] * 2])

    def is_current(self) -> bool:
        """Whether the model still has the modules, parameters and hooks that were compiled; their values may change."""
        return Structure(self.model) == self._structure


class FoldedEngine:
    """The model's inference form, of the weights that it has when this is made.

    Raises:
        ValueError: for a model that has none; the message is a clause that says why.
    """

    form = "inference form"
    pads = False

    def __init__(self, model: EncT5ForClassification) -> None:
        check_foldable(model)
        self.model = model
        # taken first: what changes while the form is made is told by the next comparison
        self._fingerprint = Fingerprint(model)
        self.folded = FoldedEncT5(model)
        self._fingerprint.leave_out(self.folded.buffers())

    def is_current(self) -> bool:
        """Whether the model is still what the inference form was made of; `Fingerprint` says what that notices."""
        return self._fingerprint.is_of(self.model)

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The logits of every row."""
        lengths = [len(row) for row in rows]
        input_ids = torch.from_numpy(np.concatenate(rows)).long()
        logits = self.folded(input_ids.to(self.model.device), lengths).float().cpu().numpy()
        return np.split(logits, np.cumsum(lengths)[:-1]) if self.folded.labels_tokens else logits
