"""What else one could make of a T5 checkpoint: the models that quality.py compares EncT5 with.

All but the text-to-text model differ from EncT5 in one part, so that head, loss, optimiser, batches, early stopping,
calibration and thresholds are the same code for all of them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import T5ForSequenceClassification, Trainer
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.training.model_init import build_model
from enct5.training.trainer import EncT5Trainer


class RandomBatches(EncT5Trainer):
    """The trainer of `enct5 train` with the stock Trainer's batches: so many rows, drawn at random."""

    get_train_dataloader = Trainer.get_train_dataloader
    compute_loss = Trainer.compute_loss


class ReferenceRecipe(RandomBatches):
    """With the stock Trainer's AdamW, too: one absolute rate for all tensors."""

    create_optimizer = Trainer.create_optimizer


class Pooling(nn.Module):
    """Stands in the decoder's place: one vector a text from the encoder's states, without parameters.

    Args:
        how: "mean" of the tokens, or the state of the "last" token, which is T5's `</s>`.
    """

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.embed_tokens = nn.Identity()  # as a decoder with prompts it is not fed with the text

    def forward(
        self, encoder_hidden_states: torch.Tensor, attention_mask: torch.Tensor, *unused: Any, **options: Any
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """From `(batch, sequence, d_model)` and `(batch, sequence)` to `(batch, 1, d_model)`."""
        mask = attention_mask.unsqueeze(-1).to(encoder_hidden_states.dtype)
        if self.how == "mean":
            pooled = (encoder_hidden_states * mask).sum(1) / mask.sum(1)
        else:
            last = attention_mask.sum(1) - 1
            pooled = encoder_hidden_states[torch.arange(len(last)), last]
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=pooled.unsqueeze(1))


class FullDecoder(T5ForSequenceClassification):
    """transformers' own T5 classifier: the whole decoder reads the text again, its `</s>` goes through two layers."""

    @property
    def classifier(self) -> nn.Linear:
        """The last layer, where enct5 looks for a head."""
        return self.classification_head.out_proj

    def is_fine_tuned(self) -> bool:
        """Whether the head has learned anything, as `enct5 train` asks."""
        return False


def encoder_with(how: str) -> Callable[..., EncT5ForClassification]:
    """What builds an encoder with a pooling and EncT5's head."""

    def build(*args: Any, **kwargs: Any) -> EncT5ForClassification:
        model = build_model(*args, **kwargs)
        model.transformer.decoder = Pooling(how)
        return model

    return build


def with_normal_prompts(*args: Any, **kwargs: Any) -> EncT5ForClassification:
    """EncT5 with prompts drawn from N(0, 1) and T5's dropout in the decoder, as the reference implementation has."""
    model = build_model(*args, **{**kwargs, "as_mean": False, "decoder_dropout_rate": None})
    if model.config.decoder_vocab_size is not None:
        nn.init.normal_(model.transformer.decoder.embed_tokens.weight)
    return model


def full_decoder(base: str, task: Any, label_names: list[str], scaler: Any = None, **unused: Any) -> FullDecoder:
    """Transformers' `T5ForSequenceClassification` of a T5 checkpoint."""
    labels = dict(enumerate(label_names))
    model = FullDecoder.from_pretrained(
        base,
        dtype=torch.float32,
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
        problem_type=task.name,
    )
    model.config.classifier_dropout = 0.0
    asked = {
        "decoder_vocab_size": 1,
        "num_prompts": 1,
        "tasks": None,
        "thresholds": None,
        "label_parts": None,
        "encoder_window": None,
    }
    model.config.update(asked)  # what training and `Predictor` ask a model for
    model.config.keys_to_ignore_at_inference = EncT5Config.keys_to_ignore_at_inference  # else all states are collected
    return model
