"""The label values of a table: which task they pose, read, held against their texts, and noted where they are odd."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.data.columns import read_texts, refused_list
from enct5.data.lazy_columns import LazyColumns, taken
from enct5.data.notes import blank_texts, is_blank, numbers_as_texts, repeated_texts
from enct5.data.split import text_keys
from enct5.errors import show
from enct5.tasks.base import Task
from enct5.tasks.guessing import guess, how_numbers_are_read
from enct5.tasks.registry import find_task

if TYPE_CHECKING:
    from enct5.data.columns import Table


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with their labels, read once from a table: a row of it each.

    Attributes:
        texts: strings, pairs of strings, or lists of words.
        values: their label values, as `Task.encode` takes them.
        keys: what rows of the same text have in common, as from `text_keys`.
    """

    texts: Sequence[Any]
    values: Sequence[Any]
    keys: Sequence[int] | npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, rows: Sequence[int] | npt.NDArray[Any]) -> "LabelledTexts":
        """Those of some rows, by their places."""
        places = np.asarray(rows, dtype=np.int64)
        return LabelledTexts(*(taken(part, places) for part in (self.texts, self.values, self.keys)))


def infer_task(
    table: "Table",
    label: str,
    task: str = "auto",
    separator: str | None = None,
    note: Callable[[str], None] = lambda reason: None,
) -> Task:
    """Tell the task from the label column, if it is not named.

    Args:
        table: The table, or its columns, checked.
        label: The label column.
        task: "auto", or a task's short or full name.
        separator: What separates the labels in one text; giving it means multi-label.
        note: Called with the reason of a choice that may surprise.

    Returns:
        The task.

    Raises:
        EncT5Error: If there is no such task, or the labels look like something else than classes.
    """
    if task != "auto":
        named = find_task(task)
        for said in notes_on_numbers(table, label, named):
            note(said)
        return named
    problem_type, reason = guess(_cells(table, label), label, separator)
    if reason is not None:
        note(reason)
    return find_task(problem_type)


def notes_on_numbers(table: "Table", label: str, task: Task) -> list[str]:
    """How the numbers of a label column are read, where that may surprise; nothing of a task that learns no numbers."""
    said = None if task.fit_scaler is None else how_numbers_are_read(_cells(table, label), label)
    return [] if said is None else [said]


def read_labelled(
    columns: "Table",
    source: str,
    text: Sequence[str],
    label: str,
    task: Task,
    separator: str | None,
) -> tuple[LabelledTexts, list[str]]:
    """Read texts and label values, and note what is odd about them.

    Args:
        columns: Texts and labels, as from `check_columns`.
        source: Where it came from.
        text: The text columns.
        label: The label column.
        task: The task.
        separator: What separates the labels in one text.

    Returns:
        The texts with their labels, and notes.

    Raises:
        EncT5Error: If a value does not fit the task or its text.
    """
    texts: Sequence[Any] = read_texts(columns, text)
    cells: Sequence[Any] = columns[label]
    notes: list[str] = []
    labelled = LabelledTexts(texts, label_values(columns, label, task, separator, text), text_keys(texts))
    notes += blank_texts(texts, source) + numbers_as_texts(texts)
    notes += task.notes(cells, labelled.values, texts)
    written = np.fromiter((not is_blank(text) for text in texts), dtype=np.bool_, count=len(texts))
    notes += repeated_texts(labelled.keys, labelled.values, np.flatnonzero(written))
    return labelled, notes


def label_values(
    table: "Table", label: str, task: Task, separator: str | None = None, text: Sequence[str] = ()
) -> list[Any]:
    """Read the label column as the task's label values.

    Args:
        table: The table, or its columns, checked.
        label: The label column.
        task: The task.
        separator: What separates the labels in one text.
        text: The text columns, where labels are to be held against the texts.

    Returns:
        One name, list of names, number, list of numbers or `Entities` per row, which `Task.encode` takes.

    Raises:
        EncT5Error: If a value does not fit the task or its text; the message names its row.
    """
    values = task.parse(_cells(table, label), label, separator)
    if not text:
        return values
    texts = read_texts(table, text)
    words = None
    if not isinstance(texts, LazyColumns):  # which has no lists
        words = next((row for row, value in enumerate(texts) if isinstance(value, list)), None)
    if words is not None and not task.inputs.takes_words:
        raise refused_list(texts[words], f"column {show(text[0])}, row {words + 1}")
    return task.align(values, texts, label)


def _cells(table: "Table", label: str) -> Sequence[Any]:
    column = table[label]
    return column if isinstance(column, LazyColumns) else column[:]
