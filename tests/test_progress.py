"""One line of progress on a terminal that leaves nothing behind, and none in a log."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.models import saved_model
from helpers.runs import messages
from helpers.tables import write_rows
from helpers.terminal import Screen, run

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals"),
]

_WORK = """
import sys
from enct5 import progress

progress.enabled = True
with progress.bar("counting", total=1000):
    for number in range(1000):
        if number % 250 == 0:
            print(f"line {number}", flush=True)
            print(f"warning {number}", file=sys.stderr)
        with progress.bar("within", total=3):
            progress.advance()
    progress.describe("ending")
with progress.bar("waiting"):
    print("text that is longer than the terminal is wide " * 4, flush=True)
print("end")
"""


@pytest.mark.parametrize("columns", [80, 120])
def test_lines_stand_above_the_bar_and_the_bar_goes(columns: int, tmp_path: Path) -> None:
    status, screen = run([sys.executable, "-c", _WORK], columns, tmp_path)
    assert status == 0, screen.lines
    lines = [line for line in screen.lines if line.strip()]
    told = [f"{word} {number}" for number in (0, 250, 500, 750) for word in ("line", "warning")]
    assert lines[:8] == told
    assert " ".join(" ".join(lines[8:-1]).split()) == " ".join(["text that is longer than the terminal is wide"] * 4)
    assert lines[-1] == "end"
    assert screen.bars == 1


def test_an_error_ends_the_bar(tmp_path: Path) -> None:
    code = _WORK.split("    for number")[0] + "    print('before', flush=True)\n    raise SystemExit('an error')\n"
    status, screen = run([sys.executable, "-c", code], 80, tmp_path)
    assert status == 1
    assert [line for line in screen.lines if line.strip()] == ["before", "an error"]


def test_nothing_of_it_is_in_a_log_or_shown_by_the_library(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", _WORK], capture_output=True, text=True, check=True)
    assert ended.stderr == "".join(f"warning {number}\n" for number in (0, 250, 500, 750))
    assert ended.stdout.startswith("line 0\nline 250\n")
    assert "\x1b" not in ended.stdout
    silent = _WORK.replace("progress.enabled = True", "")
    _, screen = run([sys.executable, "-c", silent], 80, tmp_path)
    assert screen.bars == 0


def _plain(lines: list[str]) -> str:
    """Texts however they were wrapped, without how long it took."""
    return re.sub(r"\(\d+s\)", "", re.sub(r"\s", "", "".join(lines)))


def test_training_and_predicting_say_the_same_on_a_terminal_as_in_a_log(
    t5_folder: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "messages.jsonl", messages(60))
    options = ["--text", "text", "--label", "label", "--base", str(t5_folder()), "--epochs", "1", "--batch-size", "8"]
    command = [sys.executable, "-m", "enct5.cli", "train", source, *options, "--out"]
    status, screen = run([*command, "shown"], 80, tmp_path)
    assert status == 0, screen.lines
    logged = subprocess.run([*command, "saved"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert logged.stderr == ""
    assert "\r" not in logged.stdout
    assert "\x1b" not in logged.stdout
    assert "\n1 epoch of 54 texts" in logged.stdout
    assert _plain(screen.lines) == _plain(logged.stdout.replace("saved", "shown").splitlines())
    assert screen.bars == 1

    command = [sys.executable, "-m", "enct5.cli", "predict", "shown", source]
    status, screen = run([*command, "-o", "predicted.jsonl"], 120, tmp_path)
    assert status == 0, screen.lines
    lines = [line for line in screen.lines if line.strip()]
    assert lines[0] == "60 predictions written to predicted.jsonl"
    assert lines[1].startswith("predicted with form: folded model, device: ")
    assert len((tmp_path / "predicted.jsonl").read_text(encoding="utf-8").splitlines()) == 60


def test_predictions_for_a_terminal_are_rows_alone(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    saved_model(t5_folder(), tmp_path / "model", ("class 0", "class 1", "class 2"))
    source = write_rows(tmp_path / "messages.jsonl", messages(5))
    command = [sys.executable, "-m", "enct5.cli", "predict", "model", source, "--text", "text"]
    status, screen = run(command, 120, tmp_path)
    assert status == 0, screen.lines
    lines = [line for line in screen.lines if line.strip()]
    assert lines[0] == "text,label,predicted_label,score"
    assert [line.split(",")[0] for line in lines[1:]] == [row["text"] for row in messages(5)]
    assert screen.bars == 0


def test_the_screen_of_these_tests_sees_what_is_torn() -> None:
    screen = Screen(10)
    screen.write("one\r\ntwo\x1b[1A\rO\x1b[2K\n")
    assert screen.lines == ["", "two"]
    screen.write("\rthirteen chars")
    assert screen.lines == ["", "thirteen c", "hars"]
    screen = Screen(80)
    bar = f"training   {'━' * 20} 3/10 00:01"
    screen.write(f"{bar}line\r\n{bar}\r\n{bar}")
    assert screen.bars == 2
