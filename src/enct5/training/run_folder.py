"""The folder of a training run: claimed by one run at a time, and what is in its way."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from enct5.errors import EncT5Error
from enct5.files.locks import LOCK, only_writer
from enct5.files.writing import OVERWRITE, PARTIAL, refuse_occupied, without_empty_folders
from enct5.model.folder import CHECKPOINTS, is_complete, is_interrupted
from enct5.training.checkpoints import newest_whole


@contextmanager
def claim(out: Path, resume: bool) -> Iterator[Path | None]:
    """Check that a run may write into `out`, create it, and keep other runs out of it within the block.

    Where nothing of a run comes into it within the block, it is as it was before.

    Args:
        out: The run folder.
        resume: Whether an interrupted run in it is to be continued.

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
            yield newest_whole(checkpoints)
        finally:
            if checkpoints.is_dir() and {file.name for file in checkpoints.iterdir()} == {LOCK}:
                with suppress(OSError):
                    (checkpoints / LOCK).unlink()


def check(out: Path, resume: bool) -> None:
    """Refuse a folder that `claim` would refuse, but for one that another run writes to.

    Raises:
        EncT5Error: as `claim`.
    """
    complete = is_complete(out)
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
