"""A frozen encoder: it learns nothing, so it reads each text once, and what reads its states is trained on these."""

from typing import Any, cast

import numpy as np
import torch
from torch import nn

from enct5.model.modeling_enct5 import EncT5Decoder, EncT5Model

MOST_BYTES = 2 * 2**30  # of states that are kept


def freeze_encoder(model: Any) -> None:
    """Let the encoder of a model of one task or of several learn nothing."""
    model.transformer.encoder.requires_grad_(False)


class FrozenParts:
    """The encoder and the decoders of a model that learn nothing, while others do.

    They compute as in evaluation mode: dropout would only blur what they have to say. So the states that a frozen
    encoder has for a text are always the same, and each text is read once, without gradient, however often it is
    trained on or judged by. What has no room is read every time.

    Args:
        model: a model, not wrapped by anything that has its weights elsewhere.
        keeps: whether states are kept.
        most: bytes of them.
    """

    def __init__(self, model: nn.Module, keeps: bool = True, most: int | None = None) -> None:
        self._parts: list[nn.Module] = []
        self._reader: EncT5Model | None = None
        for module in model.modules():
            if isinstance(module, EncT5Model) and _is_frozen(module.encoder):
                self._parts.append(module.encoder)
                self._reader = module if keeps else None
            if isinstance(module, EncT5Decoder) and _is_frozen(module):
                self._parts.append(module)
        self._kept: dict[bytes, torch.Tensor] = {}  # states of a text's tokens (tokens, d_model), by the tokens
        self._room = MOST_BYTES if most is None else most

    def settle(self) -> None:
        """Put them into evaluation mode, in a model that is in training mode."""
        for part in self._parts:
            part.eval()

    def encoded(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """A batch with what a frozen encoder says of it, so that a model need not run it.

        Args:
            inputs: a model's, of which `input_ids` and `attention_mask`, `(batch, sequence)`, are read.

        Returns:
            The same, and `encoder_outputs` where the encoder is frozen; what is padded has states of zeros.
        """
        ids, mask = inputs.get("input_ids"), inputs.get("attention_mask")
        if self._reader is None or ids is None or mask is None or "encoder_outputs" in inputs:
            return inputs
        return {**inputs, "encoder_outputs": (self._states(self._reader, ids, mask),)}

    @torch.no_grad()
    def _states(self, reader: EncT5Model, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        is_text = (mask != 0).cpu().numpy()
        # Padding is 0 here, and a gap within a text stays one.
        keys = [np.trim_zeros(row).tobytes() for row in (ids.cpu().numpy() + 1) * is_text]
        found = {key: self._kept[key] for key in keys if key in self._kept}
        if new := [row for row, key in enumerate(keys) if key not in found]:
            reader.encoder.eval()
            states = cast("torch.Tensor", reader.encode(ids[new], mask[new]).last_hidden_state)
            tokens = states.flatten(0, 1)[_places(is_text[new], states.device)].cpu()
            parts = tokens.split(is_text[new].sum(1).tolist())
            of_new = dict(zip([keys[row] for row in new], parts, strict=True))
            if tokens.nbytes <= self._room:
                self._room -= tokens.nbytes
                self._kept.update(of_new)
            found |= of_new
        together = torch.cat([found[key] for key in keys]).to(ids.device)
        states = together.new_zeros(*ids.shape, together.shape[1])
        states.view(-1, together.shape[1])[_places(is_text, ids.device)] = together
        return states


def _is_frozen(module: nn.Module) -> bool:
    return not any(parameter.requires_grad for parameter in module.parameters())


def _places(is_text: Any, device: torch.device) -> torch.Tensor:
    """The numbers of the tokens of a batch that are text."""
    return torch.from_numpy(np.flatnonzero(is_text)).to(device)
