"""Trackers are told of a run that names them, of no other, and TensorBoard's files stay with the run."""

import json
from pathlib import Path
from typing import Any

import pytest

from enct5.errors import EncT5Error
from enct5.model import overwriting
from enct5.training import trackers
from helpers.runs import RUN_FILES, Run, assert_same_weights, interrupt, settings_of, start, weights

pytestmark = pytest.mark.usefixtures("one_thread")
# Writes what it is told, in the place of the package that transformers takes where there is no tensorboard.
WRITER = """
import json
from pathlib import Path

class SummaryWriter:
    def __init__(self, log_dir):
        self.file = Path(log_dir) / "events.jsonl"
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def add_scalar(self, name, value, step):
        with self.file.open("a") as file:
            file.write(json.dumps([name, value, step]) + "\\n")

    def add_text(self, name, text): pass
    def flush(self): pass
    def close(self): pass
"""


@pytest.fixture
def tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that looks like tensorboard's to transformers, and none else."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "tensorboardX.py").write_text(WRITER)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)


def events(folder: Path) -> list[list[Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("tensorboard")
def test_an_installed_tracker_is_not_started_unasked(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_URL", "http://localhost:1")  # for which transformers adds one
    started: list[str] = []
    for name, tracker in trackers.INTEGRATION_TO_CALLBACK.items():
        monkeypatch.setattr(tracker, "on_train_begin", lambda *arguments, name=name, **more: started.append(name))
    start(run.base, tmp_path / "run", run.source, epochs=1)
    assert started == []
    assert {path.name for path in (tmp_path / "run").iterdir()} == RUN_FILES
    start(run.base, tmp_path / "told", run.source, epochs=1, report_to="tensorboard")
    assert started == ["tensorboard"]


@pytest.mark.usefixtures("tensorboard")
def test_the_files_of_tensorboard_stay_in_the_run_folder(run: Run, tmp_path: Path) -> None:
    record = start(run.base, tmp_path / "run", run.source, report_to=("tensorboard",))
    assert {path.name for path in (tmp_path / "run").iterdir()} == RUN_FILES | {"logs"}
    told = {name: value for name, value, _ in events(tmp_path / "run" / "logs")}
    assert (
        told["eval/macro_f1"] == [entry["eval_macro_f1"] for entry in record["history"] if "eval_macro_f1" in entry][-1]
    )
    assert settings_of(tmp_path / "run").report_to == ("tensorboard",)
    assert_same_weights(weights(tmp_path / "run"), weights(run.out))  # which was told to nobody
    assert overwriting.place(tmp_path / "run", overwriting.RUN).parent.name == "run.overwrite"  # it is all ours


@pytest.mark.usefixtures("tensorboard")
def test_a_resumed_run_goes_on_in_the_same_files_and_may_name_others(run: Run, tmp_path: Path) -> None:
    interrupt(run, tmp_path / "run", evaluation=3, report_to=("tensorboard",))
    before = len(events(tmp_path / "run" / "logs"))
    start(run.base, tmp_path / "run", run.source, report_to=("tensorboard",), resume=True)
    assert len(events(tmp_path / "run" / "logs")) > before > 0
    interrupt(run, tmp_path / "other", evaluation=3)
    start(run.base, tmp_path / "other", run.source, report_to=("tensorboard",), resume=True)
    assert events(tmp_path / "other" / "logs")


@pytest.mark.usefixtures("tensorboard")
def test_another_place_may_be_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "elsewhere"))
    start(run.base, tmp_path / "run", run.source, epochs=1, report_to=("tensorboard",))
    assert events(tmp_path / "elsewhere")
    assert not (tmp_path / "run" / "logs").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tensorbord", r"^no tracker `tensorbord`; did you mean `tensorboard`\?"),
        ("all", "^no tracker `all`"),
        ("wandb", "^--report-to wandb cannot be used here: .*wandb.*; install it, or leave it out$"),
    ],
)
def test_a_tracker_that_cannot_be_had_is_told_before_training(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(EncT5Error, match=message):
        start(run.base, tmp_path / "run", "nowhere.csv", report_to=(name,))
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("tensorboard")
def test_a_tracker_that_cannot_be_started_is_told_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **others: Any) -> None:
        raise OSError("no server at localhost:1.\nTry another.")

    with monkeypatch.context() as patched:
        patched.setattr(trackers.TensorBoardCallback, "on_train_begin", refuse)
        with pytest.raises(
            EncT5Error, match=r"^--report-to tensorboard cannot be started: no server at localhost:1; set"
        ):
            start(run.base, tmp_path / "run", run.source, epochs=1, report_to=("tensorboard",))
    start(run.base, tmp_path / "run", run.source, epochs=1, report_to=("tensorboard",), resume=True)
    assert events(tmp_path / "run" / "logs")
