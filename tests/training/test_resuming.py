"""An interrupted run goes on where it was, with its own settings and data only."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset

from enct5.errors import EncT5Error
from enct5.training.resuming import RECORD
from helpers.runs import (
    LABELS,
    RUN_FILES,
    Run,
    assert_same_weights,
    interrupt,
    interrupt_at_its_end,
    interrupted_behind_its_best,
    messages,
    numbers,
    several_labels,
    start,
    steps_of,
    weights,
)
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")


def test_changed_descriptions_are_not_resumed_with(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "multi.jsonl", several_labels())
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(dict.fromkeys(LABELS, "words")), encoding="utf-8")
    here = Run.__new__(Run)
    here.base, here.source = run.base, source
    interrupt(here, tmp_path / "run", evaluation=2, label_descriptions=str(file))
    file.write_text(json.dumps(dict.fromkeys(LABELS, "other words")), encoding="utf-8")
    with pytest.raises(EncT5Error, match="the data has changed"):
        start(run.base, tmp_path / "run", source, label_descriptions=str(file), resume=True)


def test_changed_data_of_the_hub_are_not_resumed_with(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = messages(120)
    here = Run.__new__(Run)
    here.base, here.source = run.base, "org/name:train"
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: Dataset.from_list(rows))
    start(here.base, tmp_path / "whole", here.source, epochs=2)
    interrupt(here, tmp_path / "run", evaluation=2, epochs=2)
    rows[50] = {**rows[50], "text": "another text"}
    with pytest.raises(EncT5Error, match=r"the data has changed .org/name:train. since the run"):
        start(here.base, tmp_path / "run", here.source, epochs=2, resume=True)
    rows = messages(120)
    start(here.base, tmp_path / "run", here.source, epochs=2, resume=True)
    assert_same_weights(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_a_resumed_regression_ends_with_the_weights_of_an_uninterrupted_one(run: Run, tmp_path: Path) -> None:
    here = Run.__new__(Run)
    here.base, here.source = run.base, write_rows(tmp_path / "a.jsonl", numbers(60, 1000, 5))
    start(here.base, tmp_path / "whole", here.source, epochs=3)
    interrupt(here, tmp_path / "run", evaluation=5, epochs=3)
    assert steps_of(tmp_path / "run")
    start(here.base, tmp_path / "run", here.source, epochs=3, resume=True)
    assert_same_weights(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(run: Run, tmp_path: Path) -> None:
    out, said = tmp_path / "run", []
    interrupt(run, out, evaluation=7)
    step = max(steps_of(out))
    assert step > 7  # an epoch has 7 steps: it is resumed
    assert step % 7  # in the middle of a later one
    record = start(run.base, out, run.source, said, resume=True)
    assert f"continuing from {out / 'checkpoints' / f'checkpoint-{step}'}" in said
    assert_same_weights(weights(out), weights(run.out))
    assert {path.name for path in out.iterdir()} == RUN_FILES

    def losses(history: list[dict[str, Any]]) -> list[tuple[int, float]]:
        return [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]

    assert losses(record["history"]) == losses(run.record["history"])
    assert record["metrics"] == run.record["metrics"]
    assert record["best_step"] == run.record["best_step"]


def test_a_run_interrupted_before_its_first_checkpoint_starts_again(run: Run, tmp_path: Path) -> None:
    interrupt(run, tmp_path / "run", evaluation=1)
    assert steps_of(tmp_path / "run") == []
    start(run.base, tmp_path / "run", run.source, resume=True)
    assert_same_weights(weights(tmp_path / "run"), weights(run.out))


def test_a_run_interrupted_after_its_last_checkpoint_is_finished(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at_its_end(run, tmp_path / "run", monkeypatch)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoints"]
    start(run.base, tmp_path / "run", run.source, resume=True)
    assert_same_weights(weights(tmp_path / "run"), weights(run.out))


def test_a_half_written_checkpoint_is_passed_over(run: Run, tmp_path: Path) -> None:
    out, said = tmp_path / "run", []
    interrupt(run, out, evaluation=5)
    step = max(steps_of(out))
    broken = out / "checkpoints" / f"checkpoint-{step + 3}"
    shutil.copytree(out / "checkpoints" / f"checkpoint-{step}", broken)
    (broken / "model.safetensors").write_bytes((broken / "model.safetensors").read_bytes()[:1000])
    (broken / "trainer_state.json").unlink()  # written last
    start(run.base, out, run.source, said, resume=True)
    assert any(line.endswith(f"checkpoint-{step}") for line in said)
    assert_same_weights(weights(out), weights(run.out))


def test_a_lost_checkpoint_is_named_and_the_one_before_is_resumed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, newest = interrupted_behind_its_best(run, tmp_path / "run", monkeypatch)
    file = tmp_path / "run" / "checkpoints" / f"checkpoint-{newest}" / "optimizer.pt"
    file.write_bytes(file.read_bytes()[:-100])
    monkeypatch.undo()
    said: list[str] = []
    start(run.base, tmp_path / "run", run.source, said, resume=True)
    assert any(f"checkpoint-{newest} holds optimizer.pt, which breaks off" in line for line in said)
    assert any(line.endswith(f"checkpoint-{best}") for line in said)


def test_a_run_is_resumed_with_its_own_options_and_data_only(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    source = tmp_path / "messages.jsonl"
    shutil.copy(run.source, source)
    here = Run.__new__(Run)
    here.base, here.source = run.base, str(source)
    interrupt(here, out, evaluation=3)
    with pytest.raises(EncT5Error, match=r"`batch_size` is 4, but the interrupted run in .* has 8"):
        start(run.base, out, str(source), batch_size=4, resume=True)
    with pytest.raises(EncT5Error, match="continue it with --resume, or delete it"):
        start(run.base, out, str(source))
    write_rows(source, [*messages(57), *messages(3, seed=8)])
    with pytest.raises(EncT5Error, match="the data has changed"):
        start(run.base, out, str(source), resume=True)
    with pytest.raises(EncT5Error, match=r"`data` is others.jsonl, but the interrupted run in .* has messages.jsonl"):
        start(run.base, out, write_rows(tmp_path / "others.jsonl", messages(57)), resume=True)
    moved, source = out.rename(tmp_path / "moved"), source.rename(tmp_path / "renamed.jsonl")
    shutil.copy(run.source, source)  # a file is the same by its content
    shutil.copytree(run.base, tmp_path / "base")
    start(tmp_path / "base", moved, str(source), resume=True)
    assert_same_weights(weights(moved), weights(run.out))


def test_a_run_is_resumed_with_its_own_base_and_version_only(run: Run, tmp_path: Path) -> None:
    here, out = Run.__new__(Run), tmp_path / "run"
    here.base, here.source = Path(shutil.copytree(run.base, tmp_path / "base")), run.source
    interrupt(here, out, evaluation=3)
    record = out / "checkpoints" / RECORD
    wanted, newest = record.read_text(encoding="utf-8"), steps_of(out)
    assert str(tmp_path) not in wanted
    file = here.base / "model.safetensors"
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(EncT5Error, match=r"the base has changed \(base\) since the run in .* was interrupted"):
        start(here.base, out, run.source, resume=True)
    file.write_bytes(before)
    for content, message in (
        (json.dumps(json.loads(wanted) | {"enct5": "9.9"}), "was started by enct5 9.9, this is .*; resume with that"),
        ("{}", "was started by enct5 None, this is "),
        ("[1]", "cannot read .*start anew with another --out"),
        (wanted[:-5], "cannot read .*start anew with another --out"),
        (None, "does not say how it was started"),
    ):
        record.unlink(missing_ok=True)
        if content is not None:
            record.write_text(content, encoding="utf-8")
        with pytest.raises(EncT5Error, match=message) as refused:
            start(here.base, out, run.source, resume=True)
        assert "\n" not in str(refused.value)
        assert steps_of(out) == newest
    record.write_text(wanted, encoding="utf-8")
    start(here.base, out, run.source, resume=True)
    assert_same_weights(weights(out), weights(run.out))


def test_a_finished_run_is_not_resumed(run: Run) -> None:
    with pytest.raises(EncT5Error, match="is complete; there is nothing to resume"):
        start(run.base, run.out, run.source, resume=True)


@pytest.mark.slow
def test_a_killed_run_is_resumed(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        *(sys.executable, "-m", "enct5.cli", "train", run.source, "--text", "text", "--label", "label"),
        *("--base", str(run.base), "--out", str(out), "--epochs", "5", "--batch-size", "8", "--learning-rate", "3e-3"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        deadline = time.monotonic() + 240
        while len(list((out / "checkpoints").glob("checkpoint-*/trainer_state.json"))) < 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "config.json").exists()
    finished = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 0, finished.stderr
    assert "continuing from" in finished.stdout
    assert {path.name for path in out.iterdir()} == RUN_FILES
    assert_same_weights(weights(out), weights(run.out))
