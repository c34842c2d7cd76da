"""Configuration of EncT5 (arXiv 2110.08426 v2): a T5 encoder, a T5 decoder layer fed with constant prompts, a head."""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import T5Config

PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


@strict
class EncT5Config(T5Config):
    r"""Architecture of an EncT5 model: every key of `T5Config`, and the following.

    Every key of a published `enct5` config.json keeps its meaning; new keys default to that implementation's behaviour.

    Args:
        num_decoder_layers (`int`, defaults to 1):
            Decoder layers kept from T5, at least one (the paper's default; section 3).
        decoder_vocab_size (`int`, *optional*):
            Number of prompts, the constant ids fed to the decoder. One for single-label classification and
            regression, `num_labels` for multi-label classification; that is also the default.
        problem_type (`str`, *optional*):
            `"single_label_classification"`, `"multi_label_classification"` or `"regression"`. Without it, one label
            means regression, as many prompts as labels mean multi-label, anything else single-label.
        classifier_dropout (`float`, defaults to 0.0):
            Dropout in front of the head.
        prompt_position_bias (`bool`, defaults to `True`):
            Whether the decoder's self-attention adds T5's relative position bias between prompts. With it a label's
            logit depends on the order of the labels (the published behaviour); without it, permuting the labels
            permutes the logits. It has no effect with a single prompt.
        per_layer_position_bias (`bool`, defaults to `False`):
            Whether every layer has its own relative position bias (umT5) instead of sharing the first layer's.

    Raises:
        ValueError: for an unknown `problem_type`, no labels, labels not numbered from 0, no decoder layer, or a number
            of prompts that the head cannot read.
    """

    model_type = "enct5"
    keys_to_ignore_at_inference = [
        "past_key_values",
        "encoder_last_hidden_state",
        "encoder_hidden_states",
        "encoder_attentions",
        "decoder_hidden_states",
        "decoder_attentions",
        "cross_attentions",
    ]

    num_decoder_layers: int | None = 1
    decoder_vocab_size: int | None = None
    decoder_start_token_id: int | None = 0
    prompt_position_bias: bool = True
    per_layer_position_bias: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.dense_act_fn == "gelu_new":
            self.dense_act_fn = "gelu_pytorch_tanh"  # the same function in one kernel instead of eight
        if not self.label2id:
            self.label2id = {label: index for index, label in self.id2label.items()}
        if self.problem_type is None:
            if self.num_labels == 1:
                self.problem_type = "regression"
            elif self.decoder_vocab_size == self.num_labels:
                self.problem_type = "multi_label_classification"
            else:
                self.problem_type = "single_label_classification"
        if self.decoder_vocab_size is None:
            self.decoder_vocab_size = self.num_labels if self.problem_type == "multi_label_classification" else 1

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> "EncT5Config":
        """This configuration: text enters the encoder only, so token ids are never ids of `decoder_vocab_size`."""
        return self

    def validate_architecture(self) -> None:
        """Refuse configurations that no EncT5 model can have (part of `@strict`'s validation)."""
        super().validate_architecture()
        if self.problem_type is not None and self.problem_type not in PROBLEM_TYPES:
            raise ValueError(f"`problem_type` is {self.problem_type!r}; it must be one of {', '.join(PROBLEM_TYPES)}")
        if self.num_labels < 1:
            raise ValueError(f"`num_labels` is {self.num_labels}; a model needs at least one label")
        if set(self.id2label) != set(range(self.num_labels)):
            raise ValueError(
                f"`id2label` has the keys {sorted(self.id2label)}; it must name the labels 0 to {self.num_labels - 1}"
            )
        if self.num_decoder_layers < 1:
            raise ValueError(f"`num_decoder_layers` is {self.num_decoder_layers}; EncT5 needs at least one")
        if self.decoder_vocab_size is not None and self.decoder_vocab_size not in (1, self.num_labels):
            raise ValueError(
                f"`decoder_vocab_size` is {self.decoder_vocab_size}; it must be 1 (one prompt for all labels) or "
                f"`num_labels` = {self.num_labels} (one prompt a label)"
            )


EncT5Config.register_for_auto_class()

__all__ = ["EncT5Config"]
