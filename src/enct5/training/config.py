"""What a training run can be told: one field each, from which its option, help and documentation are made."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from enct5.assets import BUNDLED
from enct5.data.in_memory import InMemory, in_memory
from enct5.data.locating import data_name
from enct5.errors import EncT5Error, show
from enct5.files.hub_names import split_revision
from enct5.model.folder import public_name
from enct5.training.settings import Settings
from enct5.training.task_settings import Kind, TaskSettings

SEARCHED = ("learning_rate", "epochs", "batch_size", "label_smoothing")  # what `hpo` tries other values of
SOURCES = ("data", "eval", "label_descriptions", "base")  # settings that name a file or folder, or one on the hub
_OF_ONE_TASK = ("task", "loss", "class_weights", "label_smoothing", "label_descriptions", "lora", "hpo")
_NOT_WITH_ADDED_LABELS = ("add_tasks", "lora", "token_decoder", "label_prompts", "label_descriptions", "class_weights")
_TASK_NAME = re.compile(r"[\w-]+")
_PLAIN_NAME = re.compile(r"[^/\\:*?\[\]]+")  # of a file or folder: neither the way to one, a pattern, nor on the hub

Names = Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]


def _source(value: Any, check: ValidatorFunctionWrapHandler, field: ValidationInfo) -> Any:
    """A source's name, or from Python a table, which has the place of one (pydantic would make it a plain string)."""
    if isinstance(value, InMemory):
        return value
    if value is None or isinstance(value, (str, bytes, int, float)):
        return check(value)
    return in_memory(value, "" if field.field_name == "data" else " to evaluate on")


_TABLE = WrapValidator(_source)


def run_folder_of(values: Mapping[str, Any], ending: str = "") -> str:
    """The folder of a run that names none: after its data."""
    name, _ = split_revision(values["data"].partition(":")[0])
    return str(Path("runs") / f"{Path(name).stem}{ending}")


class TrainConfig(Settings):
    """Everything that decides a training run; `None` means chosen from the data or the base model."""

    sources: ClassVar[tuple[str, ...]] = SOURCES
    positional: ClassVar[tuple[str, ...]] = ("data",)
    entries: ClassVar[dict[str, str]] = {"task": "tasks", "add_task": "add_tasks"}

    data: Annotated[str, _TABLE] = Field(
        description="File, folder or pattern of tables, `-`, or hub dataset `name[@revision]:split`."
    )
    text: Names = Field(description="Text column, or two for pairs, which are joined as `A </s> B </s>`.")
    tasks: dict[str, TaskSettings] | None = Field(
        None,
        description="Several tasks in one pass: --task NAME=COLUMN or NAME=COLUMN:KIND, once for each. In YAML and "
        "Python a mapping of names to such columns, or to mappings of `label`, `task`, `label_separator`, `weight` (of "
        "its loss), `loss`, `class_weights` and `label_smoothing`.",
    )
    add_tasks: dict[str, TaskSettings] | None = Field(
        None,
        description="Tasks to add to those of --base, whose encoder and tasks stay as they are, bit for bit: "
        "--add-task NAME=COLUMN[:KIND].",
    )
    label: str = Field("", validate_default=True, description="Label column, unless there are several tasks.")
    eval: Annotated[str | None, _TABLE] = Field(
        None, description="Evaluation data; default: a part of the training data is held out."
    )
    task: Kind = Field("auto", description="single, multi, regression or tokens; auto: by the label column.")
    label_separator: str | None = Field(
        None, description="What separates several labels in one field (multi-label); default: fields are lists."
    )
    delimiter: str | None = Field(
        None, description="What separates the fields of a CSV file; default: found out, and said."
    )
    encoding: str | None = Field(
        None, description="Encoding of text files, as Python names it; default: found out, and said."
    )
    skip_unknown_labels: bool = Field(
        False, description="Leave out rows of the evaluation data whose labels the training data lacks."
    )
    label_prompts: Literal["names", "pad"] | None = Field(
        None,
        description="What the prompts of a multi-label model start from: the labels' own words, or `<pad>`; default: "
        "names, unless the base has trained prompts for them.",
    )
    label_descriptions: str | None = Field(
        None, description="JSON, YAML or CSV file, from whose words the prompts start instead (multi-label)."
    )
    loss: Literal["bce", "focal", "asymmetric"] | None = Field(
        None, description="focal, or for multi-label also asymmetric or bce; default: the task's own loss."
    )
    class_weights: Literal["balanced"] | None = Field(
        None, description="balanced: rare classes or labels weigh more in the loss; default: all weigh the same."
    )
    label_smoothing: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the target spread over all labels (single-label); default: 0.1, none with another loss "
        "or class weights.",
    )
    token_decoder: bool = Field(
        False, description="Tokens: the head reads a decoder layer fed with the text's own tokens, not the encoder."
    )
    freeze_encoder: bool = Field(
        False, description="Leave the base's encoder as it is: less time, and tasks trained so can share it (merge)."
    )
    add_labels: bool = Field(
        False,
        description="Labels of the data that --base lacks are added to its own (with several tasks, to those of --task "
        "NAME=COLUMN): only what tells the new ones is trained, all else stays as it is, bit for bit.",
    )
    lora: bool = Field(False, description="Train small matrices beside those of the base (LoRA); needs peft.")
    gradient_checkpointing: bool = Field(
        False, description="Less memory, more time: activations are computed again in the backward pass."
    )
    base: str = Field(
        BUNDLED, description="T5 or EncT5 checkpoint to start from: folder, hub id `name[@revision]`, or `bundled`."
    )
    out: str = Field(
        default_factory=lambda values: run_folder_of(values),
        description="Run folder to create; default: runs/<name of the data>.",
    )
    epochs: float | None = Field(
        None, gt=0, description="Passes over the data; default: 3 to 20, and at least 250 steps."
    )
    batch_size: int = Field(32, ge=1, description="Texts of a step on average; texts of like length share a step.")
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="Peak rate relative to a tensor's size (RMS), 0.3 of it for the encoder; default: 0.01, less if "
        "the base is wider than 256.",
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps over which the rate rises.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay.")
    max_length: int | None = Field(
        None,
        ge=2,
        description="Most tokens read of a text, of which the rest is cut (token labels: tokens of a window); default: "
        "4096, or 512 for token labels and where --window is 0.",
    )
    window: int | None = Field(
        None,
        ge=0,
        description="Tokens the encoder reads at once: of a longer text it reads windows, the prompts all of them; 0: "
        "whole texts, which takes time and memory by the square; default: an EncT5 base's own, 512 for a T5.",
    )
    allow_unknown: bool = Field(
        False, description="Train even if half of the texts or more is unknown to the base's tokenizer."
    )
    eval_fraction: float = Field(0.1, gt=0, le=0.5, description="Share held out where no evaluation data is named.")
    hpo: int | None = Field(
        None,
        ge=1,
        description="Trials of a search for rate, epochs, batch size and label smoothing, before training; needs "
        "optuna; default: no search.",
    )
    patience: int = Field(
        8,
        ge=1,
        description="Evaluations (of 15 a run) without a better score before it stops; it does not with fewer than "
        "50 evaluation texts.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 on a GPU that has it, else float32."
    )
    seed: int = Field(42, ge=0, description="Seed of the split, the new tensors, the order and dropout.")
    report_to: Names = Field(
        (),
        description="Trackers that are told of the run, such as tensorboard, wandb, mlflow or trackio; default: none.",
    )

    @field_validator("tasks", "add_tasks")
    @classmethod
    def _called_as_files_are(cls, tasks: dict[str, TaskSettings] | None) -> dict[str, TaskSettings] | None:
        """A task's name is part of names of tensors and files, as `EncT5Config` refuses others, too."""
        for name in tasks or ():
            if not _TASK_NAME.fullmatch(name):
                raise ValueError(f"a task is called {show(name)}; names of tasks are letters, digits, `_` and `-`")
        return tasks

    @field_validator("label")
    @classmethod
    def _named_once(cls, label: str, about: ValidationInfo) -> str:
        """One task has a label column, and several have one each."""
        several = next((name for name in ("tasks", "add_tasks") if about.data.get(name)), None)
        if several and label:
            raise ValueError(f"`label` is {show(label)}, but `{several}` names the tasks' columns; give one of them")
        needed = cls.model_fields["label"].default is not None
        if needed and not several and not label and "tasks" in about.data and "add_tasks" in about.data:
            raise ValueError(f"`label` ({cls.option_of('label')}) is missing")
        return label

    @model_validator(mode="after")
    def _one_task_or_several(self) -> Any:
        """Refuse settings of one task where there are several."""
        if self.freeze_encoder and self.lora:
            raise ValueError("`freeze_encoder` and `lora` do not go together: one leaves alone what the other trains")
        self._check_added_labels()
        if not self.all_tasks:
            return self
        if self.add_tasks and self.base == BUNDLED:
            raise ValueError("`add_tasks` (--add-task) adds to the tasks of a model; name it by `base` (--base)")
        if self.tasks and self.add_tasks:
            raise ValueError("`tasks` (--task) and `add_tasks` (--add-task) do not go together; give one of them")
        for name in _OF_ONE_TASK:
            if not self.is_default(name):
                raise ValueError(
                    f"`{name}` is {show(getattr(self, name))}, which is of one task; with several, say it of the task: "
                    f"`tasks: {{NAME: {{label: COLUMN, {name}: ...}}}}`"
                    if name in TaskSettings.model_fields
                    else f"`{name}` ({self.option_of(name)}) is for one task; leave it out"
                )
        return self

    def _check_added_labels(self) -> None:
        """Refuse what does not go with labels that are added to a base."""
        if not self.add_labels:
            return
        if self.base == BUNDLED:
            raise ValueError("`add_labels` (--add-labels) adds to the labels of a model; name it by `base` (--base)")
        given = [name for name in _NOT_WITH_ADDED_LABELS if not self.is_default(name)]
        given += ["class_weights" for own in self.all_tasks.values() if own.class_weights]
        if given:
            raise ValueError(f"`{given[0]}` and `add_labels` do not go together; leave out one of them")

    @property
    def freezes(self) -> bool:
        """Whether the encoder learns nothing; it is that of others, too, where tasks are added to them."""
        return self.freeze_encoder or self.extends

    @property
    def extends(self) -> bool:
        """Whether the base's tasks stay as they are, and something is added to them."""
        return self.add_labels or self.add_tasks is not None

    @property
    def all_tasks(self) -> dict[str, TaskSettings]:
        """Several tasks by name; none of a run of one."""
        return self.tasks or self.add_tasks or {}

    def of_task(self, name: str) -> "TrainConfig":
        """The settings of one of several tasks."""
        own = self.all_tasks[name].model_dump(exclude={"weight"})
        separator = own.pop("label_separator") or (self.label_separator if own["task"] == "multi" else None)
        return self.model_copy(update={**own, "label_separator": separator, "tasks": None, "add_tasks": None})

    @classmethod
    def _check_file(cls, values: Mapping[str, Any], places: Mapping[str, str]) -> None:
        """Refuse names of files and folders that are not here: a run folder's YAML has them without the way there.

        The base's may be another model's on the hub, which would be taken in silence.
        """
        for name in cls.sources:
            value = values.get(name)
            if value is not None and not isinstance(value, str):  # from Python it may be a table
                raise EncT5Error(f"{places[name]}`{name}` is {show(value)}: input should be a valid string")
            if value is None:
                continue
            if value not in (BUNDLED, "-") and _PLAIN_NAME.fullmatch(value) and not Path(value).expanduser().exists():
                raise EncT5Error(
                    f"{places[name]}`{name}` is {show(value)}, which is not here (a run folder keeps names without the "
                    f"folders they lie in); name it beside the file: {cls.option_of(name)}"
                )

    @property
    def has_plain_loss(self) -> bool:
        """Whether the loss is the task's own, without weights."""
        return self.loss is None and self.class_weights is None

    def published(self) -> "TrainConfig":
        """The same with names in the place of paths, which are nobody else's business."""
        names = {name: value for name in (*self.sources, "out") if (value := getattr(self, name)) is not None}
        return self.model_copy(
            update={
                name: data_name(value) if name in ("data", "eval") else public_name(str(value))
                for name, value in names.items()
            }
        )
