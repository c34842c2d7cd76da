"""Ways of running a model of torch on rows of token ids: as it is, compiled, and folded."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from enct5.folding.model import FoldedEncT5, check_foldable
from enct5.folding.tasks import FoldedTasks
from enct5.model.fingerprint import Fingerprint, Structure
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.model.replica import evaluating
from enct5.tokenization.batches import pad
from enct5.tokenization.shared_rows import by_row


class PlainForm:
    """The model itself in evaluation mode, whatever mode it is in, on padded batches.

    Raises:
        EncT5Error: where its mode is not for this to choose; see `replica.evaluating`.
    """

    name = "plain model"
    pads = True

    def __init__(self, model: EncT5ForClassification | EncT5ForTasks) -> None:
        self.model, self._pad_token_id = model, int(model.config.pad_token_id or 0)
        self._forward: Callable[..., Any] = evaluating(model)

    def is_current(self) -> bool:
        """Never: what is set on the model's modules after they were copied is not looked for."""
        return False

    @torch.inference_mode()
    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The logits of every row."""
        batch = pad(rows, self._pad_token_id)
        tensors = {name: torch.from_numpy(values).to(self.model.device) for name, values in batch.items()}
        logits = self._forward(**tensors).logits
        if isinstance(logits, dict):
            return by_row({name: numbers(own) for name, own in logits.items()})
        return numbers(logits)


class CompiledForm(PlainForm):
    """The model compiled by torch for batches of any size, on padded batches.

    Raises:
        Exception: whatever the compiler raises, such as for want of a C++ compiler.
    """

    name = "compiled model"

    def __init__(self, model: EncT5ForClassification | EncT5ForTasks) -> None:
        super().__init__(model)
        self._structure = Structure(model)
        self._forward = torch.compile(self._forward, dynamic=True)
        # Compilation waits for the first batch; one with padding, so that a failure shows here.
        self([[self._pad_token_id] * 3, [self._pad_token_id] * 2])

    def is_current(self) -> bool:
        """Whether the model still has the modules, parameters and hooks that were compiled; their values may change."""
        return Structure(self.model) == self._structure


class FoldedForm:
    """The folded model, of the weights that the model has when this is made.

    Raises:
        ValueError: for a model that cannot be folded; the message is a clause that says why.
    """

    name = "folded model"
    pads = False

    def __init__(self, model: EncT5ForClassification | EncT5ForTasks) -> None:
        check_foldable(model)
        self.model = model
        # taken first: what changes while the model is folded is told by the next comparison
        self._fingerprint = Fingerprint(model)
        self.folded = FoldedTasks(model) if isinstance(model, EncT5ForTasks) else FoldedEncT5(model)
        self._fingerprint.leave_out(self.folded.buffers())

    def is_current(self) -> bool:
        """Whether the model is still what was folded; `Fingerprint` says what that notices."""
        same_windows = self.folded.config.encoder_window == self.model.config.encoder_window
        return same_windows and self._fingerprint.is_of(self.model)

    @torch.inference_mode()
    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The logits of every row."""
        lengths = [len(row) for row in rows]
        input_ids = torch.from_numpy(np.concatenate(rows)).long()
        logits = self.folded(input_ids.to(self.model.device), lengths)
        ends = np.cumsum(lengths)[:-1]
        if isinstance(self.folded, FoldedTasks):
            of_tokens = self.folded.token_tasks
            own = {name: numbers(one) for name, one in logits.items()}
            return by_row({name: np.split(one, ends) if name in of_tokens else one for name, one in own.items()})
        return np.split(numbers(logits), ends) if self.folded.labels_tokens else numbers(logits)


def numbers(logits: torch.Tensor) -> Any:
    """A tensor as float32 numbers of NumPy."""
    return logits.float().cpu().numpy()
