"""T5's layers for inference on packed tokens: texts one after the other, without padding.

Exact but for rounding: a layer norm's weight is part of the matrix after it, matrices that read the same states are
one matrix, and a residual sum is part of the matrix product before it. Texts of equal length that lie side by side (a
`Run`) attend together, so that none needs a mask.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from enct5.modeling_enct5 import clamp_half_precision

DENSE_BIAS_LENGTH = 512  # longest text whose position bias is held as (heads, length, length)
FEED_FORWARD_ROWS = 2048  # at a time: the states between the two matrices are several times as wide


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
        return functional.linear(inputs.to(self.weight.dtype), self.weight)

    def added_to(self, residual: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """The residual sum, written over `residual` `(rows, outputs)` where the dtypes allow; `inputs` has two axes."""
        if residual.dtype == self.weight.dtype:
            return clamp_half_precision(residual.addmm_(inputs.to(self.weight.dtype), self.weight.t()))
        return residual + self(inputs)  # in float32: T5 keeps `wo` there in a float16 model


class PositionBias(nn.Module):
    """T5's relative position bias: a number for each head and distance between a key and a query."""

    by_distance: torch.Tensor
    dense: torch.Tensor

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.reach = attention.relative_attention_max_distance  # all that are farther away have the same bias
        bias = attention.compute_bias(1, 2 * self.reach + 1, past_seen_tokens=self.reach)[0, :, 0]
        self.register_buffer("by_distance", bias.detach().contiguous())  # (heads, 2 * reach + 1)
        self.register_buffer("dense", self.by_distance.new_empty(len(bias), 0, 0), persistent=False)

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Self-attention with this bias; arguments and result are `(texts, heads, length, d_kv)`."""
        length = query.shape[2]
        if length > DENSE_BIAS_LENGTH and query.device.type == "cpu":
            # With the keys in reverse order, each query's biases are the former query's but for one at either end: an
            # overlapping view of them all, and memory linear in length. Kernels of other devices take no such view.
            bias = self._to_distance(length).flip(1).unfold(1, length, 1)
            key, value = key.flip(2), value.flip(2)
        else:
            bias = self._dense(length)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias[None], scale=1.0)

    def _to_distance(self, length: int) -> torch.Tensor:
        """Bias of the distances 1 - length to length - 1, `(heads, 2 * length - 1)`."""
        distances = torch.arange(1 - length, length, device=self.by_distance.device)
        return self.by_distance[:, distances.clamp(-self.reach, self.reach) + self.reach]

    def _dense(self, length: int) -> torch.Tensor:
        """Bias of queries and keys, `(heads, length, length)`: a corner of the largest one so far."""
        dense = self.dense
        if dense.shape[1] < length:
            size = -(-length // 16) * 16  # kernels of GPUs take a bias whose rows are aligned
            dense = self._to_distance(size).unfold(1, size, 1).flip(1)
            if length <= DENSE_BIAS_LENGTH:
                self.dense = dense
        return dense[:, :length, :length]


def position_biases(blocks: Iterable[Any]) -> Iterator[PositionBias | None]:
    """The bias of each of a stack's blocks: its own, or that of the last block before it which has one."""
    bias = None
    for block in blocks:
        attention = block.layer[0].SelfAttention
        if attention.has_relative_attention_bias:
            bias = PositionBias(attention)
        yield bias


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
