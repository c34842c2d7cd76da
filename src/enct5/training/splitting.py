"""Which texts a run trains on, and which it is judged by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.data.locating import data_name
from enct5.data.split import split_rows
from enct5.tasks.base import Task
from enct5.tasks.labelled import LabelledTexts
from enct5.training.config import TrainConfig

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Which texts a run trains on, and which it is judged by.

    Attributes:
        train: the texts to train on.
        held_out: those to judge by.
        rows: the numbers of both, int64 (n,) each; texts of an evaluation file are behind those of the data.
        said: what was held out, in words.
        shared: how many texts of an evaluation file are training texts, too, whatever their labels.
        counts: rows of each label of `held_out`.
    """

    train: LabelledTexts
    held_out: LabelledTexts
    rows: tuple[Array, Array]
    said: str
    shared: int
    counts: dict[str, int]

    def notes(self) -> list[str]:
        """A note on texts that are on both sides."""
        note = (
            f"{self.shared} of the {len(self.held_out)} evaluation texts are training texts, too, which makes the "
            "figures too good; evaluate on texts that training does not see (--eval)"
        )
        return [note] if self.shared else []


def split(
    config: TrainConfig, task: Task, data: LabelledTexts, evaluation: LabelledTexts | None, counts: Mapping[str, int]
) -> Split:
    """Hold a part of the data out, where there is no evaluation file.

    Args:
        config: the run's settings.
        task: what is learned.
        data: the texts of the data, with the labels to keep the shares of.
        evaluation: those of the evaluation file, where there is one.
        counts: of the labels of `data`.

    Raises:
        EncT5Error: where there is too little to hold out a part of.
    """
    if evaluation is not None:
        return Split(
            train=data,
            held_out=evaluation,
            rows=(np.arange(len(data)), len(data) + np.arange(len(evaluation))),
            said=data_name(str(config.eval)),
            shared=int(np.isin(evaluation.keys, data.keys).sum()),
            counts=task.class_counts(evaluation.values),
        )
    rows = split_rows(data.keys, task.strata(data.values), config.eval_fraction, config.seed)
    train, held_out = map(data.select, rows)
    evaluated = task.class_counts(held_out.values)
    absent = len(counts.keys() - evaluated)
    how = f"without {absent} of the {len(counts)} labels" if absent else "stratified" if counts else "at random"
    how += ", copies of a text together" if len(np.unique(data.keys)) < len(data) else ""
    said = f"{len(held_out)} rows held out of {data_name(config.data)} ({how}, seed {config.seed})"
    return Split(train, held_out, rows, said, 0, evaluated)
