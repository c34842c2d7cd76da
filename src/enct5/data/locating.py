"""What a source of data is: files here, a data set that `datasets` saved, standard input, or a name on the hub."""

import atexit
import glob
import os
import re
import shutil
import stat
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from enct5.data.in_memory import InMemory
from enct5.errors import EncT5Error, nearest, show
from enct5.files.hub_names import split_revision
from enct5.files.paths import foreign, is_file_name

STDIN = "-"
FORMATS = (
    *(".csv", ".tsv", ".tab", ".psv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet"),
    *(".feather", ".arrow", ".xlsx", ".xlsm", ".conll", ".iob", ".bio", ".fasttext"),
)
_PACKED = re.compile(r"\.(gz|gzip|bz2|xz|zst|zstd|zip)$", re.IGNORECASE)
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")
_SPLIT = re.compile(
    r"(?<![a-z])(?:(train|training)|(test|testing)|(val|valid|validation|dev|eval))(?![a-z])", re.IGNORECASE
)
SAVED, SAVED_SPLITS = "state.json", "dataset_dict.json"  # what `save_to_disk` writes beside a data set, or several


class Located(NamedTuple):
    """Where data is.

    Attributes:
        paths: Files, or the folder of one data set that `datasets` saved.
        part: What of them is asked for: a sheet, a list, a file of an archive.
    """

    paths: tuple[Path, ...]
    part: str | None = None

    @property
    def is_saved(self) -> bool:
        """Whether `datasets` saved it."""
        return self.paths[0].is_dir()


def locate(source: str) -> Located | None:
    """Find a source's files; `None` for a data set of the hub.

    Raises:
        EncT5Error: For a source that is neither, or a folder in which it is not clear what to read.
    """
    if source == STDIN:
        return Located((_kept(source),))
    path = Path(source).expanduser()
    if path.exists():
        return _existing(path, source, None)
    name, _, part = source.rpartition(":")
    if name and part and Path(name).expanduser().exists():
        return _existing(Path(name).expanduser(), name, part)
    if glob.has_magic(source):
        found = sorted(Path(one) for one in glob.glob(str(path), recursive=True) if Path(one).is_file())
        if found:
            return Located(tuple(found))
    several = [Path(one.strip()).expanduser() for one in source.split(",")]
    if len(several) > 1 and all(one.is_file() for one in several):
        return Located(tuple(several))
    _check_hub_id(source, path)
    return None


def is_local(source: str) -> bool:
    """Whether a source is here, or could be nowhere else, told without reading it."""
    if source == STDIN or Path(source).expanduser().exists() or is_file_name(source):
        return True
    if glob.has_magic(source) and glob.glob(os.path.expanduser(source), recursive=True):
        return True
    return Path(source.rpartition(":")[0] or source).expanduser().exists() or all(
        Path(one.strip()).expanduser().is_file() for one in source.split(",")
    )


def data_name(source: str) -> str:
    """What others are told of a source: names without the ways there; of a data set of the hub all."""
    if isinstance(source, InMemory):
        return str(source)
    if source == STDIN:
        return "standard input"
    if not is_local(source):
        return source
    return (
        ",".join(Path(one.strip()).name for one in source.split(","))
        if not Path(source).exists()
        else Path(source).name
    )


def _existing(path: Path, source: str, part: str | None) -> Located:
    if not path.is_dir():
        is_stream = stat.S_ISFIFO(path.stat().st_mode) or stat.S_ISCHR(path.stat().st_mode)
        return Located((_kept(str(path)) if is_stream else path,), part)
    if (path / SAVED_SPLITS).is_file():
        splits = sorted(one.name for one in path.iterdir() if (one / SAVED).is_file())
        if (part is None and len(splits) > 1) or (part is not None and part not in splits):
            example = "train" if "train" in splits or not splits else splits[0]
            raise EncT5Error(
                f"{source} holds the splits {', '.join(splits) or 'of nothing'}; name one, as in `{source}:{example}`"
            )
        return Located((path / (part or splits[0]),))
    if (path / SAVED).is_file():
        if part is not None:
            raise EncT5Error(f"{source} is one data set without splits; name it without {show(':' + part)}")
        return Located((path,))
    return Located(_files_of_folder(path, source, part))


def _files_of_folder(path: Path, source: str, part: str | None) -> tuple[Path, ...]:
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    kinds: dict[str, list[Path]] = {}
    for file in files:
        ending = Path(_PACKED.sub("", file.name)).suffix.lower()
        if ending in FORMATS:
            kinds.setdefault(ending, []).append(file)
    if len(kinds) > 1:  # what stands beside the tables
        for aside in (".txt", ".json"):
            if len(kinds) > 1:
                kinds.pop(aside, None)
    if len(kinds) != 1:
        listed = ", ".join(file.name for found in kinds.values() for file in found[:20]) or "none is readable"
        raise EncT5Error(f"{source} is a folder; name one file in it, or a pattern as `{source}/*.csv` ({listed})")
    ((ending, found),) = kinds.items()
    splits = {file: _split_of(file) for file in found}
    if part is not None:
        found = [file for file in found if splits[file] == _split_name(part)]
        if not found:
            raise EncT5Error(f"{source} has no file of a split {show(part)}; its files: {_listed(splits)}")
    elif len(set(splits.values())) > 1:
        raise EncT5Error(
            f"{source} is a folder of several splits ({_listed(splits)}); name one file, or a split as `{source}:train`"
        )
    return tuple(found)


def _listed(files: dict[Path, str | None]) -> str:
    return ", ".join(file.name for file in list(files)[:20])


def _split_of(file: Path) -> str | None:
    found = _SPLIT.search(file.name)
    return None if found is None else ("train", "test", "validation")[found.lastindex - 1 if found.lastindex else 0]


def _split_name(part: str) -> str | None:
    return _split_of(Path(part)) if _SPLIT.fullmatch(part) else part


def _check_hub_id(source: str, path: Path) -> None:
    """Refuse what cannot be a data set of the hub."""
    if kind := foreign(source):
        raise EncT5Error(f"{source} is {kind}; give the path of a file here")
    name, _, split = source.partition(":")
    if split and _HUB_ID.fullmatch(name) and not is_file_name(name):
        return
    plain = Path(split_revision(source)[0])
    if _HUB_ID.fullmatch(source) and plain.suffix.lower() not in FORMATS and "." not in plain.name:
        raise EncT5Error(f"no file {show(source)}; a data set of the hub needs its split, as in `{source}:train`")
    if glob.has_magic(source):
        raise EncT5Error(f"no file is like {show(source, 200)}; check the pattern")
    guess = nearest(path.name, [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else [])
    raise EncT5Error(f"no file {show(source, 200)}; " + (f"did you mean `{guess}`?" if guess else "check the path"))


@cache
def _kept(source: str) -> Path:
    """A stream's bytes as a file, since they come once and are read several times; it goes when the process ends."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise EncT5Error(f"{source} is a stream, which several processes cannot all read; write it to a file first")
    folder = Path(tempfile.mkdtemp(prefix="enct5-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    kept = folder / "input"
    stream: IO[bytes] = sys.stdin.buffer if source == STDIN else open(source, "rb")  # noqa: SIM115
    with kept.open("wb") as file:
        shutil.copyfileobj(stream, file)
    return kept
