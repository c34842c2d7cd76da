"""Files and folders that appear whole or not at all, and what is said where they cannot be written."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from enct5.errors import EncT5Error

PARTIAL = ".partial"  # the folder in an output folder where its files are written aside
_LAST = "config.json"  # of a folder's files the last to arrive: without it a model folder cannot be loaded
OVERWRITE = "replace what enct5 wrote there with --overwrite"


def refuse_occupied(out: Path, remedy: str = f"choose another folder, delete it, or {OVERWRITE}") -> None:
    """Make sure that a folder can be filled without touching what others put there.

    Raises:
        EncT5Error: when it is a file, or holds anything.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise EncT5Error(f"{out} exists and is not empty; {remedy}")


def check_file(path: Path) -> None:
    """Refuse a file that could not be written, before any work is done.

    Raises:
        EncT5Error: when it is a folder, something else than a file, or its folder does not exist.
    """
    if path.is_dir():
        raise EncT5Error(f"cannot write {path}: it is a folder; name a file to write")
    if path.exists() and not path.is_file():  # a device or a pipe, which a file would replace
        raise EncT5Error(f"cannot write {path}: it is no regular file; name another")
    if not path.parent.is_dir():
        raise EncT5Error(
            f"cannot write {path}: the folder {path.parent} does not exist; create it, or choose another output"
        )


@contextmanager
def atomic_file(path: Path, aside: Path | None = None) -> Iterator[Path]:
    """A file to write, which becomes `path` when the block ends, and nothing where the block fails.

    Args:
        path: the file; a former one is there until the new one is whole.
        aside: what is written until then, on the same file system; default: `<path>.partial`.
    """
    partial = aside or path.with_name(f"{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def write_text(text: str, path: Path, remedy: str = "choose another file") -> None:
    """Write a text as a file, whole or not at all.

    Raises:
        EncT5Error: when it cannot be written.
    """
    try:
        with atomic_file(path) as file:
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EncT5Error(f"cannot write {path}: {error.strerror}; {remedy}") from error


@contextmanager
def without_empty_folders(out: Path) -> Iterator[None]:
    """Folders that are made within the block, `out` and those on the way to it, go again where they stay empty."""
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        yield
    finally:
        for folder in missing:
            with suppress(OSError):  # it holds something, or was not made
                folder.rmdir()


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, whose files move into `out` when the block ends, `config.json` last.

    A model folder without config.json cannot be loaded, so nobody mistakes a part for the whole. What an earlier call
    had moved before it was killed is replaced. Where the block fails, `out` is as it was.

    Raises:
        EncT5Error: when `out` cannot be written to.
    """
    partial = out / PARTIAL
    with without_empty_folders(out):
        try:
            shutil.rmtree(partial, ignore_errors=True)
            try:
                partial.mkdir(parents=True)
            except OSError as error:
                raise EncT5Error(f"cannot write to {out}: {error.strerror}; choose another folder") from error
            yield partial
            for file in partial.rglob("*.safetensors"):  # which safetensors lets nobody else read
                file.chmod(partial.stat().st_mode & 0o666)
            for file in sorted(partial.iterdir(), key=lambda file: (file.name == _LAST, file.name)):
                _move(file, out / file.name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    """Replace a file by another, or a folder, which the system does only where it is empty."""
    if source.is_dir() and target.is_dir():
        shutil.rmtree(target)
    os.replace(source, target)


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def disk_full_as_error(out: Path, remedy: str) -> Iterator[None]:
    """Tell in one line that nothing more can be written; whatever was saved before is still there.

    Args:
        out: where.
        remedy: what to do then.

    Raises:
        EncT5Error: in the place of the libraries' errors about a full or read-only disk.
    """
    try:
        yield
    except Exception as error:  # also those of safetensors and torch, which need not be installed
        reason = _no_room(error)
        if reason is None:
            raise
        raise EncT5Error(f"cannot write to {out}: {reason}; {remedy}") from error


def _no_room(error: Exception) -> str | None:
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno in _NO_ROOM else None
    if found := re.search(r"\(os error (\d+)\)", str(error)):  # as safetensors has it
        return os.strerror(int(found[1])) if int(found[1]) in _NO_ROOM else None
    # torch says no more than this
    full = re.search(r"PytorchStreamWriter failed|inline_container\.cc.*unexpected pos", str(error))
    return "the disk is full, perhaps" if full else None
