"""The folded model: a trained one rewritten to predict, the same logits but for rounding, in less time and memory.

A text is as long as it is: nothing is padded. What the text does not influence is computed once per model, and folded
into its weights.
`layers` holds the encoder's layers, `decoder` the decoder's.
"""

import copy
from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import nn
from torch.nn import functional

from enct5.folding.decoder import PromptDecoder, TokenDecoder
from enct5.folding.layers import EncoderLayer, Run, fold_norm, normalize
from enct5.folding.position_bias import position_biases
from enct5.model.fingerprint import global_hooks, hooks_of
from enct5.model.modeling_enct5 import EncT5ForClassification, label_logits

WINDOW_TOKENS = 512  # of long texts' windows that a CPU encodes at once: more are no faster, and take more memory

# Where the classes of T5's modules are; others may do what is unknown here.
KNOWN_MODULES = (
    "torch.nn.modules.",
    "transformers.activations",
    "transformers.models.t5.",
    "transformers.models.umt5.",
    "enct5.model.modeling_enct5",
)


def check_foldable(model: nn.Module) -> None:
    """Refuse what is not EncT5 as it was trained, such as a model with adapters or hooks, or a quantised one.

    Raises:
        ValueError: the message is a clause that says why.
    """
    if global_hooks():
        raise ValueError("torch has hooks for every module, which only the plain model runs")
    for name, module in model.named_modules():
        kind = f"{type(module).__module__}.{type(module).__name__}"
        if not kind.startswith(KNOWN_MODULES):
            raise ValueError(f"{f'its `{name}`' if name else 'the model'} is a {kind}")
        if hooks := hooks_of(module):
            hook = getattr(hooks[0], "__qualname__", type(hooks[0]).__name__)
            raise ValueError(
                f"{f'its `{name}`' if name else 'the model'} has a hook or `forward` of its own ({hook}), which only "
                "the plain model runs"
            )
    for name, parameter in model.named_parameters():
        if type(parameter.data) is not torch.Tensor or not parameter.is_floating_point():
            raise ValueError(f"its `{name}` is quantised")
        if not parameter.is_contiguous():
            raise ValueError(f"its `{name}` does not lie in memory row by row")
    devices = {str(parameter.device) for parameter in model.parameters()}
    if len(devices) > 1 or "meta" in devices:
        raise ValueError(f"its weights are on {' and '.join(sorted(devices))}")


def check_lengths(input_ids: torch.Tensor, lengths: Sequence[int]) -> None:
    """Refuse lengths that do not add up to the tokens, or a text without tokens.

    Raises:
        ValueError: then.
    """
    if min(lengths, default=1) < 1 or sum(lengths) != len(input_ids):
        raise ValueError(f"`lengths` must be at least 1 and add up to {len(input_ids)} tokens, not {sum(lengths)}")


def runs_of(lengths: Sequence[int]) -> list[Run]:
    """Runs of neighbouring texts of equal length, given the length of every text."""
    runs, start = [], 0
    for length, group in groupby(lengths):
        runs.append(Run(start, len(list(group)), length))
        start += runs[-1].texts * length
    return runs


def parts_of(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Neighbouring texts of `most` tokens together at most, or of one text."""
    part = list(lengths[:1])
    for length in lengths[1:]:
        if sum(part) + length > most:
            yield part
            part = []
        part.append(length)
    yield part


class FoldedEncT5(nn.Module):
    """A trained EncT5 model for inference, on packed tokens: texts one after the other, without padding.

    It holds the weights of the time when it was made, those that are unchanged in the model's own memory, and always
    predicts as in evaluation mode. The model stays as it is. Nothing here can be trained.

    Args:
        model: EncT5 for labels of texts or of tokens.
        shared: the folded model of another task on the same encoder, whose folded encoder is this one's, too.

    Attributes:
        labels_tokens: Whether every token has logits, not every text.

    Raises:
        ValueError: for a model that cannot be folded; see `check_foldable`.
    """

    embedding: torch.Tensor
    head_weight: torch.Tensor
    head_bias: torch.Tensor

    @torch.no_grad()
    def __init__(self, model: EncT5ForClassification, shared: "FoldedEncT5 | None" = None) -> None:
        super().__init__()
        check_foldable(model)
        self.config = copy.copy(model.config)
        encoder, decoder = model.transformer.encoder, model.transformer.decoder
        self.register_buffer("embedding", encoder.embed_tokens.weight.detach())
        self.encoder: nn.ModuleList
        if shared is None:
            biases = position_biases(encoder.block)
            self.encoder = nn.ModuleList(EncoderLayer(*pair) for pair in zip(encoder.block, biases, strict=True))
        else:
            self.encoder = shared.encoder
        self.encoder_epsilon = encoder.final_layer_norm.variance_epsilon
        self.labels_tokens = model.config.problem_type == "token_classification"
        self.decoder: PromptDecoder | TokenDecoder | None = None
        if decoder is not None:
            kind = TokenDecoder if decoder.embed_tokens is None else PromptDecoder
            self.decoder = kind(decoder, encoder.final_layer_norm)
        last_norm = (encoder if decoder is None else decoder).final_layer_norm
        self.decoder_epsilon = last_norm.variance_epsilon
        self.register_buffer("head_weight", fold_norm(last_norm, model.classifier))
        self.register_buffer("head_bias", model.classifier.bias.detach())

    def forward(self, input_ids: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """Logits of texts.

        Args:
            input_ids: the texts' token ids one after the other, `(tokens,)`, on the model's device.
            lengths: the number of tokens of each text. Texts of equal length side by side are fastest.

        Returns:
            `(texts, num_labels)`; for a model that tags tokens `(tokens, num_labels)`.

        Raises:
            ValueError: for lengths that do not add up to the tokens, or a text without tokens.
        """
        check_lengths(input_ids, lengths)
        if not len(input_ids):
            return self.empty()
        states = self.encode_windows(input_ids, [self.config.window_lengths(length) for length in lengths])
        return self.decode(input_ids, states, runs_of(lengths))

    def encode_windows(self, input_ids: torch.Tensor, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        """As `encode`, for texts of which some are read in windows.

        Args:
            input_ids: as for `forward`.
            texts: the lengths of the windows of each text.
        """
        windows = [length for text in texts for length in text]
        if len(windows) == len(texts) or input_ids.device.type != "cpu":
            return self.encode(input_ids, runs_of(windows))
        # windows know nothing of each other: a few at a time need little memory
        states = self.head_weight.new_empty(len(input_ids), self.embedding.shape[1])
        start = 0
        for part in parts_of(windows, WINDOW_TOKENS):
            tokens = slice(start, start + sum(part))
            states[tokens] = self.encode(input_ids[tokens], runs_of(part))
            start = tokens.stop
        return states

    def empty(self) -> torch.Tensor:
        """The logits of no text at all."""
        return self.head_bias.new_empty(0, len(self.head_bias))

    def encode(self, input_ids: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """The encoder's states, normalised without weight: `(tokens,)` to `(tokens, d_model)`; runs are of windows."""
        hidden = functional.embedding(input_ids, self.embedding)
        for layer in self.encoder:
            hidden = layer(hidden, runs)
        return normalize(hidden, self.encoder_epsilon).to(self.head_weight.dtype)

    def decode(self, input_ids: torch.Tensor, states: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """Logits, as `forward` has them, from the encoder's states."""
        if self.decoder is None:
            return self.label_logits(states)
        if isinstance(self.decoder, TokenDecoder):
            hidden = self.decoder(functional.embedding(input_ids, self.embedding), states, runs)
        else:
            hidden = self.decoder(states, runs)  # (texts, prompts, d_model)
        states = normalize(hidden, self.decoder_epsilon).to(self.head_weight.dtype)
        if isinstance(self.decoder, PromptDecoder):
            if states.shape[1] > 1:  # one prompt a label
                return torch.einsum("tpd,pd->tp", states, self.head_weight) + self.head_bias
            states = states[:, 0]
        return self.label_logits(states)

    def label_logits(self, states: torch.Tensor) -> torch.Tensor:
        """The logits of all labels from the states `(..., d_model)` of texts or tokens."""
        return label_logits(states, self.head_weight, self.head_bias, self.config.label_parts)
