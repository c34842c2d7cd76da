"""T5's layers for inference on packed tokens: texts one after the other, without padding.

Exact but for rounding: a layer norm's weight is part of the matrix after it, matrices that read the same states are
one matrix, and a residual sum is part of the matrix product before it. Texts of equal length that lie side by side (a
`Run`) attend together, so that none needs a mask.
"""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from enct5.folding.position_bias import PositionBias
from enct5.model.modeling_enct5 import clamp_half_precision

FEED_FORWARD_ROWS = 2048  # at a time: the states between the two matrices are several times as wide
# Up to so many rows a product takes as long as reading its matrix; on a CPU the matrix is read faster from the left.
FEW_ROWS = 64


class Run(NamedTuple):
    """Neighbouring texts of equal length among packed rows (tokens, or the prompts of texts).

    Attributes:
        start: The first row.
        texts: Number of texts.
        length: Rows of each text.
    """

    start: int
    texts: int
    length: int

    def of(self, packed: torch.Tensor) -> torch.Tensor:
        """The run's part of packed rows, a view: `(rows, ...)` to `(texts, length, ...)`."""
        return packed.narrow(0, self.start, self.texts * self.length).unflatten(0, (self.texts, self.length))


def fold_norm(norm: Any, *layers: Any) -> torch.Tensor:
    """Matrices that read the same normalised states as one matrix, with the layer norm's weight in it.

    Args:
        norm: T5's layer norm.
        layers: what has a `weight` `(outputs, d_model)`.

    Returns:
        `(all outputs, d_model)`, to be applied to `normalize`d states; in the dtype of the matrices.
    """
    weight = torch.cat([layer.weight.detach() for layer in layers])
    exact = torch.promote_types(weight.dtype, torch.float32)
    return (weight.to(exact) * norm.weight.detach().to(exact)).to(weight.dtype)


def normalize(hidden: torch.Tensor, epsilon: float) -> torch.Tensor:
    """T5's layer norm without its weight: states `(..., d_model)` over their root mean square, at least in float32."""
    # A vector norm reads the states once; functional.rms_norm takes five times as long on a CPU.
    exact = torch.promote_types(hidden.dtype, torch.float32)
    norm = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=exact)
    return hidden * torch.rsqrt(norm.square() / hidden.shape[-1] + epsilon)


class Projection(nn.Module):
    """A matrix `(outputs, inputs)`; its inputs are taken in its own dtype."""

    weight: torch.Tensor

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """`(..., inputs)` to `(..., outputs)`."""
        inputs = inputs.to(self.weight.dtype)
        if self._is_read_once(inputs):
            return (self.weight @ inputs.t()).t()
        return functional.linear(inputs, self.weight)

    def added_to(self, residual: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """The residual sum, written over `residual` `(rows, outputs)` where the dtypes allow; `inputs` has two axes."""
        if residual.dtype == self.weight.dtype and not self._is_read_once(inputs):
            return clamp_half_precision(residual.addmm_(inputs.to(self.weight.dtype), self.weight.t()))
        return clamp_half_precision(residual + self(inputs))  # in float32: T5 keeps `wo` there in a float16 model

    def _is_read_once(self, inputs: torch.Tensor) -> bool:
        return inputs.ndim == 2 and len(inputs) <= FEW_ROWS and self.weight.device.type == "cpu"


class SelfAttention(nn.Module):
    """T5's self-attention layer, its norm and residual sum included.

    Args:
        layer: T5's layer.
        bias: the position bias; None for none.
    """

    def __init__(self, layer: Any, bias: PositionBias | None) -> None:
        super().__init__()
        attention = layer.SelfAttention
        self.heads, self.epsilon, self.bias = attention.n_heads, layer.layer_norm.variance_epsilon, bias
        self.query_key_value = Projection(fold_norm(layer.layer_norm, attention.q, attention.k, attention.v))
        self.output = Projection(attention.o.weight.detach())

    def forward(self, hidden: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """New states, perhaps written over the old ones; `(rows, d_model)` to the same."""
        projected = self.query_key_value(normalize(hidden, self.epsilon)).unflatten(-1, (3, self.heads, -1))
        contexts = []
        for run in runs:
            # (texts, length, 3, heads, d_kv) -> three of (texts, heads, length, d_kv)
            query, key, value = run.of(projected).permute(2, 0, 3, 1, 4)
            if self.bias is None:
                context = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
            else:
                context = self.bias.attend(query, key, value)
            contexts.append(context.transpose(1, 2).reshape(run.texts * run.length, -1))
        return self.output.added_to(hidden, torch.cat(contexts))


class FeedForward(nn.Module):
    """T5's feed-forward layer, gated or not, its norm and residual sum included."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        dense = layer.DenseReluDense
        self.epsilon, self.is_gated = layer.layer_norm.variance_epsilon, hasattr(dense, "wi_0")
        # in place where there is such a function: new memory takes longer than the function itself
        self.activation = torch.relu_ if isinstance(dense.act, nn.ReLU) else dense.act
        inputs = (dense.wi_0, dense.wi_1) if self.is_gated else (dense.wi,)
        self.input = Projection(fold_norm(layer.layer_norm, *inputs))
        self.output = Projection(dense.wo.weight.detach())

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """New states, perhaps written over the old ones; `(rows, d_model)` to the same."""
        parts = [self._part(part) for part in hidden.split(FEED_FORWARD_ROWS)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _part(self, hidden: torch.Tensor) -> torch.Tensor:
        inner = self.input(normalize(hidden, self.epsilon))
        if self.is_gated:
            gate, linear = inner.chunk(2, dim=-1)
            inner = self.activation(gate) * linear
        else:
            inner = self.activation(inner)
        return self.output.added_to(hidden, inner)


class EncoderLayer(nn.Module):
    """A block of T5's encoder."""

    def __init__(self, block: Any, bias: PositionBias | None) -> None:
        super().__init__()
        self.self_attention = SelfAttention(block.layer[0], bias)
        self.feed_forward = FeedForward(block.layer[-1])

    def forward(self, hidden: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """New states, perhaps written over the old ones; `(tokens, d_model)` to the same."""
        return self.feed_forward(self.self_attention(hidden, runs))
