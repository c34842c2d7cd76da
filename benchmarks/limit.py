"""The limit of an encoder's speed: its matrix products alone, on as many tokens, without padding."""

import torch
from torch import nn
from torch.nn import functional


class MatrixProducts:
    """The products of token states with the matrices of a T5 encoder's layers.

    Args:
        encoder: a stack of T5 layers, gated or not.
        most_tokens: of a batch; the states of their tokens are random and always the same.
    """

    def __init__(self, encoder: nn.Module, most_tokens: int) -> None:
        self._weights = [
            torch.cat([part.weight.detach() for part in parts])
            for block in encoder.block
            for attention, dense in [(block.layer[0].SelfAttention, block.layer[1].DenseReluDense)]
            for parts in [
                (attention.q, attention.k, attention.v),
                (attention.o,),
                (dense.wi,) if hasattr(dense, "wi") else (dense.wi_0, dense.wi_1),
                (dense.wo,),
            ]
        ]
        self._states = {
            width: torch.randn(most_tokens, width)
            for width in {size for weight in self._weights for size in weight.shape}
        }

    def read(self, tokens: int) -> None:
        """What prediction takes at least."""
        for weight in self._weights:
            functional.linear(self._states[weight.shape[1]][:tokens], weight)

    def train(self, tokens: int) -> None:
        """What a step of training takes at least: the gradients of states and matrices, too."""
        self.read(tokens)
        for weight in self._weights:
            gradient, states = (self._states[size][:tokens] for size in weight.shape)
            gradient @ weight
            gradient.T @ states
