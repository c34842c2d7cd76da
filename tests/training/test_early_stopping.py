"""A run ends when its score gets no better, and says so; an interrupted one ends where it would have."""

from pathlib import Path

import pytest
import torch

from helpers.runs import (
    Run,
    assert_same_weights,
    interrupt,
    interrupt_at_its_end,
    interrupted_behind_its_best,
    script_scores,
    start,
    weights,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def evaluations_in(said: list[str]) -> int:
    return sum(line.startswith("epoch ") for line in said)


def test_the_end_is_told_with_its_reason(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script_scores(monkeypatch, [0.5, 0.6, 0.6, 0.4])
    said: list[str] = []
    record = start(run.base, tmp_path / "run", run.source, said, patience=2)
    assert evaluations_in(said) == 4
    assert f"stopped early: no better evaluation than that of step {record['best_step']} since, --patience 2" in said


def test_a_whole_run_is_not_said_to_stop_early(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluations(name: str, patience: int) -> int:
        said.clear()
        script_scores(monkeypatch, [0.5])
        start(run.base, tmp_path / name, run.source, said, patience=patience)
        return evaluations_in(said)

    said: list[str] = []
    all_of_them = evaluations("patient", patience=100)
    assert evaluations("less patient", patience=all_of_them - 1) == all_of_them  # its end comes with the last one
    assert not [line for line in said if "stopped early" in line]


def test_patience_goes_on_where_it_was(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script_scores(monkeypatch, [0.5])
    whole = start(run.base, tmp_path / "whole", run.source, patience=4)
    script_scores(monkeypatch, [0.5])
    interrupt(run, tmp_path / "run", evaluation=5, patience=4)
    resumed = start(run.base, tmp_path / "run", run.source, patience=4, resume=True)
    assert resumed["steps"] == whole["steps"] < run.record["steps"]


def test_a_run_interrupted_after_it_stopped_is_finished_without_further_evaluations(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script_scores(monkeypatch, [0.5])
    whole = start(run.base, tmp_path / "whole", run.source, patience=4)
    interrupt_at_its_end(run, tmp_path / "run", monkeypatch, patience=4)
    script_scores(monkeypatch, [0.9])  # better, if it were looked at
    said: list[str] = []
    resumed = start(run.base, tmp_path / "run", run.source, said, patience=4, resume=True)
    assert (resumed["steps"], resumed["best_step"]) == (whole["steps"], whole["best_step"])
    assert evaluations_in(said) == 0
    assert_same_weights(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_the_best_checkpoint_is_found_where_the_run_folder_was_moved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, _ = interrupted_behind_its_best(run, tmp_path / "before", monkeypatch)
    moved = (tmp_path / "before").rename(tmp_path / "moved")
    kept = weights(moved / "checkpoints" / f"checkpoint-{best}")
    script_scores(monkeypatch, [0.4])
    said: list[str] = []
    record = start(run.base, moved, run.source, said, resume=True)
    assert record["best_step"] == best
    name = "transformer.encoder.embed_tokens.weight"
    assert torch.equal(weights(moved)[name], kept[name])
    assert not any("warning" in line for line in said)


def test_where_the_best_checkpoint_is_lost_the_result_is_the_best_of_the_rest(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, newest = interrupted_behind_its_best(run, tmp_path / "run", monkeypatch)
    checkpoints = tmp_path / "run" / "checkpoints"
    kept = weights(checkpoints / f"checkpoint-{newest}")
    (checkpoints / f"checkpoint-{best}" / "model.safetensors").unlink()
    script_scores(monkeypatch, [0.4])
    said: list[str] = []
    record = start(run.base, tmp_path / "run", run.source, said, resume=True)
    assert record["best_step"] == newest
    name = "transformer.encoder.embed_tokens.weight"
    assert torch.equal(weights(tmp_path / "run")[name], kept[name])
    (warning,) = [line for line in said if "warning: the best checkpoint" in line]
    assert f"of step {best}, lacks weights" in warning
    assert f"the best from step {newest} on" in warning


def test_where_the_best_checkpoint_is_lost_patience_starts_anew(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, _ = interrupted_behind_its_best(run, tmp_path / "run", monkeypatch, patience=4)
    (tmp_path / "run" / "checkpoints" / f"checkpoint-{best}" / "model.safetensors").unlink()
    script_scores(monkeypatch, [0.4])
    said: list[str] = []
    start(run.base, tmp_path / "run", run.source, said, patience=4, resume=True)
    assert evaluations_in(said) == 4
