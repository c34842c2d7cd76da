"""What is too large for memory, in files without a name: they are gone as soon as nothing uses them, even if killed.

A file is mapped: the system reads what is looked at, and forgets it again where memory is short.
"""

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.errors import EncT5Error

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = 2**26  # bytes of one thing that are held in memory
_folder: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def scratch_in(folder: Path) -> Iterator[None]:
    """Put the files that are made within the block on the disk of a folder that exists, or will.

    Otherwise they are where `tempfile` puts its own: /tmp, or what `TMPDIR` names.
    """
    nearest = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir())
    token = _folder.set(nearest if os.access(nearest, os.W_OK) else None)
    try:
        yield
    finally:
        _folder.reset(token)


def table_of(batches: Iterable["pa.RecordBatch"]) -> "pa.Table":
    """Batches, one at least, as a table; in a file from `LARGEST` bytes on.

    Raises:
        EncT5Error: If the disk is full.
    """
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    size, batches = 0, iter(batches)
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size > LARGEST:
            return _written(chain(held, batches), batch.schema)
    return pa.Table.from_batches(held)


def _written(batches: Iterable["pa.RecordBatch"], schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    with _file() as file:
        with _told(), pa.ipc.new_stream(file, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
        return pa.ipc.open_stream(pa.py_buffer(_mapped(file))).read_all()


def array_of(parts: Iterable[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Arrays (n,) one behind another; in a file from `LARGEST` bytes on, and then not to be written to.

    Raises:
        EncT5Error: If the disk is full.
    """
    held: list[npt.NDArray[Any]] = []
    size, parts = 0, iter(parts)
    for part in parts:
        held.append(part)
        size += part.nbytes
        if size > LARGEST:
            break
    else:
        return np.concatenate([np.empty(0, dtype), *held], dtype=dtype)
    with _file() as file:
        for part in chain(held, parts):
            with _told():
                file.write(np.ascontiguousarray(part, dtype).data)
        return np.frombuffer(_mapped(file), dtype)


def zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of zeros to be filled; in a file from `LARGEST` bytes on.

    Raises:
        EncT5Error: If the disk is full.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= LARGEST:
        return np.zeros(shape, dtype)
    with _file() as file:
        with _told():
            if hasattr(os, "posix_fallocate"):  # a disk that is full later would end the process
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)


def _file() -> IO[bytes]:
    return tempfile.TemporaryFile(dir=_folder.get())


def _mapped(file: IO[bytes]) -> mmap.mmap:
    with _told():
        file.flush()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = _folder.get() or tempfile.gettempdir()
        raise EncT5Error(
            f"cannot keep data that is too large for memory on the disk of {folder}: {error.strerror}; make room there"
        ) from error
