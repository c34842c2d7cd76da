"""What training logs: records of Python's `logging`, and nothing on standard output."""

import logging
from pathlib import Path

import pytest

from enct5.training.logs import silence
from helpers.runs import Run, messages, start
from helpers.tables import write_rows

LOGGER = logging.getLogger("enct5.training.run")


def test_what_is_silenced_logs_nothing_and_then_as_before(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "enct5")
    with silence():
        LOGGER.critical("of a trial")
        logging.getLogger("enct5.inference.predictor").info("of no trial")
    LOGGER.info("of the run")
    assert caplog.messages == ["of no trial", "of the run"]


def test_training_from_python_prints_nothing_and_logs_its_progress(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO", "enct5")
    held = write_rows(tmp_path / "held.jsonl", [*messages(3, seed=5), messages(60)[0]])
    start(run.base, tmp_path / "run", run.source, eval=held, epochs=1, max_length=4)
    written = capsys.readouterr()
    assert written.out == ""
    assert "it/s]" not in written.err  # transformers shows a bar for every checkpoint
    assert {record.name for record in caplog.records} >= {
        *("enct5.training.data", "enct5.training.run", "enct5.training.trainer", "enct5.training.callbacks"),
        "enct5.training.figures",
    }
    levels = {record.getMessage(): record.levelname for record in caplog.records}
    assert {level for line, level in levels.items() if line.startswith(("task: ", "epoch "))} == {"INFO"}
    heeded = [line for line, level in levels.items() if level == "WARNING"]
    assert any("were cut" in line for line in heeded)
    assert any(line.startswith("note: 1 of the 4 evaluation texts") for line in heeded)
