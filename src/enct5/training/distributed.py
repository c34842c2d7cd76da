"""Several processes that train one model (`torchrun`, `accelerate launch`): one decides and writes, all know it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor

from enct5.errors import EncT5Error
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.loading import model_class_of

# The main process measures and writes the result while the others wait for it.
_LONGEST_WAIT = timedelta(hours=2)

T = TypeVar("T")


def process_state() -> PartialState:
    """This process among those of the launcher, if there is one; the first call connects them."""
    return PartialState(cpu=not torch.cuda.is_available(), timeout=_LONGEST_WAIT)


def on_main_process(decide: Callable[[], T]) -> T:
    """What `decide` returns in the main process, in every process.

    Raises:
        EncT5Error: in every process, when `decide` raises it.
    """
    outcome: list[Any] = [None, None]
    if process_state().is_main_process:
        try:
            outcome[0] = decide()
        except EncT5Error as error:
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return cast(T, outcome[0])


def gather_model(model: Any) -> Any:
    """The model itself, or where FSDP2 has sharded it, a whole one on the CPU (in the main process; empty elsewhere).

    All processes have to call it.
    """
    if not any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        return model
    tensors = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    config = cast(EncT5Config, model.config)
    with torch.device("meta"):
        whole = model_class_of(config)(config)
    if tensors:
        whole.load_state_dict(tensors, assign=True)
    return whole
