"""Configuration of EncT5 (arXiv 2110.08426 v2): a T5 encoder, a T5 decoder layer fed with constant prompts, a head."""

import math
from collections.abc import Callable
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import T5Config

# Every problem type with the values that `loss` may have there.
LOSSES: dict[str, tuple[str, ...]] = {
    "single_label_classification": ("focal",),
    "multi_label_classification": ("bce", "focal", "asymmetric"),
    "regression": (),
    "token_classification": (),
}
PROBLEM_TYPES = tuple(LOSSES)

_SIZES = (
    "vocab_size",
    "d_model",
    "d_kv",
    "d_ff",
    "num_layers",
    "num_heads",
    "relative_attention_num_buckets",
)


@strict
class EncT5Config(T5Config):
    r"""Architecture of an EncT5 model: every key of `T5Config`, and the following.

    Every key of a published `enct5` config.json keeps its meaning; new keys default to that implementation's behaviour.

    Args:
        num_decoder_layers (`int`, defaults to 1):
            Decoder layers kept from T5, at least one (the paper's default; section 3).
        decoder_vocab_size (`int`, *optional*):
            Number of prompts, the constant ids fed to the decoder. One for single-label classification and
            regression, `num_labels` for multi-label classification; that is also the default. Models that tag
            tokens have no prompts: `None`.
        problem_type (`str`, *optional*):
            `"single_label_classification"`, `"multi_label_classification"`, `"regression"` or
            `"token_classification"`. Without it, one label means regression, as many prompts as labels mean
            multi-label, anything else single-label.
        classifier_dropout (`float`, defaults to 0.0):
            Dropout in front of the head.
        decoder_dropout_rate (`float`, *optional*):
            Dropout within the decoder; `dropout_rate` without it (the published behaviour). Models made by `from_t5`
            that have prompts have 0: all that the head sees of a text is the prompts' few states, and no average over
            tokens makes up for what is dropped there.
        prompt_position_bias (`bool`, defaults to `True`):
            Whether the decoder's self-attention adds T5's relative position bias between prompts. With it a label's
            logit depends on the order of the labels (the published behaviour); without it, permuting the labels
            permutes the logits. It has no effect with a single prompt.
        token_decoder (`bool`, defaults to `False`):
            For tagging tokens only: whether the head reads the states of the decoder, which is then fed with the
            text's own tokens (the paper's structured prediction), instead of the encoder's.
        per_layer_position_bias (`bool`, defaults to `False`):
            Whether every layer has its own relative position bias (umT5) instead of sharing the first layer's.
        loss (`str`, *optional*):
            What training minimises, instead of cross-entropy (binary cross-entropy for multi-label classification,
            squared error for regression): `"focal"` (arXiv 1708.02002; single- and multi-label), `"asymmetric"` (arXiv
            2009.14119; multi-label), or `"bce"`, multi-label's own by name.
        loss_gamma (`float`, *optional*):
            How strongly these losses pass over what the model gets right already; for the asymmetric loss that of the
            labels a text does not have. By default what their papers recommend: 2 for `"focal"`, 4 for `"asymmetric"`.
        class_weights (`list[float]`, *optional*):
            One factor per label on the loss: of the texts of that class (single-label), or of the texts that have that
            label (multi-label; PyTorch's `pos_weight`).
        thresholds (`list[float]`, *optional*):
            The score from which on each label is given (multi-label); 0.5 for all without it. The model's logits do
            not depend on them: they are for whoever turns scores into labels.

    Raises:
        ValueError: for an unknown `problem_type`, no labels, labels not numbered from 0, no decoder layer, a number of
            prompts that the head cannot read, or a loss, weights or thresholds that do not fit the labels.
    """

    model_type = "enct5"
    keys_to_ignore_at_inference = [
        "past_key_values",
        "hidden_states",
        "attentions",
        "encoder_last_hidden_state",
        "encoder_hidden_states",
        "encoder_attentions",
        "decoder_hidden_states",
        "decoder_attentions",
        "cross_attentions",
    ]

    problem_type: str | None = None  # transformers' own type has no word for tokens
    num_decoder_layers: int | None = 1
    decoder_vocab_size: int | None = None
    decoder_start_token_id: int | None = 0
    decoder_dropout_rate: float | int | None = None
    prompt_position_bias: bool = True
    token_decoder: bool = False
    per_layer_position_bias: bool = False
    loss: str | None = None
    loss_gamma: float | int | None = None
    class_weights: list[float | int] | None = None
    thresholds: list[float | int] | None = None

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
        if self.problem_type == "token_classification":
            self.decoder_vocab_size = None
            self.is_encoder_decoder = self.token_decoder
        elif self.decoder_vocab_size is None:
            self.decoder_vocab_size = self.num_labels if self.problem_type == "multi_label_classification" else 1

    @property
    def has_decoder(self) -> bool:
        """Whether the model has a decoder: all but the models that tag tokens by the encoder's states alone."""
        return self.problem_type != "token_classification" or self.token_decoder

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
        self._validate_sizes()
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
        self._validate_loss()
        self._validate_per_label("class_weights", "a positive number", lambda value: 0 < value < math.inf)
        self._validate_per_label("thresholds", "within 0 and 1", lambda value: 0 <= value <= 1)
        if self.class_weights is not None and self.problem_type in ("regression", "token_classification"):
            raise ValueError(f"`class_weights` are for classes of texts; leave them out for {self.problem_type}")
        if self.thresholds is not None and self.problem_type != "multi_label_classification":
            raise ValueError(f"`thresholds` are for multi-label classification; leave them out for {self.problem_type}")

    def _validate_sizes(self) -> None:
        for key in _SIZES:
            if getattr(self, key) < 1:
                raise ValueError(f"`{key}` is {getattr(self, key)}; it must be at least 1")
        nearest = self.relative_attention_num_buckets // 2  # distances that have a bucket of their own
        if self.relative_attention_max_distance <= nearest:
            raise ValueError(
                f"`relative_attention_max_distance` is {self.relative_attention_max_distance}; it must be more than "
                f"{nearest}, half of `relative_attention_num_buckets`"
            )

    def _validate_loss(self) -> None:
        allowed = LOSSES.get(self.problem_type, ())
        if self.loss is not None and self.loss not in allowed:
            choice = f"it must be one of {', '.join(allowed)}, or left out" if allowed else "leave it out"
            raise ValueError(f"`loss` is {self.loss!r}; for {self.problem_type} {choice}")
        if self.loss_gamma is not None and not 0 <= self.loss_gamma < math.inf:
            raise ValueError(f"`loss_gamma` is {self.loss_gamma}; it must be at least 0")

    def _validate_per_label(self, key: str, wanted: str, fits: Callable[[float], bool]) -> None:
        values = getattr(self, key)
        if values is None:
            return
        if len(values) != self.num_labels:
            raise ValueError(f"`{key}` has {len(values)} values for {self.num_labels} labels; give one per label")
        wrong = [value for value in values if not fits(value)]
        if wrong:
            raise ValueError(f"`{key}` holds {wrong[0]}; each must be {wanted}")


EncT5Config.register_for_auto_class()

__all__ = ["EncT5Config"]
