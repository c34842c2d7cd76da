"""The figure that chooses the checkpoint of several tasks."""

import numpy as np
import pytest

from enct5.tasks.multi_task import MultiTask, NamedTask
from enct5.tasks.regression import REGRESSION
from enct5.tasks.single_label import SINGLE_LABEL

LABELS = {"intent": np.array([0, 1, 0, 1]), "urgency": np.array([1.0, 2.0, 3.0, 4.0])}
RIGHT = np.array([[2.0, 0], [0, 2.0], [2.0, 0], [0, 2.0]])
WRONG = RIGHT[:, ::-1]


def mean(intent: np.ndarray, urgency: list[float]) -> float:
    task = MultiTask(
        [NamedTask("intent", SINGLE_LABEL, {0: "a", 1: "b"}), NamedTask("urgency", REGRESSION, {0: "value"})]
    )
    return task.metrics({"intent": intent, "urgency": np.array(urgency)[:, None]}, LABELS, [], None)["mean"]


def test_numbers_that_are_far_off_do_not_drown_the_other_tasks() -> None:
    assert mean(RIGHT, [900.0, -900.0, 900.0, -900.0]) == pytest.approx(0.5)
    assert mean(WRONG, [900.0, -900.0, 900.0, -900.0]) == pytest.approx(0)
    assert mean(RIGHT, [50.0, -50.0, 50.0, -50.0]) > mean(WRONG, [2.5, 2.5, 2.5, 2.5])


def test_numbers_count_by_how_small_their_error_is() -> None:
    near, scaled = [1.1, 2.1, 2.9, 4.1], [2.0, 4.0, 6.0, 8.0]  # the latter correlate perfectly
    assert mean(RIGHT, near) > mean(RIGHT, scaled)
    assert mean(RIGHT, [1.0, 2.0, 3.0, 4.0]) == pytest.approx(1)
