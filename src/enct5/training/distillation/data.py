"""The texts of a distillation, and the labels that some of them have: read and checked before torch is imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.data import reading
from enct5.data.cells import has_label
from enct5.data.columns import check_columns, check_names, read_texts, rejected
from enct5.data.data_file import ReadOptions
from enct5.data.lazy_columns import taken
from enct5.data.shaping import with_label_column, with_texts
from enct5.errors import EncT5Error, show, unknown
from enct5.tasks.base import Task
from enct5.tasks.labelled import label_values, notes_on_numbers
from enct5.tasks.multi_task import MultiTask
from enct5.training.distillation.config import DistillConfig

if TYPE_CHECKING:
    from datasets import Dataset

    from enct5.inference.described import Described
    from enct5.inference.predictor import Predictor


@dataclass
class Part:
    """The texts of a table, and the labels that some of them have.

    Attributes:
        texts: strings, pairs of strings, or lists of words.
        labelled: which of them have a label, bool (texts,).
        values: the labels of those, as the task takes them.
        notes: on how they are read.
    """

    texts: Sequence[Any]
    labelled: npt.NDArray[np.bool_]
    values: list[Any]
    notes: Sequence[str] = ()


@dataclass
class Texts:
    """What a student learns from and, where there is a file of it, what it is judged by."""

    train: Part
    evaluation: Part | None


def read_distillation_texts(config: DistillConfig, teacher: "Predictor | Described") -> Texts:
    """Read the rows of a distillation, and refuse those that do not fit its teacher.

    Args:
        config: the run's settings.
        teacher: the teacher, or what its folder says of it.

    Raises:
        EncT5Error: for data that cannot be used, or settings that do not suit the teacher.
    """
    task = teacher.task
    _check_columns(config, task, () if teacher.config is None else teacher.config.text)
    if task.fit_scaler is not None and not config.is_default("temperature"):
        raise EncT5Error(f"--temperature softens probabilities, and the teacher does {task.description}; leave it out")
    train = _read(config.data, config, task, must_have_labels=True)
    return Texts(train, None if config.eval is None else _read(config.eval, config, task, must_have_labels=False))


def _check_columns(config: DistillConfig, task: Task, trained_on: Sequence[str]) -> None:
    """Refuse teachers of several tasks, and pairs for one of single texts, and the other way round."""
    if isinstance(task, MultiTask):
        raise EncT5Error(f"the teacher {config.teacher} does {task.description}; take one that does one of them alone")
    if len(config.text) == 2 and task.inputs.takes_words:
        raise EncT5Error("tagging tokens reads one text column, not two; name one with --text")
    if trained_on and len(trained_on) != len(config.text):
        kinds = {1: "single texts", 2: "pairs of texts"}
        raise EncT5Error(
            f"the teacher was trained on {kinds[len(trained_on)]} ({', '.join(map(show, trained_on))}), and --text "
            f"names {len(config.text)} column{'s' if len(config.text) > 1 else ''}; name {len(trained_on)}"
        )


def _has_labels(table: "Dataset", label: str, source: str) -> bool:
    """Whether a table has the label column, or one of several."""
    names = [label, *(name.strip() for name in label.split(","))]
    return not set(names).isdisjoint(with_texts(table, names, source).column_names)


def _read(source: str, config: DistillConfig, task: Task, must_have_labels: bool) -> Part:
    table = reading.read_table(source, ReadOptions(config.delimiter, config.encoding))
    table = with_texts(table, config.text, source)
    if config.label is not None and (must_have_labels or _has_labels(table, config.label, source)):
        table, _ = with_label_column(table, config.text, config.label, source)
    columns = check_columns(table, source, config.text, None, takes_words=task.inputs.takes_words)
    texts = read_texts(columns, config.text)
    none = np.zeros(len(table), dtype=np.bool_)
    label, separator = config.label, config.label_separator
    if label is None or (label not in table.column_names and not must_have_labels):
        return Part(texts, none, [])
    if label not in table.column_names:
        raise unknown("column", label, table.column_names, source)
    check_names(table, source, [*config.text, label])
    columns[label] = table[label][:]
    labelled = np.array([has_label(value, separator) for value in columns[label]])
    labelled[rejected(table, [*config.text, label])] = False
    if not labelled.any():
        if must_have_labels:
            raise EncT5Error(f"column {show(label)} of {source} has no label in any row; leave out --label")
        return Part(texts, none, [])
    rows = np.flatnonzero(labelled)
    try:
        with_label = {name: taken(cells, rows) for name, cells in columns.items()}
        values = label_values(with_label, label, task, separator, config.text)
    except EncT5Error as error:
        if labelled.all():
            raise
        raise EncT5Error(f"{error} (of the {len(rows)} rows with a label, which alone are counted)") from error
    return Part(texts, labelled, values, notes_on_numbers(with_label, label, task))
