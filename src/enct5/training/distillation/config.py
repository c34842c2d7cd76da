"""What a distillation can be told: the settings of a training run, and those that are about the teacher."""

from typing import ClassVar

from pydantic import Field, model_validator

from enct5.training.config import SOURCES, TrainConfig, run_folder_of


class DistillConfig(TrainConfig):
    """Everything that decides a distillation; `None` means chosen from the data, the teacher or the base model."""

    sources: ClassVar[tuple[str, ...]] = (*SOURCES, "teacher")
    positional: ClassVar[tuple[str, ...]] = ("teacher", "data")
    # settings of a training run that the teacher decides
    fixed: ClassVar[tuple[str, ...]] = (
        "task",
        "loss",
        "class_weights",
        "label_smoothing",
        "hpo",
        "tasks",
        "add_tasks",
        "add_labels",
    )

    label: str | None = Field(  # type: ignore[assignment]  # which a run without a teacher needs
        None, description="Label column; rows without a value learn from the teacher alone; default: all rows do."
    )
    label_smoothing: float | None = Field(0.0, description="None: the teacher's probabilities take its place.")
    base: str = Field(
        TrainConfig.model_fields["base"].default,
        description="What the student starts from: T5 or EncT5 folder, hub id `name[@revision]`, or `bundled`.",
    )
    out: str = Field(
        default_factory=lambda values: run_folder_of(values, "-student"),
        description="Run folder to create; default: runs/<name of the data>-student.",
    )
    teacher: str = Field(
        description="Model to learn from: run folder, other EncT5 checkpoint, exported, or hub id `name[@revision]`."
    )
    temperature: float = Field(
        2.0, gt=0, description="What the logits of both are divided by in the loss (but for regression)."
    )
    label_weight: float = Field(
        0.1, ge=0, le=1, description="Weight of a text's label in its loss, where it has one; the teacher has the rest."
    )

    @model_validator(mode="after")
    def _check(self) -> "DistillConfig":
        for name in self.fixed:
            if not self.is_default(name):
                raise ValueError(f"`{name}` does not go with a teacher, which decides it; leave it out")
        for name in ("label_weight", "label_separator"):
            if self.label is None and not self.is_default(name):
                raise ValueError(f"--{name.replace('_', '-')} needs a label column (--label)")
        return self
