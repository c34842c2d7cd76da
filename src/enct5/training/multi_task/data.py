"""The data of a run of several tasks: texts read once, of which each task has labels for some."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.data import reading
from enct5.data.data_file import ReadOptions
from enct5.data.locating import data_name
from enct5.data.notes import in_rows
from enct5.data.shaping import with_texts
from enct5.errors import EncT5Error
from enct5.tasks.base import Task
from enct5.tasks.labelled import infer_task
from enct5.tasks.labelled_tasks import Side, Texts, naming, texts_of
from enct5.tasks.multi_task import MultiTask, NamedTask
from enct5.tasks.notes import without_evaluation
from enct5.training.config import TrainConfig
from enct5.training.data import Rows, check_options, encoded, log_counts, prompts_of
from enct5.training.multi_task.splitting import columns_of, read_evaluation, split
from enct5.training.splitting import Split

if TYPE_CHECKING:
    from enct5.training.known_labels import KnownLabels

logger = logging.getLogger(__name__)
Array = npt.NDArray[Any]


@dataclass
class TaskRows:
    """The texts of a run of several tasks, checked and split; nothing is tokenised yet.

    Attributes:
        task: the tasks.
        train: the texts to train on.
        held_out: those to judge by.
        said: what was held out, in words.
        shared: how many texts of an evaluation file are training texts, too.
        parts: for each task by its name what a run of it alone would have.
        places: for each task the places in `train` and in `held_out` of the rows that have a label for it.
        notes: on the texts.
    """

    task: MultiTask
    train: Texts
    held_out: Texts
    said: str
    shared: int
    parts: dict[str, Rows]
    places: dict[str, tuple[Array, Array]]
    notes: list[str]


def read_task_rows(config: TrainConfig, of_base: "Mapping[str, KnownLabels] | None" = None) -> TaskRows:
    """Read, check and split the data of a run of several tasks, and log what was found.

    Args:
        config: the run's settings.
        of_base: by task the labels that others are added to, if any.

    Raises:
        EncT5Error: for data that cannot be used, or settings that do not suit it; the message names the task.
    """
    notes: list[str] = []
    of_base = of_base or {}
    kinds, data = _read(config, of_base, notes)
    names, counts = {}, {}
    for name, task in kinds.items():
        values = data.labels[name].values
        with naming(name):
            names[name] = of_base[name].with_those_of(values) if name in of_base else task.label_names(values)
        counts[name] = task.class_counts(values)
        known = len(counts[name]) or len(names[name])
        logger.info(f"task {name}: {task.description}, {known} labels, {len(values)} of {len(data.texts.texts)} texts")
        log_counts(f"{name}: {task.counted} a label", counts[name])
        notes += [f"{name}: {note}" for note in task.doubts(values)]
    data = _without_unlabelled(data, notes)
    if config.eval is None:
        train, held_out = split(config, kinds, data)
        said = f"{len(held_out.texts.texts)} rows held out of {data_name(config.data)} (seed {config.seed})"
        logger.info(f"evaluation: {said}")
    else:
        train, held_out, said = data, read_evaluation(config, kinds, names, notes), data_name(config.eval)
    shared = int(np.isin(held_out.texts.keys, train.texts.keys).sum())
    parts = {}
    for name, task in kinds.items():
        with naming(name):
            parts[name] = _part(config.of_task(name), name, task, names[name], counts[name], (train, held_out), said)
        notes += [f"{name}: {note}" for note in parts[name].notes]
    if shared:
        notes.append(
            f"{shared} of the {len(held_out.texts.texts)} evaluation texts are training texts, too, which makes the "
            "figures too good; evaluate on texts that training does not see (--eval)"
        )
    return TaskRows(
        task=MultiTask([NamedTask(name, kinds[name], dict(enumerate(names[name]))) for name in kinds]),
        train=train.texts,
        held_out=held_out.texts,
        said=said,
        shared=shared,
        parts=parts,
        places={name: (train.labels[name].rows, held_out.labels[name].rows) for name in kinds},
        notes=notes,
    )


def _read(config: TrainConfig, of_base: "Mapping[str, KnownLabels]", notes: list[str]) -> tuple[dict[str, Task], Side]:
    """The tasks by name, and the texts and labels of the data."""
    table = reading.read_table(config.data, ReadOptions(config.delimiter, config.encoding))
    table = with_texts(table, config.text, config.data)
    columns = columns_of(config)
    read = {name: column.require(table, config.data) for name, column in columns.items()}
    kinds: dict[str, Task] = {}
    for name, (with_column, rows) in read.items():
        if name in of_base:
            kinds[name] = of_base[name].task
            continue
        own, said = config.of_task(name), list[str]()
        with naming(name):
            cells = with_column[own.label][:]
            labelled = {own.label: [cells[row] for row in rows]}
            kinds[name] = infer_task(labelled, own.label, own.task, own.label_separator, said.append)
        notes += [f"{name}: {reason}" for reason in said]
    _check_kinds(config, kinds)
    texts, found = texts_of(table, config.text, config.data, kinds.values())
    notes += found
    return kinds, Side(texts, {name: columns[name].labels(*read[name], task, notes) for name, task in kinds.items()})


def _check_kinds(config: TrainConfig, kinds: dict[str, Task]) -> None:
    """Refuse settings that belong to other kinds of task."""
    tags = [name for name, task in kinds.items() if task.inputs.windowed]
    if tags and len(config.text) == 2:
        raise EncT5Error(f"task {tags[0]}: tagging tokens reads one text column, not two; name one with --text")
    if config.token_decoder and not tags:
        raise EncT5Error("--token-decoder goes with a task that tags tokens; leave it out")
    for name, task in kinds.items():
        with naming(name):
            check_options(config.of_task(name).model_copy(update={"token_decoder": False}), task)
    if config.label_prompts == "names" and not any(task.prompt_per_label for task in kinds.values()):
        raise EncT5Error("--label-prompts names goes with a task of several labels a text; leave it out")


def _without_unlabelled(data: Side, notes: list[str]) -> Side:
    """The texts that have a label for some task."""
    kept = np.unique(np.concatenate([own.rows for own in data.labels.values()]))
    unlabelled = np.setdiff1d(np.arange(len(data.texts.texts)), kept).tolist()
    if not unlabelled:
        return data
    notes.append(f"no task has a label in {in_rows(unlabelled)}, left out")
    return data.select(kept)


def _part(
    config: TrainConfig,
    name: str,
    task: Task,
    names: list[str],
    counts: dict[str, int],
    sides: tuple[Side, Side],
    said: str,
) -> Rows:
    """What a run of one of the tasks alone would have."""
    for what, side in zip(("training", "evaluation"), sides, strict=True):
        if not side.labels[name].values:
            raise EncT5Error(
                f"none of the {what} rows has a label for it; give more rows with one, or evaluation data (--eval)"
            )
    train, held_out = (side.labelled(name) for side in sides)
    rows = (sides[0].labels[name].rows, sides[1].labels[name].rows)
    parts = Split(train, held_out, rows, said, 0, task.class_counts(held_out.values))
    notes = without_evaluation(counts, parts.counts, task.counted)
    prompts = prompts_of(config, task, names) if task.prompt_per_label else None
    return encoded(config, task, names, counts, parts, prompts, notes)
