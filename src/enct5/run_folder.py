"""The folder of a training run: where its parts lie, and how they appear whole or not at all."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enct5.checkpoints import newest_whole
from enct5.errors import EncT5Error
from enct5.locks import LOCK, only_writer
from enct5.writing import OVERWRITE, PARTIAL, refuse_occupied, without_empty_folders

CHECKPOINTS = "checkpoints"
METRICS = "metrics.json"
CONVERSION = "conversion.json"  # what a converted folder has in its place
CONFIG = "config.json"  # the last file to arrive in a run folder: it is complete when it has one
WEIGHTS = "model.safetensors"


@contextmanager
def claim(out: Path, resume: bool, say: Callable[[str], None]) -> Iterator[Path | None]:
    """Check that a run may write into `out`, create it, and keep other runs out of it within the block.

    Where nothing of a run comes into it within the block, it is as it was before.

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
    with without_empty_folders(checkpoints), ExitStack() as held:
        if checkpoints.is_dir():
            held.enter_context(only_writer(checkpoints, out))
            check(out, resume)
        else:
            check(out, resume)
            try:
                checkpoints.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EncT5Error(
                    f"cannot create the run folder {out}: {error.strerror}; choose another --out"
                ) from error
            held.enter_context(only_writer(checkpoints, out))
        try:
            yield newest_whole(checkpoints, say)
        finally:
            if checkpoints.is_dir() and {file.name for file in checkpoints.iterdir()} == {LOCK}:
                with suppress(OSError):
                    (checkpoints / LOCK).unlink()


def is_interrupted(out: Path) -> bool:
    """Whether the folder holds a run that `--resume` continues."""
    return (out / CHECKPOINTS).is_dir() and not _is_complete(out)


def public_name(source: str) -> str:
    """What others are told of a checkpoint: an id on the hub, or a folder's name without the way there."""
    path = Path(os.path.expanduser(source))
    return path.resolve().name if path.exists() else source


@dataclass(frozen=True)
class Ancestry:
    """Where a base comes from.

    Attributes:
        origin: for a run folder, or a converted one, the T5 that it was made of in the beginning; else the base itself.
        trained_on: for a run folder the name of the file that its run trained on.
    """

    origin: str
    trained_on: str | None = None


def ancestry(base: str) -> Ancestry:
    """What the record of a run folder tells of it."""
    record = _record_of(base)
    data = record.get("data")
    file = data.get("file") if isinstance(data, dict) else None
    return Ancestry(str(record.get("origin") or public_name(base)), None if file is None else str(file))


def _record_of(base: str) -> dict[str, Any]:
    """What a run or a conversion left on record; other versions may have written less."""
    for name in (METRICS, CONVERSION):
        try:
            return dict(json.loads((Path(base) / name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
    return {}


def _is_complete(out: Path) -> bool:
    return (out / METRICS).is_file() and (out / CONFIG).is_file()


def check(out: Path, resume: bool) -> None:
    """Refuse a folder that `claim` would refuse, but for one that another run writes to.

    Raises:
        EncT5Error: as `claim`.
    """
    complete = _is_complete(out)
    interrupted = is_interrupted(out)
    if resume and complete:
        finish(out)  # killed at the very end, it may have left something
        raise EncT5Error(f"the run in {out} is complete; there is nothing to resume")
    if resume and not interrupted:
        raise EncT5Error(f"there is no interrupted run in {out}; start it without --resume")
    if not resume and interrupted:
        raise EncT5Error(f"{out} holds an interrupted run; continue it with --resume, or delete it")
    if not resume:
        refuse_occupied(out, f"choose another --out, delete it, or {OVERWRITE}")


def finish(out: Path) -> None:
    """Delete what only an interrupted run needs."""
    for name in (CHECKPOINTS, PARTIAL):
        shutil.rmtree(out / name, ignore_errors=True)
