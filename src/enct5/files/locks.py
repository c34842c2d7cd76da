"""One process at a time writes to an output."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from enct5.errors import EncT5Error

LOCK = "lock"


@contextmanager
def only_writer(folder: Path, out: Path) -> Iterator[None]:
    """Keep other processes from writing to an output; the system lets go of it when this one ends in any way.

    Args:
        folder: an existing folder of this output's, where a file to lock may lie.
        out: the output, for the message.

    Raises:
        EncT5Error: when another process writes to it, or the folder cannot be written to.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise EncT5Error(
            f"another call is writing to {out} (it holds {folder / LOCK}); wait for its end, or choose another output"
        ) from None
    except OSError as error:
        raise EncT5Error(f"cannot write to {out}: {error.strerror}; choose another output") from error
    try:
        yield
    finally:
        lock.release()
