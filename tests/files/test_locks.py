"""Two calls never write to one output at the same time."""

import multiprocessing
from pathlib import Path

import pytest

from enct5.errors import EncT5Error
from enct5.files.locks import LOCK, only_writer
from enct5.inference.output_parts import Parts
from enct5.model.folder import CHECKPOINTS
from enct5.training.run_folder import claim
from helpers.processes import hold


def held_by_another(folder: Path) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold, args=(folder, held), daemon=True)
    process.start()
    assert held.wait(60)
    return process


def test_another_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    process = held_by_another(tmp_path)
    message = (
        f"another call is writing to result (it holds {tmp_path / LOCK}); wait for its end, or choose another output"
    )
    with pytest.raises(EncT5Error) as refused, only_writer(tmp_path, Path("result")):
        pass
    assert str(refused.value) == message
    process.kill()
    process.join()
    with only_writer(tmp_path, Path("result")):
        pass


def test_a_block_that_fails_lets_go(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), only_writer(tmp_path, tmp_path):
            raise ZeroDivisionError


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_goes_on_is_neither_started_again_nor_resumed(tmp_path: Path, resume: bool) -> None:
    with claim(tmp_path / "run", False):
        refused = pytest.raises(EncT5Error, match=f"another call is writing to {tmp_path / 'run'} ")
        with refused, claim(tmp_path / "run", resume):
            pass
        assert (tmp_path / "run" / CHECKPOINTS / LOCK).exists()
        (tmp_path / "run" / CHECKPOINTS / "begun").touch()
    with claim(tmp_path / "run", True) as checkpoint:
        assert checkpoint is None
    with pytest.raises(EncT5Error, match="holds an interrupted run"), claim(tmp_path / "run", False):
        pass


@pytest.mark.parametrize("resume", [False, True])
def test_an_output_that_is_being_written_is_neither_started_again_nor_resumed(tmp_path: Path, resume: bool) -> None:
    out = tmp_path / "out.csv"
    with Parts(out, {"model": "a"}, resume=False) as parts:
        with parts.next() as file:
            file.write_text("first")
        with pytest.raises(EncT5Error, match=f"another call is writing to {out} "):
            Parts(out, {"model": "a"}, resume)
    with Parts(out, {"model": "a"}, resume=True) as parts:
        assert parts.count == 1
        parts.join(lambda files, result: result.write_text("".join(file.read_text() for file in files)))
    assert out.read_text() == "first"
    assert list(tmp_path.iterdir()) == [out]
