"""What is too large for memory: the same values from a file that has no name, and what is said of a full disk."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from enct5.errors import EncT5Error
from enct5.files import scratch

PARTS = [np.arange(5, dtype=np.int32), np.empty(0, np.int32), np.array([-7], np.int32)]
BATCHES = [pa.record_batch({"text": ["a", None], "ids": [[1, 2], []]}), pa.record_batch({"text": ["é"], "ids": [[3]]})]


@pytest.fixture(params=[0, 2**26], ids=["in a file", "in memory"])
def limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(scratch, "LARGEST", request.param)
    return int(request.param)


def test_arrays_and_tables_are_what_was_put_into_them(limit: int, tmp_path: Path) -> None:
    before = pa.total_allocated_bytes()
    with scratch.scratch_in(tmp_path / "run"):
        array = scratch.array_of(iter(PARTS), np.int32)
        table = scratch.table_of(iter(BATCHES))
        zeros = scratch.zeros((2, 3), np.float32)
    assert (array.dtype, array.tolist()) == (np.int32, [0, 1, 2, 3, 4, -7])
    assert table.to_pydict() == {"text": ["a", None, "é"], "ids": [[1, 2], [], [3]]}
    assert zeros.tolist() == [[0, 0, 0]] * 2
    zeros[1, 2] = 4
    assert zeros.tolist() == [[0, 0, 0], [0, 0, 4]]
    assert pa.total_allocated_bytes() == before  # of the table nothing is copied
    assert list(tmp_path.iterdir()) == []  # nobody sees a file


def test_nothing_is_an_array_without_numbers(limit: int) -> None:
    assert scratch.array_of(iter([]), np.int32).tolist() == []
    assert scratch.zeros((0, 3), np.float32).shape == (0, 3)


def test_files_are_on_the_disk_of_the_nearest_folder_that_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "LARGEST", 0)
    asked: list[object] = []
    original = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: asked.append(dir) or original(dir=dir))
    with scratch.scratch_in(tmp_path / "runs" / "one"):
        scratch.zeros((1,), np.float32)
    scratch.zeros((1,), np.float32)
    assert asked == [tmp_path, None]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("make", [lambda: scratch.array_of(PARTS, np.int32), lambda: scratch.table_of(BATCHES)])
def test_a_full_disk_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: object) -> None:
    monkeypatch.setattr(scratch, "LARGEST", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: Path("/dev/full").open("r+b", buffering=0))  # noqa: SIM115
    with scratch.scratch_in(tmp_path), pytest.raises(EncT5Error, match="No space left on device; make room there"):
        make()  # type: ignore[operator]
