"""What a finished run of several tasks records of each, and the pages that show them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from enct5.reports import task_pages
from enct5.training.config import TrainConfig
from enct5.training.multi_task.figures import TasksFigures
from enct5.training.multi_task.prepared import TasksData


def record_of_tasks(prepared: TasksData, settings: TrainConfig, figures: TasksFigures) -> dict[str, Any]:
    """What metrics.json says of each task."""
    return {
        name: {
            "task": part.rows.task.name,
            "label": settings.all_tasks[name].label,
            "loss_weight": part.loss_weight,
            "train_rows": len(part.places[0]),
            "eval_rows": len(part.places[1]),
            "class_counts": part.rows.counts,
            **figures.parts[name].record(),
        }
        for name, part in prepared.parts.items()
    }


def write_pages(
    record: dict[str, Any],
    prepared: TasksData,
    figures: TasksFigures,
    settings: Sequence[tuple[str, Any, str | None]],
    texts: Sequence[dict[str, Any]],
    folder: Path,
) -> None:
    """Write the model card and the reports.

    Args:
        record: the run's record.
        prepared: its data.
        figures: what the model does with it.
        settings: the run's settings, as they are published.
        texts: the evaluation texts, a row of a table each.
        folder: the run folder.
    """
    task_pages.write_card(record, folder)
    rows = {name: [texts[place] for place in part.places[1]] for name, part in prepared.parts.items()}
    evaluated = {name: (figures.parts[name].logits, part.rows.labels) for name, part in prepared.parts.items()}
    task_pages.write_report(record, settings, prepared.task, rows, evaluated, folder)
