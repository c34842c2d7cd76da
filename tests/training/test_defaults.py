"""Settings that follow from the data and the base."""

import pytest

from enct5.tasks.registry import TASKS
from enct5.training import defaults
from enct5.training.config import TrainConfig
from helpers.runs import Run

pytestmark = pytest.mark.usefixtures("one_thread")
SINGLE = TASKS["single_label_classification"]


def test_defaults_follow_from_data_and_base(run: Run) -> None:
    config = TrainConfig.checked(data=run.source, text=("text",), label="label", out="unused")
    rates = [defaults.resolve(config, SINGLE, width, 60).learning_rate for width in (32, 256, 768)]
    assert rates == pytest.approx([0.01, 0.01, 0.0019], rel=0.02)
    epochs = [defaults.resolve(config, SINGLE, 256, rows).epochs for rows in (50, 420, 1000, 16_000, 67_000)]
    assert epochs == [160, 20, 19, 3, 3]
    assert defaults.resolve(config.model_copy(update={"epochs": 0.5}), SINGLE, 256, 10).epochs == 0.5  # as given
