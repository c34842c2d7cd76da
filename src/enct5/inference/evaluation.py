"""Measure a trained model on a file of labelled texts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5 import progress
from enct5.data import reading
from enct5.data.columns import check_columns
from enct5.data.data_file import ReadOptions
from enct5.data.locating import data_name
from enct5.data.shaping import with_labels
from enct5.errors import EncT5Error
from enct5.files.writing import write_text
from enct5.inference import task_evaluation
from enct5.inference.described import Described, text_columns
from enct5.inference.task_evaluation import TaskRows
from enct5.metrics.classification import abstention_metrics
from enct5.tasks.base import check_abstention
from enct5.tasks.labelled import LabelledTexts, notes_on_numbers, read_labelled
from enct5.tasks.multi_task import MultiTask
from enct5.tasks.unknown_labels import known_rows
from enct5.tokenization import unread

if TYPE_CHECKING:
    from enct5.inference.predictor import Predictor


@dataclass
class Rows:
    """Labelled rows that were read to measure a model.

    Attributes:
        labelled: the rows.
        notes: on the data, as in `enct5.data.notes`.
    """

    labelled: LabelledTexts
    notes: list[str]


def read_rows(
    model: "Predictor | Described",
    source: str,
    text: Sequence[str] | None = None,
    label: str | None = None,
    abstain_below: float | None = None,
    label_separator: str | None = None,
    options: ReadOptions | None = None,
) -> Rows | TaskRows:
    """Read the rows to measure a model on, and refuse those that do not fit it.

    Args:
        model: the model, or what its folder says of it.
        source: file or hub dataset.
        text: as for `evaluate`.
        label: likewise.
        abstain_below: likewise.
        label_separator: likewise.
        options: what the user says of text files.

    Raises:
        EncT5Error: as `evaluate`.
    """
    if abstain_below is not None:
        check_abstention(model.task, abstain_below)
    if isinstance(model.task, MultiTask):
        if label is not None or label_separator is not None:
            raise EncT5Error(
                f"this model does {model.task.description}, whose label columns are those of the training; leave out "
                "`label` (--label) and `label_separator` (--label-separator)"
            )
        return task_evaluation.read_rows(model, source, text, options)
    columns = text_columns(model, text)
    trained = model.config
    label = label or (trained.label if trained else None)
    if label is None:
        raise EncT5Error("the model does not say which label column it was trained with; name it with --label")
    separator = label_separator if label_separator is not None else trained.label_separator if trained else None
    table = reading.read_table(source, options)
    table, shaped = with_labels(table, columns, label, separator, source)
    cells = check_columns(table, source, columns, label, separator, model.task.inputs.takes_words)
    labelled, notes = read_labelled(cells, source, columns, label, model.task, separator)
    return Rows(labelled, [*shaped, *notes_on_numbers(cells, label, model.task), *notes])


def evaluate(  # noqa: PLR0913  # what a user may say of the data
    predictor: "Predictor",
    source: str,
    text: Sequence[str] | None = None,
    label: str | None = None,
    abstain_below: float | None = None,
    label_separator: str | None = None,
    rows: Rows | TaskRows | None = None,
    skip_unknown_labels: bool = False,
) -> dict[str, Any]:
    """Measure a model on labelled data.

    Args:
        predictor: the model.
        source: file or hub dataset.
        text: text column, or two for pairs; by default those of the training.
        label: label column; by default that of the training.
        abstain_below: also measure predictions that are withheld where their score is lower (single-label only).
        label_separator: what separates the labels in one text; by default that of the training.
        rows: those of the source, where they have been read already (`read_rows`).
        skip_unknown_labels: leave out rows of labels that the model does not know, which a note tells.

    Returns:
        `data`, `rows`, `notes` on the data, `task`, `metrics` and `per_label`; and what of the texts the model did not
        read (`unread`, as in `enct5.tokenization.unread`). Of a model of several tasks as `task_evaluation.evaluate`.

    Raises:
        EncT5Error: for data that does not fit the model.
    """
    rows = rows or read_rows(predictor, source, text, label, abstain_below, label_separator)
    if isinstance(rows, TaskRows):
        return task_evaluation.evaluate(predictor, source, rows, skip_unknown_labels)
    task, config = predictor.task, predictor.model.config
    names = [config.id2label[index] for index in range(config.num_labels)]
    labelled, unknown = known_rows(rows.labelled, task, names, data_name(source), skip_unknown_labels)
    rows = Rows(labelled, rows.notes + unknown)
    labels = task.encode(rows.labelled.values, config.label2id)
    before = predictor.unread
    with progress.bar("evaluating", total=len(rows.labelled)):
        logits = predictor.logits(rows.labelled.texts)
    read = predictor.unread - before
    figures = task.metrics(logits, labels, names, config.thresholds)
    if abstain_below is not None:
        figures |= abstention_metrics(task.scores(logits), labels, abstain_below)
    return {
        "data": data_name(source),
        "rows": len(rows.labelled),
        "notes": [*rows.notes, *unread.notes(read, "the texts", max_length=predictor.tokenizer.model_max_length)],
        "task": task.name,
        "metrics": figures,
        "per_label": task.per_label(logits, labels, names, config.thresholds),
        "unread": read.record(),
    }


def write_json(record: dict[str, Any], path: Path) -> None:
    """Write a record, whole or not at all.

    Raises:
        EncT5Error: when the file cannot be written.
    """
    write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", path)
