"""EncT5 (arXiv 2110.08426 v2): a non-autoregressive classifier made of a T5 checkpoint.

    text -> T5 encoder -> token states                              (batch, sequence, d_model)
    constant prompts -> own embedding -> T5 decoder layer(s)        (batch, prompts, d_model)
    prompts' states -> head -> logits                               (batch, num_labels)

For tagging tokens there are no prompts. The head reads the encoder's token states or, as in the paper's structured
prediction, the states of a decoder that is fed with the text's own tokens:

    token states -> [text's own tokens -> T5 decoder layer(s)] -> head -> logits    (batch, sequence, num_labels)

With `encoder_window` the encoder reads a long text in windows (`EncoderWindows`), the prompts the states of all.

- `EncT5Decoder` is section 3's decoder: constant ids instead of text, full instead of causal self-attention. What no
  text influences, up to the first cross-attention, is computed once per batch.
- `EncT5ClassificationHead` reads one prompt for all labels, or one prompt per label (section 3, multi-label);
  `EncT5TokenHead` reads every token.
- Encoder and decoder layers are transformers' own T5 blocks; umT5's encoder is transformers' own, too.

This file and configuration_enct5.py travel with every saved checkpoint (`trust_remote_code=True`), so they import
torch, transformers and each other only.
"""

import copy
import importlib
import os
from collections.abc import Callable, Collection
from typing import Any

import torch
from huggingface_hub import parse_local_safetensors_file_metadata
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import initialization as init
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import WeightRenaming
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import (
    BaseModelOutput,
    BaseModelOutputWithPastAndCrossAttentions,
    Seq2SeqModelOutput,
    Seq2SeqSequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.models.t5.modeling_t5 import T5Block, T5LayerNorm, T5PreTrainedModel, T5Stack
from transformers.models.umt5.modeling_umt5 import UMT5Stack
from transformers.processing_utils import Unpack
from transformers.utils import (
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
    TransformersKwargs,
    cached_file,
    logging,
)
from transformers.utils.generic import can_return_tuple
from transformers.utils.hub import get_checkpoint_shard_files
from transformers.utils.output_capturing import capture_outputs

from .configuration_enct5 import EncT5Config

logger = logging.get_logger(__name__)

# Names in checkpoints of the reference implementation (and in T5's own files) -> names here.
register_checkpoint_conversion_mapping(
    EncT5Config.model_type,
    [
        WeightRenaming(source_patterns=r"^transformer\.shared\.", target_patterns="transformer.encoder.embed_tokens."),
        WeightRenaming(source_patterns=r"^classification_head\.out_proj\.", target_patterns="classifier."),
        WeightRenaming(source_patterns=r"^classification_head\.weights$", target_patterns="classifier.weight"),
        WeightRenaming(source_patterns=r"^classification_head\.biases$", target_patterns="classifier.bias"),
    ],
    overwrite=True,  # the same code may be imported twice: installed, and from a checkpoint's folder
)

PROMPTS = "transformer.decoder.embed_tokens.weight"
FLOATING_POINT = ("F64", "F32", "F16", "BF16")  # safetensors' words for what weights may be stored in
# Arguments of `from_pretrained` that say where files are.
PLACES = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")

# More prompts than this attend in parts.
PROMPTS_AT_A_TIME = 1024
# The asymmetric loss passes over labels with a score below it that a text does not have (its paper's margin).
ASYMMETRIC_MARGIN = 0.05
TINY = 1e-8  # instead of 0, where a power's gradient would be infinite
CACHE_LINE = 64  # bytes


def check_stored_dtypes(source: str | os.PathLike, unread: Collection[str], **places: Any) -> None:
    """Refuse a checkpoint whose files hold anything else than floating point numbers, such as 8-bit integers.

    Without a `quantization_config` nothing says what these are to be multiplied by; transformers would take the
    integers themselves for the weights.

    Args:
        source: folder or hub id.
        unread: tensors in the files that the model has no place for.
        places: `from_pretrained`'s arguments that say where files are, such as `revision`.

    Raises:
        ValueError: naming a tensor.
    """
    missing: Any = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    files = [cached_file(source, SAFE_WEIGHTS_NAME, **places, **missing)]
    if files == [None] and (index := cached_file(source, SAFE_WEIGHTS_INDEX_NAME, **places, **missing)):
        files = get_checkpoint_shard_files(source, index, **places)[0]
    for file in files:
        for name, tensor in {} if file is None else parse_local_safetensors_file_metadata(file).tensors.items():
            if name not in unread and tensor.dtype not in FLOATING_POINT:
                raise ValueError(
                    f"{name} is stored as {tensor.dtype}, which is no floating point number that stands for itself; "
                    "save the model dequantised, or take the original"
                )


def start_at_cache_lines(model: nn.Module) -> None:
    """Copy the weights that begin between two cache lines, as those of a file that is mapped into memory may.

    Some processors round products of matrices otherwise there, and in a file weights begin behind a head of any size:
    one label more, and all logits would be others in their last bit.
    """
    for parameter in model.parameters():
        # no subclass, such as a quantised or a distributed tensor, whose memory is its own affair
        if type(parameter) is nn.Parameter and parameter.is_cpu and parameter.data_ptr() % CACHE_LINE:
            parameter.data = parameter.data.clone()


def clamp_half_precision(hidden_states: torch.Tensor) -> torch.Tensor:
    """Keep float16 states finite, as T5's blocks do after each of their sub-layers; other dtypes pass unchanged."""
    if hidden_states.dtype != torch.float16:
        return hidden_states
    largest = torch.finfo(torch.float16).max
    return hidden_states.clamp(min=1000 - largest, max=largest - 1000)


def single_label_loss(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None, loss: str | None, gamma: float | None
) -> torch.Tensor:
    """Cross-entropy, or focal loss (arXiv 1708.02002, equation 4, of the softmax): a mean over the texts.

    Args:
        logits: float `(batch, labels)`.
        labels: int64 `(batch,)`.
        weights: factor of each class's texts `(labels,)`. The sum is divided by the number of texts, not, as PyTorch
            does, by their weights: a text's part then does not depend on its batch.
        loss: `None` or `"focal"`.
        gamma: focusing of the focal loss; 2 by default.
    """
    if weights is None and loss is None:
        return functional.cross_entropy(logits, labels)
    losses = functional.cross_entropy(logits, labels, reduction="none")
    if loss == "focal":
        losses = losses * (-torch.expm1(-losses)).clamp(min=TINY) ** (2 if gamma is None else gamma)
    return (losses if weights is None else losses * weights[labels]).mean()


def multi_label_loss(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None, loss: str | None, gamma: float | None
) -> torch.Tensor:
    """Binary cross-entropy, focal (arXiv 1708.02002) or asymmetric loss (arXiv 2009.14119): a mean over all labels.

    Args:
        logits: float `(batch, labels)`.
        labels: float `(batch, labels)`, 1 where a text has the label.
        weights: factor of the texts that have the label, for each label, `(labels,)`.
        loss: `None` or `"bce"`, `"focal"`, or `"asymmetric"`.
        gamma: focusing; 2 by default for the focal, 4 for the asymmetric loss, whose positives are not focused.
    """
    if loss in (None, "bce"):
        return functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights)
    scores, log_scores, log_rest = logits.sigmoid(), functional.logsigmoid(logits), functional.logsigmoid(-logits)
    if loss == "focal":
        gamma = 2 if gamma is None else gamma
        # powers of the scores through their logarithms: the gradient of 0 ** gamma is infinite for gamma below 1
        positive, negative = -(gamma * log_rest).exp() * log_scores, -(gamma * log_scores).exp() * log_rest
    else:
        shifted = (scores - ASYMMETRIC_MARGIN).clamp(min=TINY)
        positive, negative = -log_scores, -(shifted ** (4 if gamma is None else gamma)) * torch.log1p(-shifted)
    if weights is not None:
        positive = positive * weights
    return (labels * positive + (1 - labels) * negative).mean()


def sequence_loss(config: EncT5Config, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss that a configuration's `problem_type`, `loss` and `class_weights` name: a mean over texts, in float32.

    Args:
        config: of single-label or multi-label classification, or of regression.
        logits: `(batch, num_labels)`.
        labels: as for `EncT5ForSequenceClassification.forward`.

    Raises:
        ValueError: for labels whose dtype or shape does not fit.
    """
    logits = logits.float()
    weights = None if config.class_weights is None else logits.new_tensor(config.class_weights)
    if config.problem_type == "single_label_classification":
        is_integer = not labels.is_floating_point() and labels.dtype != torch.bool
        if not is_integer or labels.shape not in (logits.shape[:1], (logits.shape[0], 1)):
            several = labels.dim() == 2 and labels.shape[1] > 1
            meant = ("several labels a text", "multi_label_classification") if several else ("values", "regression")
            raise ValueError(
                f"single-label classification needs int64 labels of shape ({logits.shape[0]},), not {labels.dtype} "
                f"{tuple(labels.shape)}; for {meant[0]}, set `problem_type={meant[1]!r}`"
            )
        return single_label_loss(logits, labels.flatten().long(), weights, config.loss, config.loss_gamma)
    if labels.shape != logits.shape and (config.num_labels > 1 or labels.shape != logits.shape[:1]):
        raise ValueError(
            f"{config.problem_type} needs labels of shape {tuple(logits.shape)}, not {tuple(labels.shape)}; "
            f"`num_labels` is {config.num_labels}"
        )
    labels = labels.view_as(logits).float()
    if config.problem_type == "regression":
        return functional.mse_loss(logits, labels)
    return multi_label_loss(logits, labels, weights, config.loss, config.loss_gamma)


def token_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, the mean over the labelled tokens (0 without any); a scalar in float32.

    Args:
        logits: `(batch, sequence, num_labels)`.
        labels: int64 `(batch, sequence)`, -100 where a token has none.

    Raises:
        ValueError: for labels whose dtype or shape does not fit.
    """
    if labels.is_floating_point() or labels.dtype == torch.bool or labels.shape != logits.shape[:2]:
        raise ValueError(
            f"tagging tokens needs int64 labels of shape {tuple(logits.shape[:2])}, one a token and -100 for none, "
            f"not {labels.dtype} {tuple(labels.shape)}"
        )
    labels = labels.long()
    total = functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), reduction="sum")
    return total / (labels != -100).sum().clamp(min=1)


def label_logits(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, parts: list[int] | None
) -> torch.Tensor:
    """The logits of all labels from the same states, `(..., d_model)` to `(..., num_labels)`.

    Args:
        states: of texts, or of tokens.
        weight: a row a label.
        bias: a number a label.
        parts: `EncT5Config.label_parts`. A product of matrices rounds otherwise with more columns.
    """
    if parts is None:
        return functional.linear(states, weight, bias)
    pairs = zip(weight.split(parts), bias.split(parts), strict=True)
    return torch.cat([functional.linear(states, *pair) for pair in pairs], dim=-1)


class EncT5ClassificationHead(nn.Module):
    """One weight vector and bias per label, applied to the label's prompt (or to the only prompt).

    Shapes: `(batch, prompts, d_model)` -> `(batch, num_labels)`.
    """

    def __init__(self, config: EncT5Config):
        super().__init__()
        self.dropout, self.parts = nn.Dropout(config.classifier_dropout), config.label_parts
        self.weight = nn.Parameter(torch.empty(config.num_labels, config.d_model))
        self.bias = nn.Parameter(torch.empty(config.num_labels))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states = self.dropout(hidden_states).to(self.weight.dtype)
        if hidden_states.shape[1] == 1:
            return label_logits(hidden_states[:, 0], self.weight, self.bias, self.parts)
        return (hidden_states * self.weight).sum(-1) + self.bias


class EncT5TokenHead(EncT5ClassificationHead):
    """One weight vector and bias per label, applied to every token.

    Shapes: `(batch, sequence, d_model)` -> `(batch, sequence, num_labels)`.
    """

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return label_logits(self.dropout(hidden_states).to(self.weight.dtype), self.weight, self.bias, self.parts)


def in_parts(function: Callable[[torch.Tensor], torch.Tensor], prompts: torch.Tensor) -> torch.Tensor:
    """Apply a function that treats each prompt for itself, so that thousands of them need not be in memory at once.

    What the backward pass needs is computed again there.

    Args:
        function: `(batch, some prompts, d_model)` to the same.
        prompts: `(batch, prompts, d_model)`.
    """
    parts = prompts.split(PROMPTS_AT_A_TIME, dim=1)
    if torch.is_grad_enabled():
        return torch.cat([checkpoint(function, part, use_reentrant=False) for part in parts], dim=1)
    return torch.cat([function(part) for part in parts], dim=1)


class EncT5Block(T5Block):
    """A T5 decoder block without causal mask; constant prompts stay one copy until texts come in."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        position_bias: torch.Tensor | None,
        encoder_hidden_states: torch.Tensor,
        encoder_attention_mask: torch.Tensor | None,
        attention_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run self-attention, cross-attention and feed-forward.

        Args:
            hidden_states: `(1, prompts, d_model)` while no text has come in, else `(batch, prompts, d_model)`; or
                `(batch, sequence, d_model)`, the text's own tokens in the place of prompts.
            position_bias: bias between prompts, `(1, heads or 1, prompts, prompts)` or broadcastable; `None` asks the
                layer for its own.
            encoder_hidden_states: `(batch, sequence, d_model)`.
            encoder_attention_mask: mask of the cross-attention in the attention implementation's own form.
            attention_mask: mask of the self-attention in that form; prompts need none.

        Returns:
            The states `(batch, prompts, d_model)` and the position bias used.
        """
        many = hidden_states.shape[1] > PROMPTS_AT_A_TIME and not kwargs.get("output_attentions")
        if many and attention_mask is None and position_bias is not None and position_bias.shape[2] == 1:
            # The layer normalises the prompts that ask; those that are asked are then given as they are to be.
            asked = self.layer[0].layer_norm(hidden_states)
            hidden_states = in_parts(
                lambda part: self.layer[0](
                    part, key_value_states=asked, position_bias=position_bias, is_causal=False, **kwargs
                )[0],
                hidden_states,
            )
        else:
            hidden_states, position_bias, _ = self.layer[0](
                hidden_states, attention_mask=attention_mask, position_bias=position_bias, is_causal=False, **kwargs
            )
        hidden_states = clamp_half_precision(hidden_states)
        hidden_states = hidden_states.expand(encoder_hidden_states.shape[0], -1, -1)
        texts = (encoder_hidden_states, encoder_attention_mask)
        if many:
            return in_parts(lambda part: self.read_texts(part, *texts, **kwargs), hidden_states), position_bias
        return self.read_texts(hidden_states, *texts, **kwargs), position_bias

    def read_texts(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_attention_mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Cross-attention and feed-forward, `(batch, prompts, d_model)` to the same; each prompt for itself."""
        # T5's cross-attention has no position bias; left to itself it would add zeros for every head, prompt and token.
        # In the texts' dtype: behind `wo`, which float16 models keep in float32, the prompts' own states are float32.
        # As long as the text: attention on a GPU takes no mask whose last dimension is broadcast.
        no_bias = encoder_hidden_states.new_zeros(1, 1, 1, encoder_hidden_states.shape[1])
        hidden_states, _, _ = self.layer[1](
            hidden_states,
            key_value_states=encoder_hidden_states,
            attention_mask=encoder_attention_mask,
            position_bias=no_bias,
            **kwargs,
        )
        hidden_states = self.layer[2](clamp_half_precision(hidden_states))
        return clamp_half_precision(hidden_states)


class EncT5PreTrainedModel(T5PreTrainedModel):
    """Weight initialisation, loading and capability flags; attention dispatch and the rest come from T5."""

    config_class = EncT5Config
    base_model_prefix = "transformer"
    _no_split_modules = ["T5Block", "UMT5Block", "EncT5Block"]

    @classmethod
    def is_custom_code(cls) -> bool:
        """No: this code initialises as transformers' own does.

        transformers passes over those modules of custom code that hold no parameter directly, such as T5's attention,
        and leaves all their matrices with T5's `initializer_factor` (1.0) as standard deviation.
        """
        return False

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint (see `PreTrainedModel.from_pretrained`) to where its weights begin at cache lines."""
        loaded: Any = super().from_pretrained(*args, **kwargs)
        start_at_cache_lines(loaded[0] if isinstance(loaded, tuple) else loaded)
        return loaded

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        factor = self.config.initializer_factor
        if isinstance(module, EncT5ClassificationHead):
            init.normal_(module.weight, mean=0.0, std=factor * self.config.d_model**-0.5)
            init.zeros_(module.bias)
        elif isinstance(module, (EncT5Decoder, T5Stack, UMT5Stack)) and module.embed_tokens is not None:
            init.normal_(module.embed_tokens.weight, mean=0.0, std=factor * 1.0)

    @property
    def dummy_inputs(self) -> dict[str, torch.Tensor]:
        """A small batch for tracing."""
        inputs = super().dummy_inputs
        return {"input_ids": inputs["input_ids"], "attention_mask": inputs["decoder_attention_mask"]}


class EncoderWindows:
    """The texts of a batch in windows, the rows that an encoder reads side by side, and the way back.

    A text longer than a window has as few as hold it, of equal length, but the last may be shorter. They are counted
    from its first token and follow from its own length, so that padding on either side and neighbours change nothing.
    In a traced or compiled model the rows are as many and as long as a batch of that shape may need; else no row is
    without text.

    Args:
        attention_mask: `(batch, sequence)`, 0 for padding.
        window: most tokens of a window.

    Attributes:
        attention_mask: of the windows, int64 `(windows, length)`.
    """

    def __init__(self, attention_mask: torch.Tensor, window: int):
        is_text = attention_mask != 0
        batch, sequence = is_text.shape
        position = torch.arange(sequence, device=is_text.device)
        first = torch.where(is_text, position, sequence - 1).amin(1, keepdim=True)
        tokens = torch.where(is_text, position + 1, 0).amax(1, keepdim=True).sub(first).clamp(min=1)
        count = (tokens + window - 1) // window
        size = (tokens + count - 1) // count  # as `EncT5Config.window_lengths` has it; (batch, 1) each
        number = torch.arange(-(-sequence // window), device=is_text.device)
        text = torch.arange(batch, device=is_text.device)[:, None].expand(-1, len(number))
        start, end, length = first + number * size, torch.minimum(first + (number + 1) * size, first + tokens), window
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            row = text * len(number)
            text, start, end = text.flatten(), start.flatten(), end.flatten()
        else:
            row = count.cumsum(0) - count  # of a text's first window
            needed = number < count
            text, start, end, length = text[needed], start[needed], end[needed], int(size.max())
        tokens_of_windows = start[:, None] + torch.arange(length, device=is_text.device)
        index = text[:, None] * sequence + tokens_of_windows.clamp(max=sequence - 1)
        self.attention_mask = (is_text.flatten()[index] & (tokens_of_windows < end[:, None])).long()
        self._index = index  # in the batch, of the windows' tokens
        self._inside = (position >= first) & (position < first + tokens)
        number = ((position - first) // size).clamp(min=0).minimum(count - 1)
        self._row = row[:, :1] + number  # the window of each of the batch's tokens
        self._place = (position - first - number * size).clamp(0, length - 1)  # and the place therein

    def split(self, tokens: torch.Tensor) -> torch.Tensor:
        """From the batch's tokens to those of the windows, `(batch, sequence, ...)` to `(windows, length, ...)`."""
        return tokens.flatten(0, 1).index_select(0, self._index.flatten()).unflatten(0, self._index.shape)

    def join(self, states: torch.Tensor) -> torch.Tensor:
        """The way back, `(windows, length, d_model)` to `(batch, sequence, d_model)`; padding gets any state."""
        index = self._row * states.shape[1] + self._place
        return states.flatten(0, 1).index_select(0, index.flatten()).unflatten(0, index.shape)

    def join_attentions(self, attentions: torch.Tensor) -> torch.Tensor:
        """What tokens attend to, `(windows, heads, length, length)` to `(batch, heads, sequence, sequence)`."""
        row, query, key = self._row[:, :, None], self._place[:, :, None], self._place[:, None]
        weights = attentions[row, :, query, key]  # (batch, sequence, sequence, heads)
        together = (row == self._row[:, None]) & self._inside[:, :, None] & self._inside[:, None]
        return (weights * together[..., None]).permute(0, 3, 1, 2)


class EncT5Decoder(EncT5PreTrainedModel):
    """The decoder whose input ids are the constants 0..prompts-1 with their own embedding (section 3).

    For tagging tokens its input is the text itself, in the encoder's embedding, and there are no prompts.
    Self-attention sees the whole text. Its position bias is the decoder's own: distances to the left keep the meaning
    that they were pretrained with, and all tokens to the right share the bias of the token itself, which is what T5's
    decoder gives to positions that it has no distance for.
    """

    def __init__(self, config: EncT5Config):
        super().__init__(config)
        prompts = config.decoder_vocab_size
        self.embed_tokens = None if prompts is None else nn.Embedding(prompts, config.d_model)
        self.block = nn.ModuleList(
            EncT5Block(config, config.prompt_position_bias and (i == 0 or config.per_layer_position_bias), layer_idx=i)
            for i in range(config.num_layers)
        )
        self.final_layer_norm = T5LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.gradient_checkpointing = False
        self.post_init()

    @capture_outputs
    def forward(
        self,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """Let the prompts, or the text's own tokens, read the encoded texts.

        Args:
            encoder_hidden_states: `(batch, sequence, d_model)`.
            attention_mask: `(batch, sequence)`, 1 for text and 0 for padding.
            inputs_embeds: `(batch, sequence, d_model)`, the text's own tokens where there are no prompts.

        Returns:
            `last_hidden_state` `(batch, prompts or sequence, d_model)`.
        """
        self_attention_mask = None
        if self.embed_tokens is not None:
            # Called, not read: whoever loads, shards, quantises or adapts the embedding does so around its call.
            ids = torch.arange(self.config.decoder_vocab_size, device=encoder_hidden_states.device)
            inputs_embeds = self.embed_tokens(ids).unsqueeze(0)  # (1, prompts, d_model): the same for every text
        else:
            assert inputs_embeds is not None, "a decoder without prompts is fed with the text's own tokens"
            self_attention_mask = create_bidirectional_mask(
                config=self.config, inputs_embeds=inputs_embeds, attention_mask=attention_mask
            )
        cross_attention_mask = create_bidirectional_mask(
            config=self.config,
            inputs_embeds=inputs_embeds[:, :1].expand(encoder_hidden_states.shape[0], -1, -1),  # alike for all
            attention_mask=attention_mask,
            encoder_hidden_states=encoder_hidden_states,
        )
        prompts = inputs_embeds.shape[1]
        no_bias = None if self.config.prompt_position_bias else inputs_embeds.new_zeros(1, 1, 1, prompts)
        position_bias = no_bias
        hidden_states = self.dropout(inputs_embeds)
        for block in self.block:
            hidden_states, block_bias = block(
                hidden_states,
                position_bias,
                encoder_hidden_states,
                cross_attention_mask,
                self_attention_mask,
                **kwargs,
            )
            position_bias = no_bias if self.config.per_layer_position_bias else block_bias
        hidden_states = self.dropout(self.final_layer_norm(hidden_states))
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states)


def decoder_of(config: EncT5Config) -> EncT5Decoder | None:
    """The decoder that a model's configuration asks for, if any."""
    if not config.has_decoder:
        return None
    decoder_config = copy.deepcopy(config)
    decoder_config.is_decoder = True
    decoder_config.use_cache = False
    decoder_config.num_layers = config.num_decoder_layers
    if config.decoder_dropout_rate is not None:
        decoder_config.dropout_rate = config.decoder_dropout_rate
    return EncT5Decoder(decoder_config)


class EncT5Model(EncT5PreTrainedModel):
    """T5's encoder and the prompted decoder, without a head. Returns the prompts' states.

    For tagging tokens it returns the tokens' states: the encoder's, or with `token_decoder` those of a decoder that is
    fed with the text's own tokens. Without `token_decoder` there is no decoder.
    """

    def __init__(self, config: EncT5Config):
        super().__init__(config)
        encoder_config = copy.deepcopy(config)
        encoder_config.is_decoder = False
        encoder_config.use_cache = False
        self.encoder = (UMT5Stack if config.per_layer_position_bias else T5Stack)(encoder_config)

        self.decoder = decoder_of(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The encoder's embedding of text; the prompts have their own."""
        return self.encoder.embed_tokens

    def set_input_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the encoder's embedding of text."""
        self.encoder.embed_tokens = new_embeddings

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple[torch.Tensor, ...] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> Seq2SeqModelOutput:
        """Encode the texts and let the prompts read them.

        Args:
            input_ids: `(batch, sequence)`.
            attention_mask: `(batch, sequence)`; built from `pad_token_id` when absent.
            inputs_embeds: `(batch, sequence, d_model)`, instead of `input_ids`.
            encoder_outputs: a former call's encoder output, to skip the encoder.

        Returns:
            `last_hidden_state` `(batch, prompts, d_model)`, and what `output_hidden_states` and `output_attentions`
            ask for (`cross_attentions`: what each prompt reads, `(batch, heads, prompts, sequence)` per layer). For
            tagging tokens, tokens stand in the place of prompts.

        Raises:
            ValueError: for `encoder_outputs` alone where the decoder is fed with the text.
        """
        if attention_mask is None and input_ids is not None and self.config.pad_token_id is not None:
            attention_mask = (input_ids != self.config.pad_token_id).long()
        # The stacks hold copies of the configuration, so a flag set on the model's own must be passed on; and what they
        # return is read by name below, whatever the copies say of `return_dict`.
        for flag in ("output_attentions", "output_hidden_states"):
            kwargs[flag] = getattr(self.config, flag) if kwargs.get(flag) is None else kwargs[flag]
        kwargs["return_dict"] = True
        if encoder_outputs is None:
            encoder_outputs = self.encode(input_ids, attention_mask, inputs_embeds, **kwargs)
        elif isinstance(encoder_outputs, (tuple, list)):
            encoder_outputs = BaseModelOutput(*encoder_outputs)
        if self.decoder is None:
            return Seq2SeqModelOutput(
                last_hidden_state=encoder_outputs.last_hidden_state,
                encoder_last_hidden_state=encoder_outputs.last_hidden_state,
                encoder_hidden_states=encoder_outputs.hidden_states,
                encoder_attentions=encoder_outputs.attentions,
            )
        if self.decoder.embed_tokens is None and inputs_embeds is None:
            if input_ids is None:
                raise ValueError("with `token_decoder` the decoder reads the text: give `input_ids` or `inputs_embeds`")
            inputs_embeds = self.encoder.embed_tokens(input_ids)
        decoder_outputs = self.decoder(encoder_outputs.last_hidden_state, attention_mask, inputs_embeds, **kwargs)
        return Seq2SeqModelOutput(
            last_hidden_state=decoder_outputs.last_hidden_state,
            decoder_hidden_states=decoder_outputs.hidden_states,
            decoder_attentions=decoder_outputs.attentions,
            cross_attentions=decoder_outputs.cross_attentions,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
            encoder_hidden_states=encoder_outputs.hidden_states,
            encoder_attentions=encoder_outputs.attentions,
        )

    def encode(
        self,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """The encoder's output for texts, read in windows where they are longer than `encoder_window`.

        Args:
            input_ids: as for `forward`; likewise the others.
            attention_mask: `(batch, sequence)`.
            inputs_embeds: `(batch, sequence, d_model)`.
            kwargs: for the encoder.

        Returns:
            `last_hidden_state` `(batch, sequence, d_model)`, and `hidden_states` and `attentions` of the whole texts.

        Raises:
            ValueError: for windows under a mask of another shape.
        """
        name, tokens = ("input_ids", input_ids) if inputs_embeds is None else ("inputs_embeds", inputs_embeds)
        is_one = (input_ids is None) != (inputs_embeds is None)  # else the encoder says what is wrong
        window = self.config.encoder_window
        if window is None or not is_one or tokens.shape[1] <= window:
            return self.encoder(
                input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds, **kwargs
            )
        if attention_mask is None:
            attention_mask = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        elif attention_mask.shape != tokens.shape[:2]:
            raise ValueError(
                f"with `encoder_window` the `attention_mask` must have the shape {tuple(tokens.shape[:2])}, one number "
                f"a token, not {tuple(attention_mask.shape)}"
            )
        windows = EncoderWindows(attention_mask, window)
        outputs = self.encoder(**{name: windows.split(tokens)}, attention_mask=windows.attention_mask, **kwargs)
        hidden_states, attentions = outputs.hidden_states, outputs.attentions
        return BaseModelOutput(
            last_hidden_state=windows.join(outputs.last_hidden_state),
            hidden_states=None if hidden_states is None else tuple(map(windows.join, hidden_states)),
            attentions=None if attentions is None else tuple(map(windows.join_attentions, attentions)),
        )


def check_is_of_one_task(config: EncT5Config) -> None:
    """Refuse the configuration of a model of several tasks.

    Raises:
        ValueError: naming them.
    """
    if config.tasks:
        raise ValueError(
            f"the model has {len(config.tasks)} tasks ({', '.join(config.task_names)}): load it with EncT5ForTasks "
            "(AutoModel, trust_remote_code=True), whose `task_model(name)` is the model of one"
        )


class EncT5ForClassification(EncT5PreTrainedModel):
    """What the classes with a head share: making one of a T5, saving, and the warning when the head is untrained."""

    accepts_loss_kwargs = False  # the loss is a mean over the batch, so Trainer has to average over accumulated steps
    head_class: type[EncT5ClassificationHead] = EncT5ClassificationHead

    def __init__(self, config: EncT5Config):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.transformer = EncT5Model(config)
        self.classifier = self.head_class(config)
        self.post_init()

    @classmethod
    def from_t5(cls, base: str, num_labels: int | None = None, **kwargs: Any) -> Any:
        """Build an EncT5 model from a T5-family checkpoint; see `enct5.model.conversion.convert` for the arguments.

        Needs the enct5 package (a checkpoint's own copy of this file can load and train models, not convert them).
        """
        # Not an import statement: transformers would look for enct5 wherever this file is loaded from a checkpoint.
        return (
            importlib.import_module("enct5.model.conversion").convert(base, num_labels, model_class=cls, **kwargs).model
        )

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint (see `PreTrainedModel.from_pretrained`); warns if it was never fine-tuned.

        Where another problem type or number of labels is asked for, prompts that do not fit start anew, and so does the
        head that reads them.

        Raises:
            ValueError: for weights that are no floating point numbers.
        """
        source, with_info = pretrained_model_name_or_path, kwargs.pop("output_loading_info", False)
        places = {key: kwargs[key] for key in PLACES if kwargs.get(key) is not None}
        forgiving = kwargs.pop("ignore_mismatched_sizes", False)
        loaded: Any = super().from_pretrained(
            source, *args, ignore_mismatched_sizes=True, output_loading_info=True, **kwargs
        )
        model, info = loaded
        quantizer = getattr(model, "hf_quantizer", None)
        if source is not None and kwargs.get("gguf_file") is None and not (quantizer and quantizer.pre_quantized):
            check_stored_dtypes(source, info["unexpected_keys"], **places)
        mismatched = sorted(key[0] for key in info["mismatched_keys"])
        if mismatched and not forgiving:
            asked = cls.config_class.get_config_dict(source, **places)[0].get("problem_type")
            if mismatched != [PROMPTS] or asked in (None, model.config.problem_type):
                raise RuntimeError(
                    f"{source} holds {', '.join(mismatched)} in another shape than the configuration asks for; "
                    "`ignore_mismatched_sizes=True` starts them anew"
                )
        if PROMPTS in mismatched:
            model.start_for_labels()
            logger.warning(
                f"{PROMPTS} and the classifier start anew: the checkpoint's are for other labels or another problem "
                "type. Train the model before use."
            )
        if not model.is_fine_tuned():
            prompts = ", and after a conversion from T5 transformer.decoder.embed_tokens.weight (the prompts),"
            logger.warning_once(
                "The head of this EncT5 model has never been fine-tuned: classifier.weight and classifier.bias"
                f"{'' if model.config.decoder_vocab_size is None else prompts} are as initialised, so its predictions "
                "are random. Train it on labelled data before use."
            )
        return (model, info) if with_info else model

    @torch.no_grad()
    def start_for_labels(self) -> None:
        """Start the prompts as T5's decoder starts, as `<pad>`'s embedding, and draw a head."""
        old = self.classifier.weight
        self.classifier = self.head_class(self.config).to(old.device, old.dtype).train(self.training)
        self._init_weights(self.classifier)
        prompts, embedding = self.transformer.decoder.embed_tokens.weight, self.transformer.encoder.embed_tokens.weight
        prompts.copy_(embedding[self.config.decoder_start_token_id].expand_as(prompts))

    def is_fine_tuned(self) -> bool:
        """Whether the head was ever trained: it starts with a bias of zeros, which the first update moves."""
        return self.classifier.bias.is_meta or bool(self.classifier.bias.any())

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Save weights, configuration and the code that loads them (see `PreTrainedModel.save_pretrained`)."""
        # A reference checkpoint is saved under the names used here, not written back under its old ones.
        kwargs.setdefault("save_original_format", False)
        super().save_pretrained(*args, **kwargs)


class EncT5ForSequenceClassification(EncT5ForClassification):
    """EncT5 for single-label classification, multi-label classification and regression.

    `config.problem_type` decides the loss and the number of prompts. A model made by `from_t5` must be fine-tuned
    before use: its prompts and head are new.

    Raises:
        ValueError: for the configuration of a model that tags tokens.
    """

    def __init__(self, config: EncT5Config):
        check_is_of_one_task(config)
        if config.problem_type == "token_classification":
            raise ValueError(
                "`problem_type` is 'token_classification': load this model with EncT5ForTokenClassification "
                "(AutoModelForTokenClassification), or name the `problem_type` of the texts' labels"
            )
        super().__init__(config)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple[torch.Tensor, ...] | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> Seq2SeqSequenceClassifierOutput:
        """Classify (or score) a batch of texts.

        Args:
            input_ids: `(batch, sequence)`.
            attention_mask: `(batch, sequence)`; built from `pad_token_id` when absent.
            inputs_embeds: `(batch, sequence, d_model)`, instead of `input_ids`.
            encoder_outputs: a former call's encoder output, to skip the encoder.
            labels: int64 `(batch,)` for single-label; float `(batch, num_labels)` for multi-label; float `(batch,)` or
                `(batch, num_labels)` for regression.

        Returns:
            `logits` `(batch, num_labels)` for every problem type, and `loss` (a mean over the batch) with `labels`.

        Raises:
            ValueError: for labels whose dtype or shape does not fit `problem_type`.
        """
        outputs = self.transformer(
            input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            encoder_outputs=encoder_outputs,
            return_dict=True,
            **kwargs,
        )
        logits = self.classifier(outputs.last_hidden_state)
        loss = None if labels is None else self.compute_loss(logits, labels.to(logits.device))
        return Seq2SeqSequenceClassifierOutput(
            loss=loss,
            logits=logits,
            decoder_hidden_states=outputs.decoder_hidden_states,
            decoder_attentions=outputs.decoder_attentions,
            cross_attentions=outputs.cross_attentions,
            encoder_last_hidden_state=outputs.encoder_last_hidden_state,
            encoder_hidden_states=outputs.encoder_hidden_states,
            encoder_attentions=outputs.encoder_attentions,
        )

    def compute_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss that `config.problem_type`, `loss` and `class_weights` name: a mean over the batch, in float32."""
        return sequence_loss(self.config, logits, labels)


class EncT5ForTokenClassification(EncT5ForClassification):
    """EncT5 that gives every token of a text a label, such as the tags of a BIO scheme.

    The head reads the encoder's token states or, with `config.token_decoder`, those of a T5 decoder layer that is fed
    with the text's own tokens (the paper's structured prediction). A model made by `from_t5` must be fine-tuned before
    use: its head is new.
    """

    head_class = EncT5TokenHead

    def __init__(self, config: EncT5Config):
        check_is_of_one_task(config)
        # A checkpoint of another kind may be the start of a tagger; it has no prompts then, nor what is about labels.
        none = dict.fromkeys(
            ("decoder_vocab_size", "encoder_window", "loss", "loss_gamma", "class_weights", "thresholds")
        )
        decodes = config.is_encoder_decoder and config.token_decoder
        values = {"problem_type": "token_classification", "is_encoder_decoder": decodes, **none}
        if any(getattr(config, key) != value for key, value in values.items()):
            config = copy.deepcopy(config)  # the caller's stays as it is
            for key, value in values.items():
                setattr(config, key, value)
        super().__init__(config)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple[torch.Tensor, ...] | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> TokenClassifierOutput:
        """Label every token of a batch of texts.

        Args:
            input_ids: `(batch, sequence)`.
            attention_mask: `(batch, sequence)`; built from `pad_token_id` when absent.
            inputs_embeds: `(batch, sequence, d_model)`, instead of `input_ids`.
            encoder_outputs: a former call's encoder output, to skip the encoder.
            labels: int64 `(batch, sequence)`, -100 where a token has none.

        Returns:
            `logits` `(batch, sequence, num_labels)`, `loss` (a mean over the labelled tokens of the batch, 0 where
            there is none) with `labels`, and the `hidden_states` and `attentions` of the stack that the head reads.

        Raises:
            ValueError: for labels whose dtype or shape does not fit.
        """
        outputs = self.transformer(
            input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            encoder_outputs=encoder_outputs,
            return_dict=True,
            **kwargs,
        )
        logits = self.classifier(outputs.last_hidden_state)
        decodes = self.config.token_decoder
        return TokenClassifierOutput(
            loss=None if labels is None else self.compute_loss(logits, labels.to(logits.device)),
            logits=logits,
            hidden_states=outputs.decoder_hidden_states if decodes else outputs.encoder_hidden_states,
            attentions=outputs.decoder_attentions if decodes else outputs.encoder_attentions,
        )

    def compute_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, the mean over the labelled tokens; a scalar in float32."""
        return token_loss(logits, labels)


EncT5ForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
EncT5ForTokenClassification.register_for_auto_class("AutoModelForTokenClassification")

__all__ = ["EncT5ForSequenceClassification", "EncT5ForTokenClassification", "EncT5Model", "EncT5PreTrainedModel"]
