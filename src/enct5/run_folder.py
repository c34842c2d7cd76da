"""The folder of a training run: where its parts lie, and how they appear whole or not at all."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from enct5.checkpoints import newest_whole
from enct5.errors import EncT5Error
from enct5.locks import only_writer

CHECKPOINTS = "checkpoints"
METRICS = "metrics.json"
CONFIG = "config.json"  # the last file to arrive in a run folder: it is complete when it has one
WEIGHTS = "model.safetensors"
_PARTIAL = ".partial"


@contextmanager
def claim(out: Path, resume: bool, say: Callable[[str], None]) -> Iterator[Path | None]:
    """Check that a run may write into `out`, create it, and keep other runs out of it within the block.

    Args:
        out: The run folder.
        resume: Whether an interrupted run in it is to be continued.
        say: Told of newer checkpoints that are not whole.

    Yields:
        The newest complete checkpoint to continue from; `None` to start from the beginning.

    Raises:
        EncT5Error: If the folder holds something else, a finished run, another one that goes on right now, or nothing
            to resume.
    """
    checkpoints = out / CHECKPOINTS
    with ExitStack() as held:
        if checkpoints.is_dir():
            held.enter_context(only_writer(checkpoints, out))
            _check(out, resume)
        else:
            _check(out, resume)
            try:
                checkpoints.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EncT5Error(
                    f"cannot create the run folder {out}: {error.strerror}; choose another --out"
                ) from error
            held.enter_context(only_writer(checkpoints, out))
        yield newest_whole(checkpoints, say)


def is_interrupted(out: Path) -> bool:
    """Whether the folder holds a run that `--resume` continues."""
    return (out / CHECKPOINTS).is_dir() and not _is_complete(out)


def public_name(source: str) -> str:
    """What others are told of a checkpoint: an id on the hub, or a folder's name without the way there."""
    return Path(source).resolve().name if Path(source).exists() else source


@dataclass(frozen=True)
class Ancestry:
    """Where a base comes from.

    Attributes:
        origin: for a run folder the T5 that its first run started from, for others the base itself.
        trained_on: for a run folder the name of the file that its run trained on.
    """

    origin: str
    trained_on: str | None = None


def ancestry(base: str) -> Ancestry:
    """What the record of a run folder tells of it."""
    try:
        record = json.loads((Path(base) / METRICS).read_text(encoding="utf-8"))
        return Ancestry(str(record["origin"]), str(record["data"]["file"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Ancestry(public_name(base))


def _is_complete(out: Path) -> bool:
    return (out / METRICS).is_file() and (out / CONFIG).is_file()


def _check(out: Path, resume: bool) -> None:
    complete = _is_complete(out)
    interrupted = is_interrupted(out)
    if resume and complete:
        finish(out)  # killed at the very end, it may have left something
        raise EncT5Error(f"the run in {out} is complete; there is nothing to resume")
    if resume and not interrupted:
        raise EncT5Error(f"there is no interrupted run in {out}; start it without --resume")
    if not resume and interrupted:
        raise EncT5Error(f"{out} holds an interrupted run; continue it with --resume, or delete it")
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise EncT5Error(f"{out} exists and is not empty; choose another --out, or delete it")


@contextmanager
def written_aside(out: Path) -> Iterator[Path]:
    """A folder to fill, whose files move into `out` when the block ends, `config.json` last.

    A model folder without config.json cannot be loaded, so nobody mistakes a part for the whole.
    """
    partial = out / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise EncT5Error(f"cannot write to {out}: {error.strerror}; choose another folder") from error
    try:
        yield partial
        for file in partial.rglob("*.safetensors"):  # which safetensors lets nobody else read
            file.chmod(partial.stat().st_mode & 0o666)
        for file in sorted(partial.iterdir(), key=lambda file: (file.name == CONFIG, file.name)):
            os.replace(file, out / file.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def told_when_full(out: Path, remedy: str) -> Iterator[None]:
    """Tell in one line that nothing more can be written; whatever was saved before is still there.

    Args:
        out: Where.
        remedy: What to do then.

    Raises:
        EncT5Error: in the place of the libraries' errors about a full or read-only disk.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
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


def finish(out: Path) -> None:
    """Delete what only an interrupted run needs."""
    for name in (CHECKPOINTS, _PARTIAL):
        shutil.rmtree(out / name, ignore_errors=True)
