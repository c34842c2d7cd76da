"""What the report of a run shows of single rows and classes, in plain words and numbers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
MOST_MISTAKES = 20


@dataclass(frozen=True)
class Evaluated:
    """The evaluation split with what the model said: `logits`, `scores` and `labels` have a row for each of `rows`."""

    rows: list[dict[str, Any]]
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


def scored(name: str, score: float) -> str:
    """A label with its score."""
    return f"{name} ({score:.3f})"


def listed(parts: Iterable[str]) -> str:
    """Parts in one line, or that there are none."""
    return ", ".join(parts) or "none"
