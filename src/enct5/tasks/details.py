"""What people read of a kind of task: rows and classes in a run's report, and how a model card says to use it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
MOST_MISTAKES = 20


@dataclass(frozen=True)
class Evaluated:
    """The evaluation split with what the model said: `logits`, `scores` and `labels` have a row for each of `rows`."""

    rows: Sequence[dict[str, Any]]
    logits: Array
    scores: Array
    labels: Array
    per_label: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """The outputs' names, in id order."""
        return [entry["label"] for entry in self.per_label]


@dataclass(frozen=True)
class Mistake:
    """A text that the model was wrong about, and what there is to say of it."""

    texts: dict[str, str]
    facts: dict[str, str]


@dataclass(frozen=True)
class Points:
    """True and predicted values, (n,) each, to be drawn one against the other."""

    title: str
    truth: Array
    values: Array


@dataclass(frozen=True)
class Details:
    """What the page shows of single rows and classes; a part that a kind of task does not have stays empty.

    Of `reliability` these are the scores, (n, classes), and the right classes, (n,).
    """

    mistakes: list[Mistake]
    mistakes_note: str
    classes: list[str] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)
    confused_pairs: list[dict[str, Any]] = field(default_factory=list)
    scatters: list[Points] = field(default_factory=list)
    reliability: tuple[Array, Array] | None = None


@dataclass(frozen=True)
class Usage:
    """What a reader of the card does with the outputs of one kind of task.

    Attributes:
        predicts: What the model gives for a text, in words.
        decoding: Python lines from `logits` to printed results.
        pipeline_options: Arguments of a `pipeline` call that make it show the whole result.
        pipeline_note: What is left to do with the pipeline's result.
        limitation: What else the figures do not tell.
        auto_class: The Auto class that loads the model.
        pipeline_tag: The task of the pipeline, as the hub names it.
        pipeline_arguments: Arguments of the pipeline itself.
        decoder: What stands between encoder and head.
        windows: Whether enct5 reads long texts in windows instead of cutting them.
    """

    predicts: str
    decoding: str
    pipeline_options: str = ", truncation=True"
    pipeline_note: str = ""
    limitation: str = ""
    auto_class: str = "AutoModelForSequenceClassification"
    pipeline_tag: str = "text-classification"
    pipeline_arguments: str = ""
    decoder: str = "one T5 decoder layer that reads the encoder's states from constant prompts"
    windows: bool = False


def scored(name: str, score: float) -> str:
    """A label with its score."""
    return f"{name} ({score:.3f})"


def listed(parts: Iterable[str]) -> str:
    """Parts in one line, or that there are none."""
    return ", ".join(parts) or "none"
