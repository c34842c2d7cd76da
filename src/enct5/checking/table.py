"""A table to check: read by what reads it for training, without the rows that training would refuse."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from enct5.data.columns import missing_labels, missing_texts, rejected
from enct5.data.data_file import ReadOptions
from enct5.data.in_memory import InMemory
from enct5.data.locating import data_name
from enct5.data.reading import read_table
from enct5.data.shaping import with_labels, with_texts
from enct5.errors import EncT5Error, show
from enct5.tasks.base import Task
from enct5.tasks.labelled import LabelledTexts
from enct5.training.config import TrainConfig
from enct5.training.data import Rows, checked_rows

if TYPE_CHECKING:
    from datasets import Dataset

_HELD = {
    "single": "one class a row",
    "multi": "any number of labels a row",
    "regression": "numbers",
    "tokens": "tags or entities",
}


@dataclass(frozen=True)
class CheckedTable:
    """A table, and those of its rows that can be learned from.

    Attributes:
        config: The settings of the run that it is for, its tables in memory.
        table: All of it.
        rows: The places of the rows that have text and label and were not rejected, in their order.
        labelled: These rows.
        read: What training makes of them.
        without_text: The places of the rows that lack a text.
        without_label: The places of those that lack their label.
        rejected: The places of those that an annotator has rejected, which training leaves out.
        refusal: What training says of the rows without text or label.
    """

    config: TrainConfig
    table: "Dataset"
    rows: list[int]
    labelled: LabelledTexts
    read: Rows
    without_text: list[int]
    without_label: list[int]
    rejected: list[int]
    refusal: EncT5Error | None

    @property
    def source(self) -> str:
        """What it is called."""
        return self.config.data

    @property
    def task(self) -> Task:
        """The task that its labels pose."""
        return self.read.task

    @property
    def why(self) -> str:
        """What tells the task."""
        if self.config.task != "auto":
            return "as --task says"
        if self.config.label_separator is not None:
            return "as --label-separator says"
        return f"{show(self.config.label)} holds {_HELD[self.task.alias]}"

    @property
    def evaluation(self) -> LabelledTexts | None:
        """The texts of the evaluation file, where there is one."""
        return None if self.config.eval is None else self.read.split.held_out


def read(config: TrainConfig) -> CheckedTable:
    """Read a table as training reads it; nothing of it needs torch.

    Args:
        config: The settings of a run.

    Raises:
        EncT5Error: If nothing can be made of it, as training says it.
    """
    config = _in_memory(config)
    data = config.data
    assert isinstance(data, InMemory)
    left_out = rejected(with_texts(data.table, config.text, data), [*config.text, config.label])
    rows = np.setdiff1d(np.arange(len(data.table)), left_out)
    without_text: list[int] = []
    without_label: list[int] = []
    refusal = None
    try:
        found = checked_rows(config)
    except EncT5Error as error:
        without_text, without_label = ([int(rows[place]) for place in places] for places in _lacking(config))
        refusal = error
        rows = np.setdiff1d(rows, without_text + without_label)
        if not without_text + without_label or not len(rows):
            raise
        rest = InMemory(data, data.table.select(rows))
        try:
            found = checked_rows(config.model_copy(update={"data": rest}))
        except EncT5Error:
            raise refusal from None  # the first thing to mend; the other one counts the rows without those
    return CheckedTable(
        config=config,
        table=data.table,
        rows=[int(row) for row in rows],
        labelled=_together(found, config.eval is None),
        read=found,
        without_text=without_text,
        without_label=without_label,
        rejected=left_out,
        refusal=refusal,
    )


def _in_memory(config: TrainConfig) -> TrainConfig:
    """The same settings with what they name as tables in memory: each is read once."""
    options = ReadOptions(config.delimiter, config.encoding)
    read: dict[str, Any] = {
        name: InMemory(data_name(source), read_table(source, options))
        for name in ("data", "eval")
        if (source := getattr(config, name)) is not None
    }
    return config.model_copy(update={**read, "delimiter": None, "encoding": None})


def _lacking(config: TrainConfig) -> tuple[list[int], list[int]]:
    """The places of the rows without a text, and of those without a label, among those that nobody rejected."""
    data = config.data
    assert isinstance(data, InMemory)
    table, _ = with_labels(data.table, config.text, config.label, config.label_separator, data)
    if not {*config.text, config.label} <= set(table.column_names):
        return [], []
    texts = np.any([missing_texts(table[name][:]) for name in config.text], axis=0)
    labels = missing_labels(table[config.label][:], config.label_separator)
    return np.flatnonzero(texts).tolist(), np.flatnonzero(labels).tolist()


def _together(found: Rows, was_split: bool) -> LabelledTexts:
    """The texts of the data, in its order."""
    parts = found.split
    if not was_split:
        return parts.train
    texts, values, keys = (
        [*getattr(parts.train, name), *getattr(parts.held_out, name)] for name in ("texts", "values", "keys")
    )
    return LabelledTexts(texts, values, keys).select(np.argsort(np.concatenate(parts.rows)).tolist())
