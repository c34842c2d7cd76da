"""The decoder for inference: what no text influences is computed once per model.

The first layer's queries are constant, so a key W_k h need not be made of each token's state h: q·(W_k h) is
(W_kᵀ q)·h, a constant vector for each head and prompt. Nor need a value: what is pooled can be h itself, and W_v is
applied to the result. Both cost more with every prompt, so the operations are counted for each batch.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from enct5.folding.layers import FeedForward, Projection, Run, SelfAttention, fold_norm, normalize
from enct5.folding.position_bias import PositionBias, position_biases


class CrossAttention(nn.Module):
    """T5's cross-attention layer with keys and values of every token, its norm and residual sum included.

    Args:
        layer: T5's layer.
        encoder_norm: the encoder's final layer norm, whose weight the states that are read do not have yet.
    """

    def __init__(self, layer: Any, encoder_norm: nn.Module) -> None:
        super().__init__()
        attention = layer.EncDecAttention
        self.heads, self.epsilon = attention.n_heads, layer.layer_norm.variance_epsilon
        self.query = Projection(fold_norm(layer.layer_norm, attention.q))
        self.key_value = Projection(fold_norm(encoder_norm, attention.k, attention.v))
        self.output = Projection(attention.o.weight.detach())

    def queries(self, hidden: torch.Tensor) -> torch.Tensor:
        """`(rows, d_model)` to `(rows, heads, d_kv)`."""
        return self.query(normalize(hidden, self.epsilon)).unflatten(-1, (self.heads, -1))

    def read(self, queries: list[torch.Tensor], states: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """What the queries find in the texts.

        Args:
            queries: for each run `(texts, rows, heads, d_kv)`.
            states: the encoder's, normalised without weight, `(tokens, d_model)`.
            runs: the texts.

        Returns:
            `(all rows, heads * d_kv)`, before the output matrix.
        """
        projected = self.key_value(states).unflatten(-1, (2, self.heads, -1))
        contexts = []
        for query, run in zip(queries, runs, strict=True):
            key, value = run.of(projected).permute(2, 0, 3, 1, 4)  # (texts, heads, length, d_kv) each
            context = functional.scaled_dot_product_attention(query.transpose(1, 2), key, value, scale=1.0)
            contexts.append(context.transpose(1, 2).flatten(2).flatten(0, 1))
        return torch.cat(contexts)

    def forward(self, hidden: torch.Tensor, own: list[Run], states: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """New states of the decoder, perhaps written over the old ones.

        Args:
            hidden: the decoder's states, `(rows, d_model)`.
            own: their rows, for each run those of the same texts.
            states: the encoder's, normalised without weight, `(tokens, d_model)`.
            runs: the texts.
        """
        queries = self.queries(hidden)
        return self.output.added_to(hidden, self.read([run.of(queries) for run in own], states, runs))


class ConstantCrossAttention(CrossAttention):
    """Cross-attention of prompts that no text has changed yet: all texts have the same queries.

    Args:
        layer: T5's layer.
        encoder_norm: the encoder's final layer norm.
        prompts: states of the prompts, `(prompts, d_model)`.
    """

    constant_queries: torch.Tensor
    folded_queries: torch.Tensor | None

    def __init__(self, layer: Any, encoder_norm: nn.Module, prompts: torch.Tensor) -> None:
        super().__init__(layer, encoder_norm)
        queries = self.queries(prompts)
        del self.query
        self.register_buffer("constant_queries", queries)  # (prompts, heads, d_kv)
        width, size = prompts.shape[1], queries.shape[2]
        # With this many prompts it never pays, however long the texts are.
        pays = len(prompts) * width < size * (width + len(prompts))
        keys = self.key_value.weight.unflatten(0, (2, self.heads, size))[0]
        self.register_buffer("folded_queries", torch.einsum("phk,hkd->phd", queries, keys) if pays else None)

    def folds(self, tokens: int, texts: int) -> bool:
        """Whether reading a batch takes fewer operations without keys and values of every token."""
        if self.folded_queries is None:
            return False
        prompts, _, size = self.constant_queries.shape
        width = self.folded_queries.shape[2]
        return prompts * width * (tokens + texts * size / 2) < tokens * size * (width + prompts)

    def read_texts(self, states: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """What the prompts find in the texts: `(tokens, d_model)` to `(texts * prompts, heads * d_kv)`."""
        texts = sum(run.texts for run in runs)
        if self.folded_queries is not None and self.folds(len(states), texts):
            return self._read_folded(self.folded_queries, states, runs)
        return self.read([self.constant_queries.expand(run.texts, -1, -1, -1) for run in runs], states, runs)

    def _read_folded(self, queries: torch.Tensor, states: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        _, heads, width = queries.shape
        scores = functional.linear(states, queries.flatten(0, 1))  # (tokens, prompts * heads)
        pooled = []
        for run in runs:
            weights = run.of(scores).transpose(1, 2).softmax(-1)  # (texts, prompts * heads, length)
            pooled.append((weights @ run.of(states)).view(-1, heads, width))
        values = self.key_value.weight.unflatten(0, (2, heads, -1))[1]
        return torch.einsum("rhd,hkd->rhk", torch.cat(pooled), values).flatten(1)


class DecoderLayer(nn.Module):
    """A block of the decoder whose states depend on the texts."""

    def __init__(self, block: Any, bias: PositionBias | None, encoder_norm: nn.Module) -> None:
        super().__init__()
        self.self_attention = SelfAttention(block.layer[0], bias)
        self.cross_attention = CrossAttention(block.layer[1], encoder_norm)
        self.feed_forward = FeedForward(block.layer[2])

    def forward(self, hidden: torch.Tensor, own: list[Run], states: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """New states `(rows, d_model)`, perhaps written over the old ones; arguments as of `CrossAttention`."""
        hidden = self.self_attention(hidden, own)
        return self.feed_forward(self.cross_attention(hidden, own, states, runs))


class PromptDecoder(nn.Module):
    """The decoder fed with constant prompts.

    Args:
        decoder: the model's.
        encoder_norm: the encoder's final layer norm.
    """

    prompts: torch.Tensor

    def __init__(self, decoder: Any, encoder_norm: nn.Module) -> None:
        super().__init__()
        first, *further = decoder.block
        first_bias, *biases = position_biases(decoder.block)
        embedded = decoder.embed_tokens.weight.detach().clone()
        # the first layer's self-attention sees no text, so its result is kept in its place
        prompts = SelfAttention(first.layer[0], first_bias)(embedded, [Run(0, 1, len(embedded))])
        self.register_buffer("prompts", prompts)
        self.cross_attention = ConstantCrossAttention(first.layer[1], encoder_norm, prompts)
        self.feed_forward = FeedForward(first.layer[2])
        self.layers = nn.ModuleList(
            DecoderLayer(block, bias, encoder_norm) for block, bias in zip(further, biases, strict=True)
        )

    def forward(self, states: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """The prompts' states, before the final layer norm.

        Args:
            states: the encoder's, normalised without weight, `(tokens, d_model)`.
            runs: the texts.

        Returns:
            `(texts, prompts, d_model)`.
        """
        count, texts = len(self.prompts), sum(run.texts for run in runs)
        hidden = self.prompts.repeat(texts, 1)  # (texts * prompts, d_model)
        hidden = self.cross_attention.output.added_to(hidden, self.cross_attention.read_texts(states, runs))
        hidden = self.feed_forward(hidden)
        own, start = [], 0
        for run in runs:
            own.append(Run(start, run.texts, count))
            start += run.texts * count
        for layer in self.layers:
            hidden = layer(hidden, own, states, runs)
        return hidden.unflatten(0, (texts, count))


class TokenDecoder(nn.Module):
    """The decoder fed with the text's own tokens.

    Args:
        decoder: the model's.
        encoder_norm: the encoder's final layer norm.
    """

    def __init__(self, decoder: Any, encoder_norm: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(block, bias, encoder_norm)
            for block, bias in zip(decoder.block, position_biases(decoder.block), strict=True)
        )

    def forward(self, embedded: torch.Tensor, states: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """The tokens' states, before the final layer norm: `(tokens, d_model)` of the embedding to the same."""
        hidden = embedded
        for layer in self.layers:
            hidden = layer(hidden, runs, states, runs)
        return hidden
