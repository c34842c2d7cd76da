"""Where training makes nothing better, the result is the model before it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from enct5 import training
from enct5.training.config import TrainConfig
from enct5.training.run import build_model
from enct5.training.trainer import FEWEST_TO_CHOOSE_BY, FEWEST_TO_COMPARE_BY
from helpers.runs import Run, heard, messages, numbers
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(out: Path, base: Path, rows: list[dict[str, Any]], held_out: list[dict[str, Any]], **options: Any) -> Any:
    out.mkdir()
    config = {"epochs": 2, "batch_size": 16, "max_length": 32} | options
    made: list[Any] = []

    def kept(*args: Any, **kwargs: Any) -> Any:
        made.append(build_model(*args, **kwargs))
        return made[-1]

    record = training.train(
        TrainConfig.checked(
            data=write_rows(out / "train.jsonl", rows),
            eval=write_rows(out / "test.jsonl", held_out),
            text=("text",),
            label="label",
            base=str(base),
            out=str(out / "run"),
            **config,
        ),
        build=kept,
    )
    return record, load_file(out / "run" / "model.safetensors")


def test_a_regression_that_training_spoils_is_the_linear_fit(run: Run, tmp_path: Path) -> None:
    rows, others = numbers(90), numbers(60)
    said: list[str] = []
    with heard(said.append):
        spoilt, weights = trained(tmp_path / "spoilt", run.base, rows, others, learning_rate=0.5)
    _, untrained = trained(tmp_path / "still", run.base, rows, others, learning_rate=1e-12)
    assert (spoilt["best_step"], spoilt["history"][0]["step"]) == (0, 0)
    assert "training made nothing better by the evaluation texts: the result is the model before it" in said
    for name, tensor in untrained.items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-6, rtol=0)
    evaluations = [entry["eval_rmse"] for entry in spoilt["history"] if "eval_rmse" in entry]
    assert evaluations[0] == min(evaluations)
    assert spoilt["metrics"]["rmse"] == pytest.approx(evaluations[0], rel=1e-4)


def test_a_base_that_does_the_task_already_is_not_made_worse(run: Run, tmp_path: Path) -> None:
    rows, others = messages(60, 3), messages(60, 4)
    record, weights = trained(tmp_path / "more", run.out, rows, others, learning_rate=0.5)
    before = load_file(run.out / "model.safetensors")
    scores = [entry["eval_macro_f1"] for entry in record["history"] if "eval_macro_f1" in entry]
    assert (record["best_step"], scores[0]) == (0, max(scores))
    below = {name: tensor for name, tensor in before.items() if not name.startswith("classifier.")}  # has a temperature
    assert all(torch.equal(weights[name], tensor) for name, tensor in below.items())


def test_training_that_helps_is_the_same_as_ever(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, others = numbers(90), numbers(60)
    better, weights = trained(tmp_path / "a", run.base, rows, others, epochs=8)
    assert better["best_step"] > 0
    monkeypatch.setattr("enct5.training.trainer.StartingPoint.__init__", lambda *args: None)
    monkeypatch.setattr("enct5.training.trainer.StartingPoint.keep_if_better", lambda *args: None)
    alone, others_weights = trained(tmp_path / "b", run.base, rows, others, epochs=8)
    assert alone["best_step"] == better["best_step"]
    assert all(torch.equal(weights[name], tensor) for name, tensor in others_weights.items())


def test_few_evaluation_texts_compare_the_start_with_the_end(run: Run, tmp_path: Path) -> None:
    few = numbers(FEWEST_TO_CHOOSE_BY - 1)
    record, _ = trained(tmp_path / "spoilt", run.base, numbers(90), few, learning_rate=0.5)
    assert record["best_step"] == 0
    assert record["metrics"]["rmse"] == pytest.approx(record["history"][0]["eval_rmse"], rel=1e-4)
    record, _ = trained(tmp_path / "better", run.base, numbers(90), few, epochs=16)
    assert record["best_step"] is None
    assert record["metrics"]["rmse"] < record["history"][0]["eval_rmse"]


def test_still_fewer_compare_nothing(run: Run, tmp_path: Path) -> None:
    few = numbers(FEWEST_TO_COMPARE_BY - 1)
    record, _ = trained(tmp_path / "few", run.base, numbers(90), few, learning_rate=0.5)
    assert record["best_step"] is None
    assert record["history"][0]["step"] > 0
