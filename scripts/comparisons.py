"""Pre-training on pairs of texts: which tokens of one stand in the other, too.

Span corruption hardly teaches an encoder to compare two texts, for the decoder can look a word up on its own. Here a
text and an edited copy of it are read as `A </s> B </s>`, and a linear layer, which is thrown away afterwards, tells
from every token's hidden state whether the token stands in the other text (as arXiv 2003.10555 has replaced ones told).
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import Seq2SeqLMOutput

EOS = 1
IGNORED = -100  # in `labels` and `matches`: no target
FEWEST_TOKENS = 6
MEAN_PIECE = 2.5  # tokens


def edited(text: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of `text` with pieces replaced by those of `other`, dropped, or moved; sometimes an excerpt of it.

    Args:
        text: token ids (length,).
        other: token ids (length,) of an unrelated text.
        rng: source of every choice, of the share that is kept, too.
    """
    cuts = np.flatnonzero(rng.random(len(text) - 1) < 1 / MEAN_PIECE) + 1
    own, foreign = np.split(text, cuts), np.split(other, cuts)
    kept, replaced = rng.random(len(own)) < rng.random(), rng.random(len(own)) < 0.7
    pieces = [own[i] if kept[i] else foreign[i] for i in range(len(own)) if kept[i] or replaced[i]] or [other]
    if rng.random() < 0.3:
        pieces = [pieces[i] for i in rng.permutation(len(pieces))]
    if rng.random() < 0.4:
        pieces = pieces[rng.integers(len(pieces) // 2 + 1) :]
    return np.concatenate(pieces)


def comparison(
    text: np.ndarray, other: np.ndarray, rng: np.random.Generator, lengths: tuple[int, int]
) -> dict[str, np.ndarray]:
    """One pair as a training row.

    Args:
        text, other: token ids; as many as fit are used.
        rng: source of every choice.
        lengths: of `input_ids` and of `labels`; rows are padded to them.

    Returns:
        `input_ids` and `attention_mask`; `labels`, all `IGNORED`; `matches`, 1 for tokens that stand in the other text
        and 0 for others.
    """
    text, other = text[text != EOS], other[other != EOS]
    size = rng.integers(FEWEST_TOKENS, min(len(text), len(other), lengths[0] // 2 - 1) + 1)
    pair = [text[:size], edited(text[:size], other[:size], rng)]
    if rng.random() < 0.5:
        pair.reverse()
    ignored = [IGNORED]
    matches = np.concatenate([np.isin(pair[0], pair[1]), ignored, np.isin(pair[1], pair[0]), ignored])
    input_ids = np.concatenate([pair[0], [EOS], pair[1], [EOS]])

    def padded(ids: Any, value: int, length: int) -> np.ndarray:
        return np.pad(ids, (0, length - len(ids)), constant_values=value)

    return {
        "input_ids": padded(input_ids, 0, lengths[0]),
        "attention_mask": padded(np.ones_like(input_ids), 0, lengths[0]),
        "labels": np.full(lengths[1], IGNORED),
        "matches": padded(matches, IGNORED, lengths[0]),
    }


def mean_counted(losses: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean of the losses that have a target, 0 if none has."""
    counted = targets != IGNORED
    return (losses * counted).sum() / counted.sum().clamp(min=1)


class ComparingT5(T5ForConditionalGeneration):
    """T5 with the linear layer for matches; rows of pairs are those that have `matches`."""

    def __init__(self, config: T5Config) -> None:
        super().__init__(config)
        self.matcher = nn.Linear(config.d_model, 1)
        self.post_init()

    @classmethod
    def is_custom_code(cls) -> bool:
        """No: transformers leaves T5's attention uninitialised in what it takes for custom code."""
        return False

    def plain(self) -> T5ForConditionalGeneration:
        """The T5 without that layer."""
        model = T5ForConditionalGeneration(self.config)
        model.load_state_dict({name: value for name, value in self.state_dict().items() if "matcher" not in name})
        return model

    def forward(  # type: ignore[override]
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, matches: torch.Tensor
    ) -> Seq2SeqLMOutput:
        """The loss of a batch: cross-entropy of spans + binary cross-entropy of matches."""
        outputs = super().forward(input_ids=input_ids, attention_mask=attention_mask, labels=labels)
        spans = nn.functional.cross_entropy(outputs.logits.float().mT, labels, reduction="none", ignore_index=IGNORED)
        found = self.matcher(outputs.encoder_last_hidden_state)[..., 0].float()
        wanted = matches.clamp(min=0).float()
        matched = nn.functional.binary_cross_entropy_with_logits(found, wanted, reduction="none")
        return Seq2SeqLMOutput(loss=mean_counted(spans, labels) + mean_counted(matched, matches))
