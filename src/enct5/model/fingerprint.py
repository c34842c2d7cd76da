"""Whether a model is still what something was made of: its modules, its hooks and its weights, in little time."""

from collections.abc import Iterable
from math import gcd
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

WHOLE = 4096  # numbers of a weight that are all compared; of a larger one a sample is


def forward_set_on(module: nn.Module) -> Any:
    """The `forward` that was set on a module and is not its class's; None where there is none.

    The mixed precision that accelerate trains in does not count: predictions have the model's own. Nor does what it
    leaves when it is taken off again, the class's `forward` without its decorators.
    """
    forward = module.__dict__.get("forward")
    if getattr(forward, "__qualname__", "").startswith("convert_outputs_to_fp32."):
        forward = module.__dict__.get("_original_forward")
    known: Any = type(module).forward
    while known is not None and isinstance(forward, MethodType) and forward.__self__ is module:
        if forward.__func__ is known:
            return None
        known = getattr(known, "__wrapped__", None)
    return forward


def hooks_of(module: nn.Module) -> list[Any]:
    """What runs beside the `forward` of a module's class, or instead of it: hooks, and a `forward` of its own.

    transformers' hooks that collect hidden states and attentions do not count: they change nothing.
    """
    hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
    own = [hook for hook in hooks if getattr(hook, "__module__", "") != "transformers.utils.output_capturing"]
    forward = forward_set_on(module)
    return own if forward is None else [*own, forward]


def global_hooks() -> list[Any]:
    """Hooks that torch runs with every module."""
    return [*torch_module._global_forward_pre_hooks.values(), *torch_module._global_forward_hooks.values()]


class Structure:
    """The modules, parameters and hooks that a model has at one time."""

    def __init__(self, model: nn.Module) -> None:
        modules, parameters, hooks = [model], [], global_hooks()
        for module in modules:  # which grows meanwhile; `model.modules()` takes several times as long
            modules += [child for child in module._modules.values() if child is not None]
            parameters += [parameter for parameter in module._parameters.values() if parameter is not None]
            if module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__:
                hooks += hooks_of(module)
        self.modules, self.parameters, self.hooks = modules, parameters, hooks
        # Objects are compared, not their values; they are held, so no other can take their place in memory.
        self._same = (list(map(id, modules)), list(map(type, modules)), list(map(id, parameters)), hooks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self._same == other._same

    __hash__ = None  # type: ignore[assignment]


class Fingerprint:
    """What a model was folded of, to be compared with what the model has now.

    Whatever torch knows to be a change is told: other modules, parameters, hooks or memory, and what was written to a
    parameter by torch's own operations, be it one number. What is written past torch's knowledge (through `.data` or
    NumPy, by fused optimisers and other kernels) is told by the values: of a weight of up to 4,096 numbers by all, of a
    larger one by a sample with numbers of every row and every column. So a step of an optimiser, an average of weights
    that is swapped in, a loaded file, a head, row or column that is set to zero are told. Not told is a change of a few
    single numbers of a large matrix that torch does not know of.

    Args:
        model: The model, all of its weights on one device.
    """

    def __init__(self, model: nn.Module) -> None:
        self.structure = Structure(model)
        parameters = self.structure.parameters
        self._places = _places(parameters)
        self._samples = [_sample(parameter.detach()) for parameter in parameters]
        self._values = self._sampled()

    def leave_out(self, shared: Iterable[torch.Tensor]) -> None:
        """Do not sample the weights in whose memory these tensors lie: what is written there is theirs at once."""
        storages = {tensor.untyped_storage().data_ptr() for tensor in shared}
        samples = [sample for sample in self._samples if sample.untyped_storage().data_ptr() not in storages]
        lengths = [len(sample) for sample in self._samples]
        values = self._values.split(lengths)
        kept = [
            value
            for value, sample in zip(values, self._samples, strict=True)
            if sample.untyped_storage().data_ptr() not in storages
        ]
        self._samples, self._values = samples, torch.cat(kept)

    def is_of(self, model: nn.Module) -> bool:
        """Whether a model still has what it had when this was made."""
        structure = Structure(model)
        if structure != self.structure or _places(structure.parameters) != self._places:
            return False
        return torch.equal(self._sampled(), self._values)

    def _sampled(self) -> torch.Tensor:
        return torch.cat(self._samples)


def _places(parameters: Iterable[torch.Tensor]) -> list[tuple[int, int]]:
    """Where weights lie, and how often torch knows them to have been written to."""
    return [(weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in parameters]


def _sample(weight: torch.Tensor) -> torch.Tensor:
    """Numbers of a weight, a view of its memory: all, or of a larger one some of every row and of every column."""
    step = 1
    if weight.numel() > WHOLE:
        width = weight.shape[-1]
        # Steps of less than a row's width leave out no row, and those without a common divisor with it no column.
        step = min(width, weight.numel() // max(width, weight.numel() // width))
        while gcd(step, width) > 1:
            step -= 1
    return weight.view(-1)[::step] if weight.is_contiguous() else weight.flatten()
