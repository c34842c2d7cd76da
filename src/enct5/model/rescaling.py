"""Give a model's outputs another unit through its head, so that all ways of running the model agree on it."""

import numpy.typing as npt
import torch

from enct5.model.modeling_enct5 import EncT5ForClassification


@torch.no_grad()
def rescale_outputs(model: EncT5ForClassification, factor: npt.ArrayLike, shift: npt.ArrayLike | None = None) -> None:
    """Change the head such that every output becomes `factor * output + shift`.

    Args:
        model: the model, changed in place.
        factor: one number, or one a label.
        shift: likewise; nothing is added by default.
    """
    head = model.classifier
    factors = torch.as_tensor(factor, dtype=torch.float64)
    shifts = torch.as_tensor(0.0 if shift is None else shift, dtype=torch.float64)
    head.weight.copy_(head.weight.cpu().double() * factors.unsqueeze(-1))
    head.bias.copy_(head.bias.cpu().double() * factors + shifts)
