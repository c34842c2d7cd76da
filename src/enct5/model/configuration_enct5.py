"""Configuration of EncT5 (arXiv 2110.08426 v2): a T5 encoder, a T5 decoder layer fed with constant prompts, a head."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError
from transformers import T5Config
from transformers.utils import logging

logger = logging.get_logger(__name__)

# Every problem type with the values that `loss` may have there.
LOSSES: dict[str, tuple[str, ...]] = {
    "single_label_classification": ("focal",),
    "multi_label_classification": ("bce", "focal", "asymmetric"),
    "regression": (),
    "token_classification": (),
    "multi_task": (),  # each task has its own
}
PROBLEM_TYPES = tuple(LOSSES)
MULTI_TASK = "multi_task"

_SIZES = (
    "vocab_size",
    "d_model",
    "d_kv",
    "d_ff",
    "num_layers",
    "num_heads",
    "relative_attention_num_buckets",
)

# What a checkpoint's own values stand for where they are not given.
_TASK = ("num_labels", "id2label", "label2id", "problem_type")

# What each of several tasks has for itself; all else belongs to the encoder that they share.
OF_A_TASK = (
    "problem_type",
    "id2label",
    "label2id",
    "decoder_vocab_size",
    "num_decoder_layers",
    "decoder_dropout_rate",
    "classifier_dropout",
    "label_parts",
    "prompt_position_bias",
    "token_decoder",
    "loss",
    "loss_gamma",
    "class_weights",
    "thresholds",
)
LOSS_WEIGHT = "loss_weight"
# What else an entry of `tasks` may say: its name, and of what the task was trained.
OF_AN_ENTRY = ("name", LOSS_WEIGHT, "label_column", "label_separator")
_TASK_NAME = re.compile(r"[\w-]+")

# Where sentence-transformers' CrossEncoder looks for what it applies to the logits; of one label it takes the sigmoid.
_CROSS_ENCODER = {"activation_fn": "torch.nn.modules.linear.Identity"}


def _entries(key: str, value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, Mapping):
        raise ValueError(f"`{key}` is {value!r}; it must be a dictionary, such as {{0: 'neg', 1: 'pos'}}")
    return list(value.items())


def _id(key: str, value: Any) -> int:
    """A label's id, which JSON's keys give as text."""
    try:
        return int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        raise ValueError(f"`{key}` has the id {value!r}; ids of labels are whole numbers from 0") from None


def _name(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(
            f"`{key}` has the label {value!r}, a {type(value).__name__}; names must be texts: {str(value)!r}"
        )
    return value


def _placeholders(num_labels: int) -> dict[int, str]:
    """The names that transformers makes up, which say nothing."""
    return {index: f"LABEL_{index}" for index in range(num_labels)}


def _num_labels(values: dict[str, Any]) -> int | None:
    """The number of labels that keys of a configuration amount to, if any."""
    if (count := values.get("num_labels")) is not None:
        try:
            return operator.index(count)
        except TypeError:
            raise ValueError(f"`num_labels` is {count!r}; it must be a whole number") from None
    for key in ("id2label", "label2id"):
        if (value := values.get(key)) is not None:
            return len(_entries(key, value))
    return None


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
        label_parts (`list[int]`, *optional*):
            How many labels the head has had from the start, and how many were added each time since (where one prompt
            is for all, or tokens have labels). Each part's logits are computed for themselves, so that those of the
            others are what they were, to the last bit. Without it all are computed at once.
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
        encoder_window (`int`, *optional*):
            Most tokens that the encoder reads at once. A longer text is read in windows, as few as hold it and of equal
            length but for the last, and the prompts read the states of all: time and memory are linear in the length.
            Without it (the published behaviour) every token attends to every other. Not for tagging tokens.
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
        tasks (`list[dict]`, *optional*):
            Several tasks that read one encoder (`EncT5ForTasks`): of each its `name`, those of the keys above that are
            its own, `problem_type` and `id2label` among them, and perhaps `loss_weight`, the factor of its loss (1
            without it), and where its labels came from: `label_column` and `label_separator`. `problem_type` is
            `"multi_task"` then, and `id2label` names the labels of all tasks as `task/label`.

    `id2label` and `label2id` may be given alone, and with ids as text, as JSON has them; names are texts, each once.

    A regression's `sentence_transformers` tells the CrossEncoder of that name that the outputs are values, not logits.

    Raises:
        ValueError: for an unknown `problem_type`, no labels, labels not numbered from 0, names that are no texts, occur
            twice or contradict each other, no decoder layer, a number of prompts that the head cannot read, or a loss,
            weights or thresholds that do not fit the labels.
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
    label_parts: list[int] | None = None
    decoder_start_token_id: int | None = 0
    decoder_dropout_rate: float | int | None = None
    prompt_position_bias: bool = True
    token_decoder: bool = False
    per_layer_position_bias: bool = False
    encoder_window: int | None = None
    loss: str | None = None
    loss_gamma: float | int | None = None
    class_weights: list[float | int] | None = None
    thresholds: list[float | int] | None = None
    tasks: list[dict[str, Any]] | None = None  # a list: JSON's objects are saved in alphabetical order

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """A configuration of stored keys and of others instead, which are checked together.

        What belongs to the stored labels (names, thresholds, weights, a prompt per label) does not outlive them where
        `kwargs` ask for another number of labels or another problem type.
        """
        own = ({item.name for item in fields(cls)} | {"num_labels"}) - {"dtype"}
        given = {key: kwargs.pop(key) for key in own & kwargs.keys()}
        given = {key: value for key, value in given.items() if value is not None or key not in _TASK}
        return super().from_dict({**_fitting(config_dict, given), **given}, **kwargs)

    def __post_init__(self, **kwargs: Any) -> None:
        if self.tasks:
            self._settle_tasks()
            kwargs.pop("num_labels", None)
        self._settle_labels(kwargs.get("num_labels"))
        super().__post_init__(**kwargs)
        if self.dense_act_fn == "gelu_new":
            self.dense_act_fn = "gelu_pytorch_tanh"  # the same function in one kernel instead of eight
        if self.problem_type is None:
            if self.num_labels == 1:
                self.problem_type = "regression"
            elif self.decoder_vocab_size == self.num_labels:
                self.problem_type = "multi_label_classification"
            else:
                self.problem_type = "single_label_classification"
        if self.problem_type in ("token_classification", MULTI_TASK):
            self.decoder_vocab_size = None
            self.is_encoder_decoder = self.token_decoder
        elif self.decoder_vocab_size is None:
            self.decoder_vocab_size = self.num_labels if self.problem_type == "multi_label_classification" else 1
        if self.problem_type == "regression":
            self.sentence_transformers = getattr(self, "sentence_transformers", None) or dict(_CROSS_ENCODER)
        elif getattr(self, "sentence_transformers", None) == _CROSS_ENCODER:
            del self.sentence_transformers  # of a regression model that this one was made of

    def _settle_tasks(self) -> None:
        """Name the labels of all tasks together, and refuse names of tasks that no tensor can have."""
        if self.problem_type not in (None, MULTI_TASK):
            raise ValueError(f"`problem_type` is {self.problem_type!r}; with `tasks` it is {MULTI_TASK!r}, or left out")
        names = []
        for values in self.tasks:
            task = values.get("name") if isinstance(values, Mapping) else None
            if not isinstance(task, str) or not _TASK_NAME.fullmatch(task):
                raise ValueError(f"a task is called {task!r}; names of tasks are letters, digits, `_` and `-`")
            if not values.get("id2label") or not values.get("problem_type"):
                raise ValueError(f"the task {task!r} is {values!r}; it needs `problem_type` and `id2label`")
            if unknown := sorted(set(values) - {*OF_A_TASK, *OF_AN_ENTRY}):
                raise ValueError(f"the task {task!r} has `{unknown[0]}`, which is no key of a task")
            labels = {_id("id2label", key): name for key, name in _entries("id2label", values["id2label"])}
            names += [f"{task}/{labels[index]}" for index in sorted(labels)]
        called = self.task_names
        if twice := [name for index, name in enumerate(called) if name in called[:index]]:
            raise ValueError(f"two tasks are called {twice[0]!r}; each needs a name of its own")
        self.problem_type, self.token_decoder = MULTI_TASK, False
        self.id2label, self.label2id = dict(enumerate(names)), None

    @property
    def task_names(self) -> list[str]:
        """The names of several tasks, in order; none of a single one."""
        return [values["name"] for values in self.tasks or ()]

    def task_values(self, name: str) -> dict[str, Any]:
        """The entry of one of several tasks, which may be changed.

        Raises:
            ValueError: where there is no such task.
        """
        if name not in self.task_names:
            known = f"its tasks: {', '.join(self.task_names)}" if self.tasks else "it has one task, without a name"
            raise ValueError(f"the model has no task {name!r}; {known}")
        return self.tasks[self.task_names.index(name)]

    def of_task(self, name: str) -> "EncT5Config":
        """The configuration of the model of one of several tasks alone.

        Raises:
            ValueError: where there is no such task.
        """
        own = {key: value for key, value in self.task_values(name).items() if key not in OF_AN_ENTRY}
        shared = self.shared_values()
        if own["problem_type"] == "token_classification":
            shared.pop("encoder_window", None)  # a tagger alone reads windows that overlap
        config = type(self).from_dict({**shared, **own})
        config._attn_implementation = self._attn_implementation
        return config

    def shared_values(self) -> dict[str, Any]:
        """The keys that tasks of one encoder have in common."""
        others = {"tasks", "architectures", "auto_map", "sentence_transformers", "is_encoder_decoder", *OF_A_TASK}
        return {key: value for key, value in self.to_dict().items() if key not in others}

    def as_task(self, name: str) -> dict[str, Any]:
        """What this configuration of a single task is among several: an entry of `tasks`."""
        values = {key: getattr(self, key) for key in OF_A_TASK if key != "label2id"}
        return {"name": name, **{key: value for key, value in values.items() if value is not None}}

    def _settle_labels(self, num_labels: Any) -> None:
        """Make `id2label` and `label2id` say the same, whichever was given."""
        num_labels = _num_labels({"num_labels": num_labels})
        names = ids = None
        if self.id2label is not None:
            names = {_id("id2label", key): _name("id2label", name) for key, name in _entries("id2label", self.id2label)}
            if len(names) != len(self.id2label):
                raise ValueError(f"`id2label` has an id twice: {list(self.id2label)}")
        if self.label2id is not None:
            ids = {_name("label2id", name): _id("label2id", key) for name, key in _entries("label2id", self.label2id)}
        if names is not None and names == _placeholders(len(names)) and (ids or num_labels not in (None, len(names))):
            names = None
        if ids is not None and set(ids) == set(_placeholders(len(ids)).values()) and (names or num_labels is not None):
            ids = None
        if names is None and ids:
            names = {index: name for name, index in ids.items()}
            if len(names) != len(ids):
                raise ValueError(f"`label2id` has an id twice: {self.label2id}")
        if names is not None and num_labels not in (None, len(names)):
            raise ValueError(f"`num_labels` is {num_labels}, but there are {len(names)} names of labels")
        self.id2label = names
        self.label2id = ids or (names and {name: index for index, name in names.items()})

    @property
    def has_decoder(self) -> bool:
        """Whether the model has one decoder: not where the encoder's states alone are read, nor with several tasks."""
        return self.problem_type not in ("token_classification", MULTI_TASK) or self.token_decoder

    @property
    def num_prompts(self) -> int:
        """How many prompts read a text, those of all tasks together."""
        # Asked for with every prediction, so from the entries where they say it: making configurations takes a while.
        readers = [values for values in self.tasks or () if values["problem_type"] != "token_classification"]
        prompts = [values.get("decoder_vocab_size") or self.of_task(values["name"]).num_prompts for values in readers]
        return sum(prompts) or self.decoder_vocab_size or 0

    def window_lengths(self, tokens: int) -> list[int]:
        """The tokens of each window that a text of so many is read in."""
        count = -(-tokens // (self.encoder_window or max(1, tokens)))
        size = -(-tokens // max(1, count))
        return [size] * (count - 1) + [tokens - size * (count - 1)]

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> "EncT5Config":
        """This configuration: text enters the encoder only, so token ids are never ids of `decoder_vocab_size`."""
        return self

    def validate_architecture(self) -> None:
        """Refuse configurations that no EncT5 model can have (part of `@strict`'s validation)."""
        super().validate_architecture()
        if self.problem_type is not None and self.problem_type not in PROBLEM_TYPES:
            raise ValueError(f"`problem_type` is {self.problem_type!r}; it must be one of {', '.join(PROBLEM_TYPES)}")
        self._validate_tasks()
        if self.num_labels < 1:
            raise ValueError(f"`num_labels` is {self.num_labels}; a model needs at least one label")
        self._validate_sizes()
        self._validate_labels()
        if self.num_decoder_layers < 1:
            raise ValueError(f"`num_decoder_layers` is {self.num_decoder_layers}; EncT5 needs at least one")
        if self.decoder_vocab_size is not None and self.decoder_vocab_size not in (1, self.num_labels):
            raise ValueError(
                f"`decoder_vocab_size` is {self.decoder_vocab_size}; it must be 1 (one prompt for all labels) or "
                f"`num_labels` = {self.num_labels} (one prompt a label)"
            )
        if self.encoder_window is not None and self.encoder_window < 1:
            raise ValueError(f"`encoder_window` is {self.encoder_window}; it must be at least 1, or null for none")
        if self.encoder_window is not None and self.problem_type == "token_classification":
            raise ValueError("`encoder_window` is for labels of texts, which prompts read; leave it out for tokens")
        if self.label_parts is not None and (
            min(self.label_parts, default=0) < 1 or sum(self.label_parts) != self.num_labels
        ):
            raise ValueError(f"`label_parts` is {self.label_parts}; it must add up to `num_labels` = {self.num_labels}")
        self._validate_loss()
        self._validate_per_label("class_weights", "a positive number", lambda value: 0 < value < math.inf)
        self._validate_per_label("thresholds", "within 0 and 1", lambda value: 0 <= value <= 1)
        if self.class_weights is not None and self.problem_type in ("regression", "token_classification"):
            raise ValueError(f"`class_weights` are for classes of texts; leave them out for {self.problem_type}")
        if self.thresholds is not None and self.problem_type != "multi_label_classification":
            raise ValueError(f"`thresholds` are for multi-label classification; leave them out for {self.problem_type}")

    def _validate_tasks(self) -> None:
        if (self.problem_type == MULTI_TASK) != bool(self.tasks):
            raise ValueError(
                f"`problem_type` {MULTI_TASK!r} goes with `tasks`, which name what each task is; give both"
            )
        for name in self.task_names:
            try:
                self.of_task(name)
            except (StrictDataclassError, ValueError, TypeError) as error:
                lines = str(error).strip().splitlines()
                raise ValueError(f"the task {name!r}: {lines[-1].strip().removeprefix('ValueError: ')}") from error

    def _validate_labels(self) -> None:
        if set(self.id2label) != set(range(self.num_labels)):
            raise ValueError(
                f"`id2label` has the keys {sorted(self.id2label)}; it must name the labels 0 to {self.num_labels - 1}"
            )
        names = list(self.id2label.values())
        if len(set(names)) < len(names):
            twice = next(name for index, name in enumerate(names) if name in names[:index])
            raise ValueError(f"`id2label` has the label {twice!r} twice; each label needs a name of its own")
        if self.label2id != {name: index for index, name in self.id2label.items()}:
            raise ValueError(
                f"`label2id` {_shortened(self.label2id)} contradicts `id2label` {_shortened(self.id2label)}; "
                "give one of them"
            )

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


def _fitting(stored: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The stored keys that still mean something beside the given ones."""
    old_labels, old_type = _num_labels(stored) or 2, stored.get("problem_type")  # 2: transformers' own default
    new_labels, new_type = _num_labels(given) or old_labels, given.get("problem_type") or old_type
    relabelled, retasked = new_labels != old_labels, old_type is not None and new_type != old_type
    values = {key: value for key, value in stored.items() if key != "num_labels" or not relabelled}
    if relabelled or {"id2label", "label2id"} & given.keys():
        values = {key: value for key, value in values.items() if key not in ("id2label", "label2id")}
    if relabelled or retasked:
        values.pop("label_parts", None)
        gone = ["thresholds", "class_weights", *(["loss", "loss_gamma"] if retasked else [])]
        told = [key for key in gone if values.pop(key, None) is not None and key not in given]
        if told:
            logger.warning(
                f"{', '.join(f'`{key}`' for key in told)}: left out: what the checkpoint has is for its {old_labels} "
                f"labels ({old_type}), not for {new_labels} ({new_type})"
            )
        if retasked:
            values.pop("is_encoder_decoder", None)
            values.pop("token_decoder", None)
            if new_type == "token_classification":
                values.pop("encoder_window", None)
        prompts = stored.get("decoder_vocab_size")
        per_label = prompts == old_labels and (prompts > 1 or old_type == "multi_label_classification")
        if per_label and not retasked:
            values["decoder_vocab_size"] = new_labels
        elif per_label or relabelled:
            values.pop("decoder_vocab_size", None)
    elif _is_reordered(stored.get("id2label"), given.get("id2label")):
        logger.warning(
            "`id2label` names the checkpoint's labels in another order; the head keeps its own, so that outputs get "
            "other names than in training"
        )
    return values


def _is_reordered(stored: Any, given: Any) -> bool:
    """Whether two maps give the same names to other ids."""
    if not stored or not given:
        return False
    before, after = (
        {_id("id2label", key): name for key, name in _entries("id2label", item)} for item in (stored, given)
    )
    return before != after and set(before.values()) == set(after.values())


def _shortened(labels: Any) -> str:
    text = str(labels)
    return text if len(text) <= 80 else f"{text[:77]}..."


EncT5Config.register_for_auto_class()

__all__ = ["EncT5Config"]
