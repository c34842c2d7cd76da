"""What a training run can be told: one field each, checked together, written to the run folder as YAML."""

from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enct5.assets import BUNDLED
from enct5.errors import EncT5Error, show, unknown
from enct5.model.folder import public_name

SEARCHED = ("learning_rate", "epochs", "batch_size", "label_smoothing")  # what `hpo` tries other values of
SOURCES = ("data", "eval", "label_descriptions", "base")  # settings that name a file or folder, or one on the hub
Config = TypeVar("Config", bound="TrainConfig")


class TrainConfig(BaseModel):
    """Everything that decides a training run; `None` means chosen from the data or the base model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    sources: ClassVar[tuple[str, ...]] = SOURCES

    data: str = Field(description="Training data: CSV, TSV, JSONL, JSON or Parquet file, or hub dataset `name:split`.")
    text: tuple[str, ...] = Field(description="Text column, or two for pairs, which are joined as `A </s> B </s>`.")
    label: str = Field(description="Label column.")
    eval: str | None = Field(None, description="Evaluation data; without it a part of the training data is held out.")
    task: str = Field("auto", description="auto, single, multi, regression or tokens; auto reads the label column.")
    label_separator: str | None = Field(None, description="What separates several labels in one field (multi-label).")
    label_prompts: Literal["names", "pad"] | None = Field(
        None,
        description="What the prompts of a multi-label model start from: the labels' own words, or `<pad>`; without it "
        "their words, unless the base has trained prompts for them.",
    )
    label_descriptions: str | None = Field(
        None, description="File of label descriptions, from whose words the prompts start instead (multi-label)."
    )
    loss: Literal["bce", "focal", "asymmetric"] | None = Field(
        None, description="Loss instead of cross-entropy: focal, or for multi-label also asymmetric or bce."
    )
    class_weights: Literal["balanced"] | None = Field(
        None, description="balanced gives rare classes or labels a larger weight in the loss."
    )
    label_smoothing: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Single-label: share of the target spread over all labels; 0.1 with plain cross-entropy.",
    )
    token_decoder: bool = Field(
        False, description="Tokens: the head reads a decoder layer fed with the text's own tokens, not the encoder."
    )
    lora: bool = Field(
        False, description="Train small matrices beside those of the base (LoRA), which stay as they are till the end."
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute activations again in the backward pass, which takes time and saves memory."
    )
    base: str = Field(
        BUNDLED,
        description="T5 or EncT5 checkpoint: folder, hub id, or the bundled T5.",
    )
    out: str = Field(description="Run folder to create.")
    epochs: float | None = Field(
        None,
        gt=0,
        description="Passes over the data; by default 3 to 20, and at least 250 steps.",
    )
    batch_size: int = Field(32, ge=1, description="Texts of a step on average; texts of like length share a step.")
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="Peak rate relative to a tensor's size (RMS), 0.3 of it for the encoder; 0.01, less if wide.",
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps over which the rate rises.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay.")
    max_length: int = Field(512, ge=2, description="Tokens of a text; longer ones are cut, and counted in the report.")
    allow_unknown: bool = Field(
        False, description="Train even if half of the texts or more is unknown to the base's tokenizer."
    )
    eval_fraction: float = Field(0.1, gt=0, le=0.5, description="Share held out when there is no evaluation data.")
    hpo: int | None = Field(
        None, ge=1, description="Trials of a search for rate, epochs, batch size and label smoothing, before training."
    )
    patience: int = Field(8, ge=1, description="Evaluations (of 15 a run) without a better score before it stops.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto is bfloat16 on a GPU that has it, else float32."
    )
    seed: int = Field(42, ge=0, description="Seed of the split, the new tensors, the order and dropout.")

    @property
    def has_plain_loss(self) -> bool:
        """Whether the loss is the task's own, without weights."""
        return self.loss is None and self.class_weights is None

    @classmethod
    def checked(cls: type[Config], **values: object) -> Config:
        """A configuration, or one `EncT5Error` that lists all that is wrong with it."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = []
            for problem in error.errors():
                name = ".".join(str(part) for part in problem["loc"])
                if problem["type"] == "extra_forbidden":
                    problems.append(str(unknown("training option", name, cls.model_fields)))
                elif not name:  # of several fields together
                    problems.append(str(problem["ctx"]["error"]))
                else:
                    problems.append(f"`{name}` is {show(problem['input'])}: {problem['msg'].lower()}")
            raise EncT5Error("; ".join(problems)) from error

    def published(self) -> "TrainConfig":
        """The same with names in the place of paths, which are nobody else's business."""
        names = {name: value for name in (*self.sources, "out") if (value := getattr(self, name)) is not None}
        return self.model_copy(update={name: public_name(value) for name, value in names.items()})

    def described(self) -> list[tuple[str, Any, str | None]]:
        """Every field's name, value and description."""
        return [(name, getattr(self, name), info.description) for name, info in type(self).model_fields.items()]

    def write(self, path: Path) -> None:
        """Write all fields as YAML, each below its description."""
        lines = []
        for name, value, description in self.described():
            lines.append(f"# {description}")
            lines.append(yaml.safe_dump({name: list(value) if isinstance(value, tuple) else value}).strip())
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
