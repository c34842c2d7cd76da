"""Which texts a run of several tasks trains on, and which it is judged by: one choice for all tasks."""

from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.data import reading
from enct5.data.data_file import ReadOptions
from enct5.data.locating import data_name
from enct5.data.shaping import with_texts
from enct5.data.split import split_rows
from enct5.tasks.base import Task
from enct5.tasks.labelled import LabelledTexts
from enct5.tasks.labelled_tasks import Labels, Side, TaskColumn, naming, texts_of
from enct5.tasks.unknown_labels import known_rows
from enct5.training.config import TrainConfig


def split(config: TrainConfig, kinds: dict[str, Task], data: Side) -> tuple[Side, Side]:
    """Hold a part of the data out, stratified by the task with the most labels.

    Copies of a text stay together, every label of every task has a row to train on, and every task one to be judged by
    where it has some to spare.

    Args:
        config: the run's settings.
        kinds: the tasks by name.
        data: the texts, each of which has a label for some task.

    Returns:
        The texts to train on, and those held out.

    Raises:
        EncT5Error: where there is too little to hold out a part of.
    """
    keys = np.array(data.texts.keys)
    strata = np.full(len(keys), "", dtype=object)
    classes = {name: own for name, own in data.labels.items() if kinds[name].class_counts(own.values)}
    if classes:
        name = max(classes, key=lambda one: len(classes[one].rows))
        strata[classes[name].rows] = kinds[name].strata(classes[name].values)
    _, held_out = split_rows(keys.tolist(), strata.tolist(), config.eval_fraction, config.seed)
    is_held_out = np.zeros(len(keys), dtype=np.bool_)
    is_held_out[held_out] = True
    for name, own in data.labels.items():
        if not is_held_out[own.rows].any():
            spared = _spared(kinds[name], own, keys)
            is_held_out[np.isin(keys, keys[spared])] = True
    for name, own in data.labels.items():
        found = [kinds[name].class_counts([value]).keys() for value in own.values]
        trained = [names for names, row in zip(found, own.rows, strict=True) if not is_held_out[row]]
        known = set[str]().union(*trained)
        for names, row in zip(found, own.rows, strict=True):
            if names - known:
                is_held_out[keys == keys[row]] = False
                known |= names
    return data.select(np.flatnonzero(~is_held_out)), data.select(np.flatnonzero(is_held_out))


def _spared(task: Task, own: Labels, keys: npt.NDArray[Any]) -> list[int]:
    """The first row of a task that has a label, and none that other texts lack; none where there is no such row."""
    named = [task.class_counts([value]).keys() for value in own.values]
    found = list(zip(keys[own.rows].tolist(), named, strict=True))
    for row, (key, names) in zip(own.rows.tolist(), found, strict=True):
        others = [theirs for other, theirs in found if other != key]
        if others and names <= set().union(*others):
            return [row]
    return []


def columns_of(config: TrainConfig) -> dict[str, TaskColumn]:
    """Where the labels of each task are."""
    own = {name: config.of_task(name) for name in config.all_tasks}
    return {name: TaskColumn(name, one.label, one.label_separator, one.text) for name, one in own.items()}


def read_evaluation(config: TrainConfig, kinds: dict[str, Task], names: dict[str, list[str]], notes: list[str]) -> Side:
    """The texts of the evaluation file that have a label for some task.

    Args:
        config: the run's settings.
        kinds: the tasks by name.
        names: the labels that each task knows.
        notes: where notes on the file are added.

    Raises:
        EncT5Error: for a file that cannot be used, or lacks a task's column.
    """
    assert config.eval is not None
    source, said = config.eval, data_name(config.eval)
    table = with_texts(reading.read_table(source, ReadOptions(config.delimiter, config.encoding)), config.text, said)
    texts, found = texts_of(table, config.text, source, kinds.values())
    labels, columns = {}, columns_of(config)
    for name, task in kinds.items():
        read = columns[name].labels(*columns[name].require(table, source), task, found)
        rows = read.rows.tolist()
        with naming(name):
            known, unknown = known_rows(
                LabelledTexts(rows, read.values, rows), task, names[name], said, config.skip_unknown_labels
            )
        notes += [f"{name}: {note}" for note in unknown]
        labels[name] = Labels(np.array(known.texts, dtype=np.int64), list(known.values))
    notes += [f"{said}: {note}" for note in found]
    side = Side(texts, labels)
    return side.select(np.unique(np.concatenate([own.rows for own in labels.values()])))
