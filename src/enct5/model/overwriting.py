"""`--overwrite`: a folder that enct5 wrote stays whole until another, made beside it, takes its place.

Both lie in `<out>.overwrite` meanwhile: there the new one is made, under the name that it will have, and there the old
one goes for a moment. Where a call is cut off, the next one finds them there and says what to do.
"""

import json
import os
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

from enct5.errors import EncT5Error
from enct5.files.writing import PARTIAL, refuse_occupied
from enct5.model.folder import (
    ADAPTER_FILES,
    CHECKPOINTS,
    CONFIG_AND_TOKENIZER,
    CONVERSION,
    LOGS,
    METRICS,
    MODEL_FILES,
    REPORT,
    REPORT_OF_A_TASK,
    TRAIN_CONFIG,
    is_interrupted,
)

_LOGS = (LOGS, f"{LOGS}/*")
_UNFINISHED = (CHECKPOINTS, f"{CHECKPOINTS}/*", PARTIAL, f"{PARTIAL}/*")  # of a run that was killed at its very end
# What a folder of each kind holds: first the file that no other kind has, then whatever else enct5 may write there.
RUN, CONVERTED, EXPORTED = "finished run", "converted model", "exported model"
_FILES = {
    RUN: (
        *(METRICS, *CONFIG_AND_TOKENIZER, *MODEL_FILES, TRAIN_CONFIG, REPORT, REPORT_OF_A_TASK.format("*")),
        *("adapter", *ADAPTER_FILES, *_LOGS, *_UNFINISHED),
    ),
    CONVERTED: (CONVERSION, *CONFIG_AND_TOKENIZER, *MODEL_FILES),
    EXPORTED: ("model.onnx", *CONFIG_AND_TOKENIZER, "model.onnx.data", TRAIN_CONFIG),
}


def place(out: Path, kind: str, *sources: str | None) -> Path:
    """Where to write what is to replace a folder: a folder beside it, or `out` itself where nothing is in the way.

    Args:
        out: the folder to replace; a link's target is what is replaced.
        kind: what it has to hold: `RUN`, `CONVERTED` or `EXPORTED`.
        sources: what is read meanwhile, files, folders or hub ids, and must not be what is replaced.

    Raises:
        EncT5Error: when `out` is anything else than a folder of this kind, written by enct5 alone, or when an earlier
            call was cut off while it replaced it.
    """
    new, old = _beside(out)
    aside = new.parent
    if aside.exists() and (not aside.is_dir() or {path.name for path in aside.iterdir()} - {new.name, old.name}):
        raise EncT5Error(
            f"{aside} is in the way, where the new {out} would be made; rename it, or choose another output"
        )
    if old.exists():
        last = f"delete {aside}" if out.exists() else f"move {old} or {new} to {out}, and delete {aside}"
        raise EncT5Error(f"an earlier call was cut off while it replaced {out}, whose former content is {old}; {last}")
    if (new / "config.json").exists():
        raise EncT5Error(
            f"{new} is complete, but the call that wrote it was cut off before it replaced {out}; delete {aside}, or "
            f"move {new} to the place of {out}"
        )
    if kind != RUN or not is_interrupted(new):
        refuse_occupied(new, "an earlier call was cut off there, perhaps; delete it, or choose another output")
    is_empty = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    goes_on = kind == RUN and is_interrupted(out) and not new.exists()
    if is_empty or goes_on:
        return new if new.exists() else out
    _check(out, kind)
    if any(source is not None and Path(source).exists() and out.samefile(source) for source in sources):
        raise EncT5Error(f"{out} is what is read and cannot be replaced meanwhile; choose another output")
    return new


def replace(out: Path, new: Path, kind: str) -> None:
    """Let a folder take the place of another one, which is deleted.

    Args:
        out: the folder to replace, looked at once more; it may be missing.
        new: what `place` gave for it, filled.
        kind: as for `place`.

    Raises:
        EncT5Error: when `out` cannot be replaced any more; then both folders are there.
    """
    if new == out:
        return
    target, old = out.resolve(), _beside(out)[1]
    try:
        if target.exists():
            if any(target.iterdir()):
                _check(out, kind)
            shutil.copymode(target, new)
            os.rename(target, old)
        try:
            os.rename(new, target)
        except BaseException:
            if old.exists() and not target.exists():
                os.rename(old, target)
            raise
        if hasattr(os, "sync"):  # not on Windows
            os.sync()  # the new files are on the disk before the old ones go
        shutil.rmtree(new.parent)
    except (OSError, EncT5Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        left = f"{new} is complete and stays" if new.exists() else f"it is replaced, but {old} could not be deleted"
        raise EncT5Error(f"cannot replace {out}: {reason}; {left}") from error


def _beside(out: Path) -> tuple[Path, Path]:
    """Where the new folder is made, and where the old one goes for a moment: on the same file system."""
    target = out.resolve()
    aside = target.with_name(f"{target.name}.overwrite")
    return aside / target.name, aside / f"{target.name}.old"


def _check(out: Path, kind: str) -> None:
    """Refuse to replace what enct5 did not write."""
    marker, *others = _FILES[kind]
    if not out.is_dir() or not (out / marker).is_file() or not _is_enct5(out):
        raise EncT5Error(f"{out} holds no {kind}, which is all that --overwrite replaces here; choose another output")
    target = out.resolve()
    if target.is_mount() or Path.cwd().is_relative_to(target):
        is_what = "a mounted file system" if target.is_mount() else "where you are"
        raise EncT5Error(f"{out} is {is_what} and cannot be replaced; choose another output")
    names = sorted(path.relative_to(target).as_posix() for path in target.rglob("*"))
    foreign = [name for name in names if not any(fnmatchcase(name, known) for known in (marker, *others))]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise EncT5Error(
            f"{out} holds {foreign[0]}{more}, which enct5 did not write; move it elsewhere, or choose another output"
        )


def _is_enct5(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "enct5"
