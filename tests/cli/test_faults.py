"""Faults of the machine: told in one line, nothing half-written under a final name, nothing lost that was saved.

A full disk is simulated by a limit on the size of files, which every system call obeys; a folder that nobody may write
to is closed to the administrator, too, once the process has given up its privileges.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enct5.cli import command
from enct5.inference.predictor import Predictor
from helpers.models import saved_model

pytest.importorskip("resource", reason="limits of processes are POSIX's")

pytestmark = pytest.mark.slow

COMMAND = """
import sys
sys.argv[0] = "enct5"
from enct5.cli import main
main()
"""
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
"""
UNPRIVILEGED = """
import ctypes
version_and_process = (ctypes.c_uint32 * 2)(0x20080522, 0)
assert ctypes.CDLL(None).capset(version_and_process, (ctypes.c_uint32 * 6)()) == 0
"""


def run_after(preparation: str, *arguments: object) -> tuple[int, str]:
    """Status and last line on stderr of the command, in a process that is prepared for it."""
    script = [sys.executable, "-c", preparation + COMMAND, *map(str, arguments)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.strip().rpartition("\n")[2]


def run_with_files_of_at_most(limit: int, *arguments: object) -> tuple[int, str]:
    """Status and last line on stderr of the command."""
    return run_after(LIMITED, limit, *arguments)


def run(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["enct5", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            command.main()
    return int(stopped.value.code or 0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "data.jsonl"
    rows = [
        {"text": f"text number {row} {'yes' if row % 2 else 'no'}", "label": ("delivery", "refund")[row % 2]}
        for row in range(60)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize("limit", [500_000, 1_500_000])  # too little for the weights; for the optimiser's state
def test_a_full_disk_stops_training_in_one_line_and_it_goes_on_later(
    t5_folder: Callable[..., Path], tmp_path: Path, data: Path, limit: int
) -> None:
    out = tmp_path / "run"
    options = ("--text", "text", "--label", "label", "--base", t5_folder(), "--out", out, "--epochs", 2)
    status, line = run_with_files_of_at_most(limit, "train", data, *options)
    assert status == 2, line
    assert line.startswith(f"enct5: cannot write to {out}: ")
    assert "make room, and the same command with --resume goes on from the last checkpoint" in line
    assert not (out / "config.json").exists()
    assert run("train", data, *options, "--resume") == 0
    assert len(Predictor.from_pretrained(out).predict(["yes", "no"])) == 2


def test_a_full_disk_stops_predictions_in_one_line_and_they_go_on_later(
    t5_folder: Callable[..., Path], tmp_path: Path, data: Path
) -> None:
    folder, out = saved_model(t5_folder(), tmp_path / "model"), tmp_path / "out.csv"
    status, line = run_with_files_of_at_most(1000, "predict", folder, data, "-o", out)
    assert (status, out.exists()) == (2, False), line
    assert line.startswith(f"enct5: cannot write {out}: ")
    assert "the same command with --resume goes on with what is done" in line
    assert run("predict", folder, data, "-o", out, "--resume") == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 61
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.jsonl", "model", "out.csv"]


def test_a_full_disk_leaves_no_part_of_a_converted_model(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    status, line = run_with_files_of_at_most(500_000, "convert", t5_folder(), tmp_path / "out", "--num-labels", 2)
    assert status == 2, line
    assert line.startswith(f"enct5: cannot write to {tmp_path / 'out'}: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="privileges are given up as on Linux")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "train {data} --text text --label label --base {t5} --out {closed}/run",
            "cannot create the run folder {closed}/run: ",
        ),
        ("predict {model} {data} -o {closed}/out.csv", "cannot write {closed}/out.csv: "),
        (
            "evaluate {model} {data} --text text --label label --json {closed}/out.json",
            "cannot write {closed}/out.json: ",
        ),
        ("convert {t5} {closed}/out --num-labels 2", "cannot write to {closed}/out: "),
        ("export {model} {closed}/out --format onnx", "cannot write to {closed}/out: "),
        ("explain {model} text --html {closed}/out.html", "cannot write {closed}/out.html: "),
    ],
)
def test_a_folder_that_is_closed_is_told_in_one_line(
    command: str, message: str, t5_folder: Callable[..., Path], tmp_path: Path, data: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    names = {
        "data": data,
        "t5": t5_folder(),
        "model": saved_model(t5_folder(), tmp_path / "model"),
        "closed": closed,
    }
    status, line = run_after(UNPRIVILEGED, *(part.format(**names) for part in command.split()))
    assert status == 2, line
    assert line.startswith("enct5: " + message.format(**names)), line
    assert "Permission denied" in line
    assert list(closed.iterdir()) == []
