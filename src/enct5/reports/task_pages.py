"""Report and model card of a run of several tasks: a page that shows all of them, and one for each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enct5.model.folder import REPORT, REPORT_OF_A_TASK
from enct5.reports import rendering, training_report
from enct5.reports.model_card import CARD, front_matter, name_of
from enct5.tasks.multi_task import MultiTask
from enct5.tasks.registry import find_task


def write_report(
    record: dict[str, Any],
    settings: training_report.Settings,
    tasks: MultiTask,
    rows: Mapping[str, list[dict[str, Any]]],
    evaluated: Mapping[str, tuple[Any, Any]],
    folder: Path,
) -> None:
    """Write `report.html`, and beside it a report for each task.

    Args:
        record: The run's record, as in its metrics.json.
        settings: The run's settings, as they are published.
        tasks: The tasks that were learned.
        rows: By task the texts of the evaluation split that have a label for it, a column each.
        evaluated: By task the model's outputs for these, and the right answers.
        folder: The run folder.
    """
    pages = {}
    for part in tasks.parts:
        pages[part.name] = REPORT_OF_A_TASK.format(part.name)
        own = record_of_task(record, part.name)
        training_report.write(
            own, settings, part.task, rows[part.name], *evaluated[part.name], folder / pages[part.name]
        )
    page = rendering.render(
        "tasks_report.html.jinja",
        record=record,
        kinds={name: find_task(own["task"]) for name, own in record["tasks"].items()},
        pages=pages,
        curves=training_report.curves(record, tasks),
        settings=training_report.shown_settings(settings, record),
    )
    (folder / REPORT).write_text(page, encoding="utf-8")


def record_of_task(record: dict[str, Any], name: str) -> dict[str, Any]:
    """What the record of a run of several tasks says of one, as that of a run of it alone."""
    own = record["tasks"][name]
    prefix = f"eval_{name}."
    history = [
        {(f"eval_{key[len(prefix) :]}" if key.startswith(prefix) else key): value for key, value in entry.items()}
        for entry in record["history"]
    ]
    data = {**record["data"], **{key: own[key] for key in ("label", "train_rows", "eval_rows", "class_counts")}}
    data["notes"] = [note for note in data["notes"] if note.startswith(f"{name}: ")]
    return {**record, **own, "task": own["task"], "data": data, "history": history, "name": name}


def write_card(record: dict[str, Any], folder: Path) -> None:
    """Write the model card; it names and counts the training data, and never holds texts of it.

    Args:
        record: The run's record, as in its metrics.json.
        folder: The run folder.
    """
    card = rendering.render(
        "tasks_card.md.jinja",
        front_matter=front_matter(record, "feature-extraction", "multi-task"),
        name=name_of(record),
        kinds={name: find_task(own["task"]) for name, own in record["tasks"].items()},
        pair=len(record["data"]["text"]) == 2,
        **record,
    )
    (folder / CARD).write_text(card, encoding="utf-8")


def write_merged_card(record: dict[str, Any], tasks: Sequence[Mapping[str, Any]], pair: bool, folder: Path) -> None:
    """Write the card of a model that was joined of several runs.

    Args:
        record: What is known of it, as in its metrics.json.
        tasks: Its tasks, as its configuration has them.
        pair: Whether it reads pairs of texts.
        folder: Its folder.
    """
    card = rendering.render(
        "merged_card.md.jinja",
        kinds={values["name"]: find_task(values["problem_type"]) for values in tasks},
        columns={values["name"]: values.get("label_column") for values in tasks},
        pair=pair,
        **record,
    )
    (folder / CARD).write_text(card, encoding="utf-8")
