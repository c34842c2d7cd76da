"""The folded model on padded batches, for export: operations that every ONNX runtime has, no data-dependent branches.

Weights are those of `enct5.folding.FoldedEncT5`; what differs is that texts are padded to one length and a mask hides
the padding, since the graph is run by others, too.
"""

from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from enct5.folding.decoder import ConstantCrossAttention, CrossAttention, DecoderLayer, PromptDecoder, TokenDecoder
from enct5.folding.layers import EncoderLayer, FeedForward, SelfAttention
from enct5.folding.model import FoldedEncT5
from enct5.folding.position_bias import PositionBias
from enct5.folding.tasks import FoldedTasks

# Whether the prompts read the states without keys and values of their own is decided once, for texts of this length.
TYPICAL_LENGTH = 64
HIDDEN = -1e9  # added to the scores of padding; finite, so that a text of padding alone gives numbers, too


def normalize(hidden: torch.Tensor, epsilon: float) -> torch.Tensor:
    """T5's layer norm without its weight: states `(..., d_model)` over their root mean square."""
    return hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + epsilon)


def by_heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    """`(batch, length, heads * d_kv)` to `(batch, heads, length, d_kv)`."""
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """T5's attention, without scaling: `(batch, heads, length, d_kv)` each, to `(batch, queries, heads * d_kv)`."""
    scores = query @ key.transpose(2, 3)
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return (weights @ value).transpose(1, 2).flatten(2)


class ExportableEncT5(nn.Module):
    """A folded model that takes padded batches.

    Args:
        folded: the folded model, of one task or of several, in float32: float16 would overflow in T5.

    Attributes:
        outputs: the names of what it returns.
    """

    def __init__(self, folded: FoldedEncT5 | FoldedTasks) -> None:
        super().__init__()
        self.config = folded.config
        several = isinstance(folded, FoldedTasks)
        self.outputs = [output_of(name) for name in folded.names] if isinstance(folded, FoldedTasks) else ["logits"]
        self.parts = nn.ModuleList(cast(Any, folded.parts) if several else [folded])  # whose encoder is one
        parts = cast("list[FoldedEncT5]", list(self.parts))
        self.encoder = parts[0].encoder
        decoders = [part.decoder.layers for part in parts if isinstance(part.decoder, TokenDecoder)]
        layers = cast(Any, [*self.encoder, *(layer for decoder in decoders for layer in decoder)])
        if decoders and several and self.config.encoder_window is not None:
            raise ValueError("a decoder that is fed with the text's own tokens does not know windows of an ONNX graph")
        biases = [layer.self_attention.bias for layer in layers]
        self.biases = nn.ModuleList(dict.fromkeys(bias for bias in biases if bias is not None))
        # which of them each layer has: most models have one for all layers
        self.numbers = {
            id(layer): None if bias is None else list(self.biases).index(bias)
            for layer, bias in zip(layers, biases, strict=True)
        }

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, windows: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Logits, of several tasks in their order.

        Args:
            input_ids: `(batch, length)`.
            attention_mask: 1 for tokens, 0 for padding on either side; `(batch, length)`.
            windows: for a model that reads long texts in windows, of which the batch then consists: the rows that are
                the windows of each text, -1 where it has no more; `(texts, most windows)`. The batch is that of the
                texts in what is returned.

        Returns:
            `(batch, num_labels)`; for a model or task that tags tokens `(batch, length, num_labels)`, the batch then
            being that of the windows.
        """
        parts = cast("list[FoldedEncT5]", list(self.parts))
        padding = (1.0 - attention_mask[:, None, None, :].to(parts[0].embedding.dtype)) * HIDDEN
        embedded = functional.embedding(input_ids, parts[0].embedding)
        made = [position_bias(cast(PositionBias, bias), input_ids.shape[1]) + padding for bias in self.biases]

        def bias_of(layer: nn.Module) -> torch.Tensor:
            number = self.numbers[id(layer)]
            return padding if number is None else made[number]

        hidden = embedded
        for layer in self.encoder:
            assert isinstance(layer, EncoderLayer)
            hidden = feed_forward(layer.feed_forward, self_attention(layer.self_attention, hidden, bias_of(layer)))
        states = normalize(hidden, parts[0].encoder_epsilon)
        of_texts = (states, padding) if windows is None else regrouped(states, padding, windows)
        logits = []
        for part in parts:
            if isinstance(part.decoder, PromptDecoder):
                logits.append(read_by_prompts(part, part.decoder, *of_texts))
                continue
            own = states
            if isinstance(part.decoder, TokenDecoder):
                own = embedded
                for layer in part.decoder.layers:
                    assert isinstance(layer, DecoderLayer)
                    own = decoder_layer(layer, own, bias_of(layer), states, padding)
                own = normalize(own, part.decoder_epsilon)
            logits.append(part.label_logits(own))
        return tuple(logits) if len(self.outputs) > 1 or self.config.tasks else logits[0]


def output_of(task: str) -> str:
    """What the output of one of several tasks is called."""
    return f"logits.{task}"


def read_by_prompts(
    folded: FoldedEncT5, decoder: PromptDecoder, states: torch.Tensor, padding: torch.Tensor
) -> torch.Tensor:
    """Logits of texts, `(texts, num_labels)`, from the encoder's states `(texts, length, d_model)`."""
    first = decoder.cross_attention
    hidden = decoder.prompts + first.output(read_by_constants(first, states, padding))
    hidden = feed_forward(decoder.feed_forward, hidden)
    for layer in decoder.layers:
        assert isinstance(layer, DecoderLayer)
        bias = layer.self_attention.bias
        own = None if bias is None else position_bias(bias, len(decoder.prompts))
        hidden = decoder_layer(layer, hidden, own, states, padding)
    hidden = normalize(hidden, folded.decoder_epsilon)  # (texts, prompts, d_model)
    if len(decoder.prompts) > 1:  # one prompt a label
        return (hidden * folded.head_weight).sum(-1) + folded.head_bias
    return folded.label_logits(hidden[:, 0])


def regrouped(states: torch.Tensor, padding: torch.Tensor, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The states of whole texts and what hides their padding, from those of their windows.

    Args:
        states: `(rows, length, d_model)`.
        padding: `(rows, 1, 1, length)`.
        windows: as for `ExportableEncT5.forward`.

    Returns:
        `(texts, most windows * length, d_model)` and `(texts, 1, 1, most windows * length)`.
    """
    rows = windows.clamp(min=0)
    none = (windows < 0).to(padding.dtype)[:, :, None] * HIDDEN  # (texts, most windows, 1)
    return states[rows].flatten(1, 2), (padding[rows][:, :, 0, 0] + none).flatten(1)[:, None, None]


def position_bias(bias: PositionBias, length: int) -> torch.Tensor:
    """T5's relative position bias of queries and keys, `(1, heads, length, length)`."""
    position = torch.arange(length, device=bias.by_distance.device)
    distance = position[None, :] - position[:, None]
    index = distance.clamp(-bias.reach, bias.reach) + bias.reach
    return functional.embedding(index, bias.by_distance.t()).permute(2, 0, 1)[None]


def self_attention(layer: SelfAttention, hidden: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """A self-attention layer with norm and residual sum: `(batch, length, d_model)` to the same."""
    projected = layer.query_key_value(normalize(hidden, layer.epsilon)).chunk(3, dim=-1)
    query, key, value = (by_heads(part, layer.heads) for part in projected)
    return hidden + layer.output(attend(query, key, value, bias))


def feed_forward(layer: FeedForward, hidden: torch.Tensor) -> torch.Tensor:
    """A feed-forward layer with norm and residual sum: `(batch, length, d_model)` to the same."""
    inner = layer.input(normalize(hidden, layer.epsilon))
    if layer.is_gated:
        gate, linear = inner.chunk(2, dim=-1)
        return hidden + layer.output(layer.activation(gate) * linear)
    return hidden + layer.output(layer.activation(inner))


def cross_attention(
    layer: CrossAttention, hidden: torch.Tensor, states: torch.Tensor, padding: torch.Tensor
) -> torch.Tensor:
    """A cross-attention layer with norm and residual sum: `(batch, rows, d_model)` to the same."""
    query = layer.queries(hidden).transpose(1, 2)
    key, value = (by_heads(part, layer.heads) for part in layer.key_value(states).chunk(2, dim=-1))
    return hidden + layer.output(attend(query, key, value, padding))


def read_by_constants(layer: ConstantCrossAttention, states: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
    """What the prompts find in the texts: `(batch, length, d_model)` to `(batch, prompts, heads * d_kv)`."""
    if layer.folded_queries is None or not layer.folds(TYPICAL_LENGTH, 1):
        key, value = (by_heads(part, layer.heads) for part in layer.key_value(states).chunk(2, dim=-1))
        return attend(layer.constant_queries.transpose(0, 1)[None], key, value, padding)
    prompts, heads, width = layer.folded_queries.shape
    scores = functional.linear(states, layer.folded_queries.flatten(0, 1)).transpose(1, 2)  # (batch, rows, length)
    pooled = (scores + padding[:, 0]).softmax(-1) @ states  # (batch, prompts * heads, d_model)
    pooled = pooled.view(-1, prompts, heads, width).transpose(1, 2)  # (batch, heads, prompts, d_model)
    values = layer.key_value.weight.unflatten(0, (2, heads, -1))[1]  # (heads, d_kv, d_model)
    return (pooled @ values.transpose(1, 2)).transpose(1, 2).flatten(2)


def decoder_layer(
    layer: DecoderLayer, hidden: torch.Tensor, bias: torch.Tensor | None, states: torch.Tensor, padding: torch.Tensor
) -> torch.Tensor:
    """A block of the decoder whose states depend on the texts: `(batch, rows, d_model)` to the same."""
    hidden = self_attention(layer.self_attention, hidden, bias)
    return feed_forward(layer.feed_forward, cross_attention(layer.cross_attention, hidden, states, padding))
