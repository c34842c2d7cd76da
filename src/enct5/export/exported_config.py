"""What prediction reads of an exported model's config.json, read without transformers: as `EncT5Config` has it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enct5.errors import shorten
from enct5.tasks.multi_task import MULTI_TASK
from enct5.tasks.registry import PROBLEM_TYPES

_SINGLE_LABEL, _MULTI_LABEL = "single_label_classification", "multi_label_classification"
_TOKENS = "token_classification"
_OF_THE_ENCODER = (
    "vocab_size",
    "num_heads",
    "pad_token_id",
    "num_layers",
    "d_model",
    "feed_forward_proj",
    "encoder_window",
)


@dataclass(frozen=True)
class ExportedConfig:
    """A part of `EncT5Config`, of the same names and values; see there.

    Attributes:
        problem_type: what the model predicts.
        id2label: names of its outputs.
        thresholds: of a multi-label model's labels, if they were tuned.
        tasks: the entries of several tasks.
        num_prompts: how many prompts read a text.
        vocab_size, num_heads, pad_token_id, encoder_window: of the encoder.
        num_layers, d_model, feed_forward_proj, num_decoder_layers, decoder_vocab_size, token_decoder: what is told of
            the architecture.
    """

    problem_type: str
    id2label: dict[int, str]
    thresholds: list[float] | None
    tasks: list[dict[str, Any]] | None
    num_prompts: int
    vocab_size: int
    num_heads: int
    pad_token_id: int
    encoder_window: int | None
    num_layers: int
    d_model: int
    feed_forward_proj: str
    num_decoder_layers: int
    decoder_vocab_size: int | None
    token_decoder: bool

    model_type = "enct5"

    @classmethod
    def read(cls, file: Path) -> "ExportedConfig":
        """Read a config.json.

        Raises:
            ValueError: for one that is damaged, or of another kind of model.
            OSError: for one that cannot be read.
        """
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file.name} is damaged ({error})") from error
        if not isinstance(values, dict):
            raise ValueError(f"{file.name} is damaged: it holds {shorten(values)} instead of names and values")
        if values.get("model_type") != cls.model_type:
            raise ValueError(f"it is a checkpoint of type {values.get('model_type')!r}, not an EncT5 model")
        return cls.of_values(values)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> "ExportedConfig":
        """The configuration of the keys of a config.json; those that it lacks are as in `EncT5Config`.

        Raises:
            ValueError: for keys that do not fit together, or no model can have.
        """
        tasks = values.get("tasks") or None
        window = _number(values, "encoder_window", None)
        shared = {
            "vocab_size": _number(values, "vocab_size", 32128),
            "num_heads": _number(values, "num_heads", 8),
            "pad_token_id": _number(values, "pad_token_id", 0, least=0) or 0,
            "num_layers": _number(values, "num_layers", 6),
            "d_model": _number(values, "d_model", 512),
            "feed_forward_proj": str(values.get("feed_forward_proj", "relu")),
            "num_decoder_layers": _number(values, "num_decoder_layers", 1),
            "encoder_window": window,
        }
        if tasks is not None:
            parts = _parts(values, tasks)
            names = [f"{name}/{label}" for name, part in parts.items() for label in part.labels]
            return cls(
                problem_type=MULTI_TASK,
                id2label=dict(enumerate(names)),
                thresholds=None,
                tasks=tasks,
                num_prompts=sum(part.num_prompts for part in parts.values()),
                decoder_vocab_size=None,
                token_decoder=False,
                **shared,
            )
        id2label = _labels(values)
        prompts = _number(values, "decoder_vocab_size", None)
        problem = values.get("problem_type") or _problem_of(len(id2label), prompts)
        if problem not in PROBLEM_TYPES:
            raise ValueError(f"`problem_type` is {problem!r}; it must be one of {', '.join(PROBLEM_TYPES)}")
        if problem == _SINGLE_LABEL and len(id2label) == 1:
            raise ValueError(f"`problem_type` is {problem!r}, but there is one label only")
        if problem == _TOKENS:
            if window is not None:
                raise ValueError("`encoder_window` is for labels of texts; leave it out for tokens")
            prompts = None
        elif prompts is None:
            prompts = len(id2label) if problem == _MULTI_LABEL else 1
        if prompts not in (None, 1, len(id2label)):
            raise ValueError(f"`decoder_vocab_size` is {prompts}; it must be 1, or {len(id2label)}, one a label")
        return cls(
            problem_type=problem,
            id2label=id2label,
            thresholds=_thresholds(values, problem, len(id2label)),
            tasks=None,
            num_prompts=prompts or 0,
            decoder_vocab_size=prompts,
            token_decoder=values.get("token_decoder") is True,
            **shared,
        )

    @property
    def num_labels(self) -> int:
        """How many outputs there are."""
        return len(self.id2label)

    @property
    def labels(self) -> list[str]:
        """The outputs' names, in id order."""
        return [self.id2label[index] for index in range(self.num_labels)]

    @property
    def label2id(self) -> dict[str, int]:
        """The ids of the outputs' names."""
        return {name: index for index, name in self.id2label.items()}

    @property
    def task_names(self) -> list[str]:
        """The names of several tasks, in order; none of a single one."""
        return [values["name"] for values in self.tasks or ()]

    def of_task(self, name: str) -> "ExportedConfig":
        """The configuration of one of several tasks alone.

        Raises:
            StopIteration: where there is no such task.
        """
        own = next(values for values in self.tasks or () if values["name"] == name)
        shared = {key: getattr(self, key) for key in _OF_THE_ENCODER}
        if own["problem_type"] == _TOKENS:
            del shared["encoder_window"]  # a tagger alone reads windows that overlap
        return self.of_values({**shared, **own})

    @property
    def has_decoder(self) -> bool:
        """Whether the model has one decoder."""
        return self.problem_type not in (_TOKENS, MULTI_TASK) or self.token_decoder

    def window_lengths(self, tokens: int) -> list[int]:
        """The tokens of each window that a text of so many is read in."""
        count = -(-tokens // (self.encoder_window or max(1, tokens)))
        size = -(-tokens // max(1, count))
        return [size] * (count - 1) + [tokens - size * (count - 1)]


def _number(values: Mapping[str, Any], key: str, default: int | None, least: int = 1) -> Any:
    value = values.get(key, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise ValueError(f"`{key}` is {value!r}; it must be a whole number from {least} on")
    return value


def _problem_of(labels: int, prompts: int | None) -> str:
    """What a model without a `problem_type` predicts."""
    return "regression" if labels == 1 else _MULTI_LABEL if prompts == labels else _SINGLE_LABEL


def _labels(values: Mapping[str, Any]) -> dict[int, str]:
    """The names of the outputs by id, in order."""
    named, ids = values.get("id2label"), values.get("label2id")
    if named is None and ids is None:
        return {index: f"LABEL_{index}" for index in range(_number(values, "num_labels", 2))}
    for key, given in (("id2label", named), ("label2id", ids)):
        if given is not None and not isinstance(given, dict):
            raise ValueError(f"`{key}` is {shorten(given)}; it must be a dictionary")
    try:
        inverse = ids and {int(index): name for name, index in ids.items()}
        labels = inverse if named is None else {int(index): name for index, name in named.items()}
    except (TypeError, ValueError):
        raise ValueError("`id2label` or `label2id` has ids that are no whole numbers") from None
    if not labels or set(labels) != set(range(len(labels))):
        raise ValueError(f"`id2label` has the keys {shorten(sorted(labels or ()))}; it must name labels from 0 on")
    if not all(isinstance(name, str) for name in labels.values()) or len(set(labels.values())) < len(labels):
        raise ValueError("`id2label` has a label twice, or one that is no text")
    if inverse and inverse != labels:
        raise ValueError(f"`label2id` {shorten(ids)} contradicts `id2label` {shorten(named)}")
    return {index: labels[index] for index in range(len(labels))}


def _thresholds(values: Mapping[str, Any], problem: str, labels: int) -> list[float] | None:
    given = values.get("thresholds")
    if given is None:
        return None
    if problem != _MULTI_LABEL:
        raise ValueError(f"`thresholds` are for multi-label classification; leave them out for {problem}")
    numbers = isinstance(given, list) and all(type(value) in (int, float) and 0 <= value <= 1 for value in given)
    if not numbers or len(given) != labels:
        raise ValueError(f"`thresholds` is {shorten(given)}; it must hold {labels} numbers within 0 and 1, one a label")
    return given


def _parts(values: Mapping[str, Any], tasks: Any) -> dict[str, ExportedConfig]:
    """Each of several tasks as if it were alone."""
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise ValueError(f"`tasks` is {shorten(tasks)}; it must be a list of tasks")
    if values.get("problem_type") not in (None, MULTI_TASK):
        raise ValueError(f"`problem_type` is {values['problem_type']!r}; with `tasks` it is {MULTI_TASK!r}")
    parts = {}
    for task in tasks:
        name = task.get("name")
        if not isinstance(name, str) or name in parts or not task.get("id2label") or not task.get("problem_type"):
            raise ValueError(f"a task is {shorten(task)}; it needs a `name` of its own, `problem_type` and `id2label`")
        try:
            parts[name] = ExportedConfig.of_values(task)
        except ValueError as error:
            raise ValueError(f"the task {name!r}: {error}") from error
    return parts
