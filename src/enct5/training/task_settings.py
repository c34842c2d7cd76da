"""What a run is told of one of several tasks: a mapping, or for short its column and what it holds, `topics:multi`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from enct5.errors import EncT5Error, unknown


def known_task(task: str) -> str:
    """The short name of a kind of task, which goes by others, too."""
    if task == "auto":
        return task
    from enct5.tasks.registry import find_task  # which imports scikit-learn

    try:
        return find_task(task).alias
    except EncT5Error as error:
        raise ValueError(str(error)) from error


Kind = Annotated[str, AfterValidator(known_task)]


class TaskSettings(BaseModel):
    """Settings of one of several tasks.

    Attributes:
        label: its label column.
        task: single, multi, regression or tokens; auto: by the label column.
        label_separator: what separates several labels in one field (multi-label).
        weight: factor of its loss; by default 1, and 4 for tags beside labels of whole texts.
        loss: as for a run of this task alone.
        class_weights: likewise.
        label_smoothing: likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    label: str
    task: Kind = "auto"
    label_separator: str | None = None
    weight: float | None = Field(None, gt=0)
    loss: Literal["bce", "focal", "asymmetric"] | None = None
    class_weights: Literal["balanced"] | None = None
    label_smoothing: float | None = Field(None, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, given: Any) -> Any:
        """`COLUMN` or `COLUMN:KIND`; a column may have a colon, too."""
        if isinstance(given, Mapping):
            for name in given:
                if name not in cls.model_fields:
                    raise ValueError(str(unknown("task setting", str(name), cls.model_fields)))
        if not isinstance(given, str):
            return given
        column, _, kind = given.rpartition(":")
        return {"label": column, "task": kind} if column and _is_kind(kind) else {"label": given}

    def __str__(self) -> str:
        """The short form, as far as it goes."""
        others = self.model_dump(exclude_defaults=True, exclude={"label", "task"})
        told = ", ".join(f"{name} {value}" for name, value in others.items())
        return f"{self.label}{'' if self.task == 'auto' else f':{self.task}'}{f' ({told})' if told else ''}"


def _is_kind(name: str) -> bool:
    from enct5.tasks.registry import find_task

    try:
        return name == "auto" or bool(find_task(name))
    except EncT5Error:
        return False
