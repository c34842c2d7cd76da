"""The label values of a table: which task they pose, read, held against their texts, and noted where they are odd."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from enct5.data.columns import ANSWER, read_texts, refused_list, rejected
from enct5.data.notes import blank_texts, in_rows, is_blank, numbers_as_texts, repeated_texts
from enct5.data.split import text_keys
from enct5.errors import EncT5Error, show
from enct5.tasks.base import Task
from enct5.tasks.guessing import guess
from enct5.tasks.registry import find_task

if TYPE_CHECKING:
    from datasets import Dataset


def infer_task(
    table: "Dataset",
    label: str,
    task: str = "auto",
    separator: str | None = None,
    note: Callable[[str], None] = lambda reason: None,
) -> Task:
    """Tell the task from the label column, or hold a named task against it.

    Args:
        table: The table, its columns checked.
        label: The label column.
        task: "auto", or a task's short or full name.
        separator: What separates the labels in one text; giving it means multi-label.
        note: Called with the reason of a choice that may surprise.

    Returns:
        The task.

    Raises:
        EncT5Error: If the labels do not fit the named task, or look like something else than classes.
    """
    values = table[label][:]
    if task != "auto":
        forced = find_task(task)
        forced.parse(values, label, separator)
        return forced
    problem_type, reason = guess(values, label, separator)
    if reason is not None:
        note(reason)
    found = find_task(problem_type)
    found.parse(values, label, separator)
    return found


def read_labelled(
    table: "Dataset", source: str, text: Sequence[str], label: str, task: Task, separator: str | None
) -> tuple["Dataset", list[Any], list[str]]:
    """Read the label values of a table, leave out what its annotator rejected, and note what is odd about the rest.

    Args:
        table: The table, its columns checked.
        source: Where it came from.
        text: The text columns.
        label: The label column.
        task: The task.
        separator: What separates the labels in one text.

    Returns:
        The rows that count, their label values, and notes.

    Raises:
        EncT5Error: If a value does not fit the task or its text, or no row is left.
    """
    values, notes = label_values(table, label, task, separator, text), []
    if left_out := rejected(table, [*text, label]):
        kept = np.setdiff1d(np.arange(len(table)), left_out)
        if not len(kept):
            raise EncT5Error(f"{source} has no row whose `{ANSWER}` is accept; give a table with some")
        table, values = table.select(kept), [values[row] for row in kept]
        notes.append(
            f"{in_rows(left_out)} whose `{ANSWER}` is reject or ignore are left out; further notes number the rest"
        )
    texts = read_texts(table, text)
    notes += blank_texts(texts, source) + numbers_as_texts(texts)
    notes += task.notes(table[label][:], values, texts)
    keys = [None if is_blank(text) else key for text, key in zip(texts, text_keys(texts), strict=True)]
    notes += repeated_texts(keys, values)
    return table, values, notes


def label_values(
    table: "Dataset", label: str, task: Task, separator: str | None = None, text: Sequence[str] = ()
) -> list[Any]:
    """Read the label column as the task's label values.

    Args:
        table: The table, its columns checked.
        label: The label column.
        task: The task.
        separator: What separates the labels in one text.
        text: The text columns, where labels are to be held against the texts.

    Returns:
        One name, list of names, number, list of numbers or `Entities` per row, which `Task.encode` takes.

    Raises:
        EncT5Error: If a value does not fit the task or its text; the message names its row.
    """
    values = task.parse(table[label][:], label, separator)
    if not text:
        return values
    texts = read_texts(table, text)
    words = next((row for row, value in enumerate(texts) if isinstance(value, list)), None)
    if words is not None and not task.inputs.takes_words:
        raise refused_list(texts[words], f"column {show(text[0])}, row {words + 1}")
    return task.align(values, texts, label)
