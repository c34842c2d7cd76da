"""The optimiser of `enct5 train`: AdamW whose steps are in proportion to each tensor's size."""

import math

import torch
from torch import nn
from torch.distributed.tensor import DTensor

# Tensors that start at or near zero, such as the head's bias, still have to move.
_SMALLEST_SIZE = 1e-3
_HEAD = "classifier."
# The encoder knows its language; a decoder that reads it is new to its task. At the full rate the encoder forgets. A
# head that reads the encoder's own states (of tags) has nothing but these to learn with.
ENCODER_SHARE, _ENCODER, _DECODER = 0.3, ".encoder.", ".decoder."
_LORA_A, _LORA_B = ".lora_A.", ".lora_B."


def relative_adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW with one rate for each tensor: `learning_rate` times the tensor's root mean square at the start.

    T5's tensors differ in size by two orders of magnitude: embeddings are near 1, query matrices near
    (d_model * d_kv)^-0.5, since T5's attention has no scaling of its own. One absolute rate either leaves the former
    where they are or tears the latter apart. T5 itself was trained with such relative steps (Adafactor,
    arXiv 1804.04235, section 8; arXiv 1910.10683, section 3.1.2).

    The encoder's own tensors take 0.3 of that where decoders alone read it; LoRA's matrices, which are new, all of it.

    LoRA's matrix B starts as zeros. Its step is such that the product with A moves the outputs of the adapted matrix W
    as far as a step of W itself would: that adds up over all inputs, the product's only over its rank.

    Args:
        model: The model; tensors that need no gradient are left out.
        learning_rate: Step relative to a tensor's size; 0.3 of it for an encoder that decoders alone read.
        weight_decay: Decoupled decay of matrices and embeddings; vectors have none.
    """
    parameters = dict(model.named_parameters())
    sizes = {name: _size(parameter) for name, parameter in trained_parameters(model)}
    for name in [name for name in sizes if _LORA_B in name]:
        adapted = parameters[f"{name.partition(_LORA_B)[0]}.base_layer.weight"]
        rank, inputs = parameters[name].shape[1], adapted.shape[1]
        sizes[name] = _size(adapted) * math.sqrt(inputs) / (rank * sizes[name.replace(_LORA_B, _LORA_A)])
    heads: dict[str, float] = {}  # the size of each whole one, as its bias starts as zeros
    for name, size in sizes.items():
        if _HEAD in name:
            heads[_head_of(name)] = max(size, heads.get(_head_of(name), 0.0))
    decoders = [name for name in sizes if _DECODER in name]
    behind_decoders = all(any(name.startswith(head) for name in decoders) for head in heads)
    share = ENCODER_SHARE if decoders and behind_decoders else 1.0
    groups = [
        {
            "params": [parameter],
            "lr": learning_rate
            * (share if _is_encoders_own(name) else 1.0)
            * max(heads[_head_of(name)] if _HEAD in name else sizes[name], _SMALLEST_SIZE),
            "weight_decay": weight_decay if parameter.ndim > 1 else 0.0,
        }
        for name, parameter in trained_parameters(model)
    ]
    return torch.optim.AdamW(groups, fused=True)


def _head_of(name: str) -> str:
    """Which head a tensor of one belongs to: there is one for each task."""
    return name.partition(_HEAD)[0]


def _is_encoders_own(name: str) -> bool:
    return _ENCODER in name and _LORA_A not in name and _LORA_B not in name


@torch.no_grad()
def _size(parameter: nn.Parameter) -> float:
    """Root mean square of a tensor; of the whole one where this process holds a shard."""
    tensor = parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
    return float(tensor.float().square().mean().sqrt())


def trained_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The parameters of a model that learn, by name."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
