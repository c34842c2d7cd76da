"""Settings that follow from the data and the base."""

from pathlib import Path

import pytest

from enct5.errors import EncT5Error
from enct5.tasks.base import Task
from enct5.tasks.registry import TASKS
from enct5.training import defaults
from enct5.training.config import TrainConfig
from helpers.models import random_model
from helpers.runs import Run

pytestmark = pytest.mark.usefixtures("one_thread")
SINGLE, TOKENS = TASKS["single_label_classification"], TASKS["token_classification"]


def test_defaults_follow_from_data_and_base(run: Run) -> None:
    config = TrainConfig.checked(data=run.source, text=("text",), label="label", out="unused")
    rates = [defaults.resolve(config, SINGLE, width, 60).learning_rate for width in (32, 256, 768)]
    assert rates == pytest.approx([0.01, 0.01, 0.0019], rel=0.02)
    epochs = [defaults.resolve(config, SINGLE, 256, rows).epochs for rows in (50, 420, 1000, 16_000, 67_000)]
    assert epochs == [160, 20, 19, 3, 3]
    assert defaults.resolve(config.model_copy(update={"epochs": 0.5}), SINGLE, 256, 10).epochs == 0.5  # as given


def lengths(base: Path, task: Task = SINGLE, **given: int) -> tuple[int | None, int | None]:
    config = TrainConfig.checked(data="x.csv", text=("text",), label="label", out="unused", **given)
    found = defaults.with_lengths(config, task, str(base))
    return found.window, found.max_length


def test_how_much_of_a_text_is_read_follows_from_the_window(run: Run, tmp_path: Path) -> None:
    assert lengths(run.base) == (512, 4096)
    assert lengths(run.base, window=128) == (128, 4096)
    assert lengths(run.base, window=0) == (0, 512)  # every token attends to every other, whose number is the square
    assert lengths(run.base, window=0, max_length=900) == (0, 900)
    assert lengths(run.base, max_length=100) == (512, 100)
    assert lengths(run.base, TOKENS) == (None, 512)
    assert lengths(run.base, TOKENS, max_length=64) == (None, 64)
    with pytest.raises(
        EncT5Error, match="--window is for labels of whole texts; texts whose tokens have labels are read in"
    ):
        lengths(run.base, TOKENS, window=128)


def test_a_base_that_is_enct5_keeps_its_window(run: Run, tmp_path: Path) -> None:
    assert lengths(run.out) == (512, 4096)
    for own, wanted in ((64, (64, 4096)), (None, (0, 512))):
        model = random_model(num_labels=3, encoder_window=own)
        model.save_pretrained(tmp_path / str(own))
        assert lengths(tmp_path / str(own)) == wanted
        assert lengths(tmp_path / str(own), window=256) == (256, 4096)
        assert lengths(tmp_path / str(own), TOKENS) == (None, 512)
