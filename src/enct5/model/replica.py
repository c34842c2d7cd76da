"""A model to predict with beside one that others hold: the same weights, but switches of its own.

A model's mode (training or evaluation) and attention implementation are attributes that all its users share. To flip
them for a prediction would have another thread train without dropout, or predict with it.
"""

import copy
from functools import partial
from types import MethodType
from typing import Any, TypeVar

from torch import nn
from transformers import PreTrainedConfig

from enct5.errors import EncT5Error
from enct5.model.fingerprint import forward_set_on

Model = TypeVar("Model", bound=nn.Module)


def evaluating(model: Model) -> Model:
    """The model in evaluation mode: copies of its modules, made as `torch.nn.parallel.replicate` makes them.

    Parameters and buffers are the model's own, also those that are set in its modules later. Hooks run as they do on
    the model, and get the copies. Configurations are copied; nothing that is set on a copy changes the model.

    Args:
        model: The model, in any mode, with whatever wraps it or hooks into it.

    Raises:
        EncT5Error: For a model in training mode with a `forward` that was set to a function of the user's: that runs
            the model's own modules.
    """
    in_training = any(module.training for module in model.modules())
    for name, module in model.named_modules():
        own = forward_set_on(module)
        if in_training and own is not None and not _is_of(own, module):
            raise EncT5Error(
                f"the model is in training mode, and its {f'`{name}`' if name else 'whole'} has a `forward` that was "
                "set from outside, which runs it in that mode; call `model.eval()` before you predict"
            )
    return _copied(model, {})


def _copied(module: Any, made: dict[int, Any]) -> Any:
    if id(module) in made:
        return made[id(module)]
    replica = made[id(module)] = module.__new__(type(module))
    state = replica.__dict__ = module.__dict__.copy()
    children = state["_modules"].items()
    state["_modules"] = {name: None if child is None else _copied(child, made) for name, child in children}
    state.pop("forward", None)
    if (forward := forward_set_on(module)) is not None:
        state["forward"] = forward
    for name, value in state.copy().items():
        if name.startswith(("_forward_hooks", "_forward_pre_hooks")):
            state[name] = value.copy()  # transformers adds some where attention is asked for
        elif isinstance(value, PreTrainedConfig):
            state[name] = made.setdefault(id(value), copy.copy(value))
        elif _is_of(value, module):
            state[name] = _of(value, module, replica)
    state["training"] = False
    state["_compiled_call_impl"] = None  # what `module.compile()` sets runs the module itself
    return replica


def _is_of(value: Any, module: Any) -> bool:
    """Whether a value is a method of a module, or was given it: accelerate puts its hooks around `forward` so."""
    if isinstance(value, MethodType):
        return value.__self__ is module
    return isinstance(value, partial) and any(argument is module for argument in value.args)


def _of(value: Any, module: Any, replica: Any) -> Any:
    if isinstance(value, MethodType):
        return MethodType(value.__func__, replica)
    arguments = [replica if argument is module else argument for argument in value.args]
    return partial(value.func, *arguments, **value.keywords)
