"""The report of a training run: one HTML page of figures, curves, mistakes and settings that needs no network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from enct5.metrics.classification import AT_DEFAULT
from enct5.reports import rendering
from enct5.reports.charts import curves, reliability_diagram, scatter
from enct5.reports.figures import meaning
from enct5.tasks.base import Task
from enct5.tasks.details import Evaluated

Array = npt.NDArray[Any]
Settings = Sequence[tuple[str, Any, str | None]]
_MOST_CHARACTERS = 1500  # of a text that is shown


def write(
    record: dict[str, Any],
    settings: Settings,
    task: Task,
    rows: Sequence[dict[str, Any]],
    logits: Array,
    labels: Array,
    file: Path,
) -> None:
    """Write the report of a training run.

    Args:
        record: The run's record, as in its metrics.json.
        settings: The run's settings, as they are published: name, value and description.
        task: The task that was learned.
        rows: The texts of the evaluation split, a column each.
        logits: The model's outputs for `rows`, in their order.
        labels: The right answers, in the order of `rows`, as the task encodes them.
        file: The page; `REPORT` in the run folder.
    """
    evaluation = Evaluated(rows, logits, task.scores(logits), labels, record["per_label"])
    # the checkpoint was chosen before the thresholds were tuned
    at_default = task.metric_for_best_model + AT_DEFAULT
    tuned = at_default in record["metrics"]
    details = task.details(evaluation)
    page = rendering.render(
        "report.html.jinja",
        record=record,
        task=task,
        chosen_by=at_default if tuned else task.metric_for_best_model,
        tuned=tuned,
        meaning=meaning,
        curves=curves(record, task),
        details=details,
        scatters=[scatter(points.truth, points.values, points.title) for points in details.scatters],
        reliability=details.reliability and reliability_diagram(*details.reliability),
        # the weakest labels first, because they are what a reader can act on; those never seen say nothing
        per_label=sorted(record["per_label"], key=lambda entry: (entry["support"] == 0, entry["f1"])),
        most_counted=max(record["data"]["class_counts"].values(), default=0),
        settings=shown_settings(settings, record),
        trials=_best_first(record.get("trials", []), task),
        searched=[name for name in (record.get("trials") or [{}])[0] if name in {setting[0] for setting in settings}],
        most_characters=_MOST_CHARACTERS,
    )
    file.write_text(page, encoding="utf-8")


def _best_first(trials: list[dict[str, Any]], task: Task) -> list[dict[str, Any]]:
    """A search's trials, those completed before those stopped, which had no chance to show their best."""
    sign = -1 if task.greater_is_better else 1
    return sorted(
        trials, key=lambda trial: (trial["outcome"] != "complete", trial["score"] is None, sign * (trial["score"] or 0))
    )


def shown_settings(settings: Settings, record: dict[str, Any]) -> Settings:
    """The settings that mean something for a run, with their values in words."""
    return [
        (name, _setting(value), description)
        for name, value, description in settings
        if name != "patience" or record["best_step"] is not None  # nothing waits where too few texts choose
    ]


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "not set" if value is None else str(value)
