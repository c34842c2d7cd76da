"""Attention with T5's relative position bias, in memory that is linear in the length of long texts."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from enct5.errors import show

logger = logging.getLogger(__name__)

DENSE_BIAS_LENGTH = 512  # longest text whose position bias is held as (heads, length, length)


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
        elif length > DENSE_BIAS_LENGTH and query.device.type == "cuda" and (attend := _compiled_flex_attention()):
            return attend(query, key, value, score_mod=self.added_to_score, scale=1.0)
        else:
            bias = self._dense(length)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias[None], scale=1.0)

    def added_to_score(
        self, score: torch.Tensor, text: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor
    ) -> torch.Tensor:
        """The `score_mod` of torch's flex attention that is this bias: all arguments and the result are scalars."""
        return score + self.by_distance[head, (key - query).clamp(-self.reach, self.reach) + self.reach]

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


@cache
def _compiled_flex_attention() -> Callable[..., torch.Tensor] | None:
    """Torch's flex attention as one kernel, or None where it cannot be compiled (which a warning says)."""
    from torch.nn.attention.flex_attention import flex_attention

    compiled = torch.compile(flex_attention, dynamic=True)
    try:
        states = torch.zeros(1, 1, DENSE_BIAS_LENGTH + 1, 64, device="cuda")
        compiled(states, states, states, scale=1.0)
    except Exception as error:  # whatever the compiler raises
        logger.warning("attention takes memory quadratic in the length of texts: %s", show(error, 200))
        return None
    return cast(Callable[..., torch.Tensor], compiled)
