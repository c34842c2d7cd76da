"""Every figure of a run has its meaning beside it, and no meaning lacks a figure."""

import numpy as np

from enct5.metrics.entities import entity_metrics
from enct5.reports.figures import MEANINGS, meaning
from enct5.tasks.registry import TASKS


def test_every_figure_of_every_task_has_a_meaning() -> None:
    logits, several = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)
    figures = {
        *TASKS["single"].metrics(logits, np.array([0, 1]), ["a", "b"], None),
        *TASKS["multi"].metrics(logits, several, ["a", "b"], None),
        *TASKS["regression"].metrics(logits[:, :1], np.array([0.5, 1.0]), ["value"], None),
        *entity_metrics([[]], [[]]),
    }
    assert figures == set(MEANINGS)
    assert all(meaning(figure) for figure in figures)


def test_figures_at_the_default_threshold_are_told_apart() -> None:
    tuned = TASKS["multi"].metrics(np.eye(2, dtype=np.float32), np.eye(2), ["a", "b"], [0.3, 0.4])
    assert len(tuned) == 6
    assert {name for name in tuned if meaning(name).startswith("the same")} == {
        name for name in tuned if name.endswith("_at_0.5")
    }
