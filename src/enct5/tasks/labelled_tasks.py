"""The texts and the labels of each task that a table holds; a row need not have a label for every task."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.data.cells import has_label
from enct5.data.columns import check_columns, check_names, read_texts, rejected
from enct5.data.lazy_columns import taken, values_of
from enct5.data.locating import data_name
from enct5.data.notes import blank_texts, numbers_as_texts
from enct5.data.shaping import with_label_column
from enct5.data.split import text_keys
from enct5.errors import EncT5Error, show
from enct5.tasks.base import Task
from enct5.tasks.labelled import LabelledTexts, label_values, notes_on_numbers

if TYPE_CHECKING:
    from datasets import Dataset

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Labels:
    """The labels of one task in a table.

    Attributes:
        rows: the places of the rows that have one, int64 (n,).
        values: theirs, as `Task.encode` takes them.
    """

    rows: Array
    values: list[Any]

    def within(self, kept: Array) -> "Labels":
        """Those of some rows of the table, which come to be numbered by their places in `kept`."""
        place = np.full(1 + max(self.rows.max(initial=-1), kept.max(initial=-1)), -1, dtype=np.int64)
        place[kept] = np.arange(len(kept))
        own = np.flatnonzero(place[self.rows] >= 0)
        return Labels(place[self.rows[own]], taken(self.values, own))


@dataclass(frozen=True)
class Texts:
    """Texts, and what rows of the same text have in common (`text_keys`)."""

    texts: Sequence[Any]
    keys: Sequence[int] | Array

    def select(self, rows: Array) -> "Texts":
        """Those of some rows."""
        return Texts(taken(self.texts, rows), taken(self.keys, rows))


@dataclass(frozen=True)
class Side:
    """Texts, and the labels that they have for each task."""

    texts: Texts
    labels: dict[str, Labels]

    def select(self, rows: Array) -> "Side":
        """Those of some rows."""
        return Side(self.texts.select(rows), {name: own.within(rows) for name, own in self.labels.items()})

    def labelled(self, name: str) -> LabelledTexts:
        """The texts that have a label for a task."""
        own, texts = self.labels[name], self.texts
        return LabelledTexts(taken(texts.texts, own.rows), own.values, taken(texts.keys, own.rows))


@contextmanager
def naming(task: str) -> Iterator[None]:
    """Let what is wrong with a task name it."""
    try:
        yield
    except EncT5Error as error:
        raise EncT5Error(f"task {task}: {error}") from error


@dataclass(frozen=True)
class TaskColumn:
    """Where a task's labels are.

    Attributes:
        name: the task's.
        label: the label column.
        separator: what separates several labels in one field.
        text: the text columns.
    """

    name: str
    label: str
    separator: str | None
    text: Sequence[str]

    def read(self, table: "Dataset", source: str) -> tuple["Dataset", list[int]]:
        """A table with the label column as tasks read it, and the places of the rows that have a label there.

        Raises:
            EncT5Error: where there is no such column.
        """
        with naming(self.name):
            with_column, _ = with_label_column(table, self.text, self.label, source)
            check_names(with_column, source, [*self.text, self.label])
            out = set(rejected(with_column, [*self.text, self.label]))
            cells = with_column[self.label][:]
            rows = [row for row, cell in enumerate(cells) if has_label(cell, self.separator) and row not in out]
        return with_column, rows

    def require(self, table: "Dataset", source: str) -> tuple["Dataset", list[int]]:
        """Like `read`, for a column that has to have labels.

        Raises:
            EncT5Error: as `read`, and where it has none.
        """
        with_column, rows = self.read(table, source)
        if not rows:
            raise EncT5Error(
                f"task {self.name}: column {show(self.label)} of {data_name(source)} has no label in any row; name "
                "another, or leave the task out"
            )
        return with_column, rows

    def labels(self, table: "Dataset", rows: list[int], task: Task, notes: list[str]) -> Labels:
        """The labels of some rows as a kind of task takes them, held against their texts.

        Args:
            table: as from `read`.
            rows: likewise.
            task: the kind of task.
            notes: where what is odd about them is noted.

        Raises:
            EncT5Error: for a value that does not fit.
        """
        with naming(self.name):
            wanted = {name: values_of(table, name) for name in (*self.text, self.label)}
            columns = {name: taken(cells, np.array(rows)) for name, cells in wanted.items()}
            held_against = self.text if task.inputs.windowed else ()
            try:
                values = label_values(columns, self.label, task, self.separator, held_against)
            except EncT5Error as error:
                if len(rows) == len(table):
                    raise
                raise EncT5Error(f"{error} (of the {len(rows)} rows with a label, which alone are counted)") from error
        found = notes_on_numbers(columns, self.label, task)
        found += task.notes(columns[self.label], values, read_texts(columns, self.text))
        # how numbers are read has been told where it told the kind of task
        notes += [note for note in (f"{self.name}: {one}" for one in found) if note not in notes]
        return Labels(np.array(rows, dtype=np.int64), values)


def texts_of(table: "Dataset", text: Sequence[str], source: str, kinds: Iterable[Task]) -> tuple[Texts, list[str]]:
    """The texts of a table that tasks of these kinds read, and notes on them.

    Raises:
        EncT5Error: for what are no texts.
    """
    takes_words = any(task.inputs.takes_words for task in kinds)
    texts = read_texts(check_columns(table, source, text, None, takes_words=takes_words), text)
    return Texts(texts, text_keys(texts)), blank_texts(texts, source) + numbers_as_texts(texts)
