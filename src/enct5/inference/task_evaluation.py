"""Measure a model of several tasks on a file that has labels for some or all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from enct5 import progress
from enct5.data import reading
from enct5.data.data_file import ReadOptions
from enct5.data.locating import data_name
from enct5.data.shaping import with_label_column, with_texts
from enct5.errors import EncT5Error
from enct5.inference.described import Described, text_columns
from enct5.tasks.labelled import LabelledTexts
from enct5.tasks.labelled_tasks import Labels, Side, TaskColumn, naming, texts_of
from enct5.tasks.multi_task import MultiTask
from enct5.tasks.unknown_labels import known_rows
from enct5.tokenization import unread

if TYPE_CHECKING:
    from enct5.inference.predictor import Predictor


@dataclass
class TaskRows:
    """Rows that were read to measure a model of several tasks.

    Attributes:
        side: the texts, and the labels that they have.
        notes: on the data.
    """

    side: Side
    notes: list[str]


def read_rows(
    model: "Predictor | Described",
    source: str,
    text: Sequence[str] | None = None,
    options: ReadOptions | None = None,
) -> TaskRows:
    """Read the rows to measure a model on.

    Args:
        model: the model, or what its folder says of it.
        source: file or hub dataset; a task whose column it lacks, or leaves without labels, is passed over, and a note
            says so.
        text: text column, or two for pairs; by default those of the training.
        options: what the user says of text files.

    Raises:
        EncT5Error: for data that does not fit the model, or none of whose columns has labels.
    """
    tasks = model.task
    assert isinstance(tasks, MultiTask)
    columns = text_columns(model, text)
    table = with_texts(reading.read_table(source, options), columns, source)
    texts, notes = texts_of(table, columns, source, [part.task for part in tasks.parts])
    labels = {}
    for part in tasks.parts:
        label = part.label or part.name
        with_column, _ = with_label_column(table, columns, label, source)
        if label not in with_column.column_names:
            notes.append(f"{part.name}: not measured, as there is no column {label}")
            continue
        column = TaskColumn(part.name, label, part.separator, columns)
        read, rows = column.read(table, source)
        if not rows:
            notes.append(f"{part.name}: not measured, as no row has a label in column {label}")
            continue
        labels[part.name] = column.labels(read, rows, part.task, notes)
    if not labels:
        wanted = ", ".join(part.label or part.name for part in tasks.parts)
        raise EncT5Error(f"{data_name(source)} has labels for none of the tasks; their columns are {wanted}")
    return TaskRows(Side(texts, labels), notes)


def evaluate(predictor: "Predictor", source: str, rows: TaskRows, skip_unknown_labels: bool = False) -> dict[str, Any]:
    """Measure a model on rows with labels for its tasks; texts are read once for all.

    Args:
        predictor: the model.
        source: where the rows came from.
        rows: as from `read_rows`.
        skip_unknown_labels: leave out rows of labels that a task does not know.

    Returns:
        As `evaluation.evaluate`, with `metrics` as `task.figure`, and in `tasks` for each task `task`, `rows`,
        `metrics` and `per_label`.

    Raises:
        EncT5Error: for labels that the model does not know.
    """
    tasks = predictor.task
    assert isinstance(tasks, MultiTask)
    notes, labels = list(rows.notes), {}
    for name, own in rows.side.labels.items():
        numbers = own.rows.tolist()
        with naming(name):
            known, found = known_rows(
                LabelledTexts(numbers, own.values, numbers),
                tasks[name].task,
                tasks[name].labels,
                data_name(source),
                skip_unknown_labels,
            )
        notes += [f"{name}: {note}" for note in found]
        labels[name] = Labels(np.array(known.texts, dtype=np.int64), list(known.values))
    before, texts = predictor.unread, rows.side.texts.texts
    with progress.bar("evaluating", total=len(texts)):
        logits = predictor.logits(texts)
    read = predictor.unread - before
    records: dict[str, dict[str, Any]] = {}
    for name, own in labels.items():
        part = tasks[name]
        outputs = logits[name]
        outputs = [outputs[row] for row in own.rows] if isinstance(outputs, list) else outputs[own.rows]
        encoded = part.task.encode(own.values, {label: index for index, label in part.id2label.items()})
        records[name] = {
            "task": part.task.name,
            "rows": len(own.rows),
            "metrics": part.task.metrics(outputs, encoded, part.labels, part.thresholds),
            "per_label": part.task.per_label(outputs, encoded, part.labels, part.thresholds),
        }
    return {
        "data": data_name(source),
        "rows": len(texts),
        "notes": [*notes, *unread.notes(read, "the texts", max_length=predictor.tokenizer.model_max_length)],
        "task": tasks.name,
        "metrics": {f"{name}.{key}": value for name, own in records.items() for key, value in own["metrics"].items()},
        "per_label": [],
        "tasks": records,
        "unread": read.record(),
    }
