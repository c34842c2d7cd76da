"""A table's rows shared out among calls that know nothing of each other: which each predicts, and that they agree."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enct5.errors import EncT5Error, show
from enct5.files.writing import write_text
from enct5.inference.output_formats import WRITERS
from enct5.inference.output_parts import Parts, check_same, folder_of, record_of

_WRITTEN = re.compile(r"(\d+)/(\d+)", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One of the shards of a table, each of which is rows that follow each other.

    Attributes:
        index: Which one, from 0 on.
        count: How many there are.
    """

    index: int
    count: int

    @classmethod
    def read(cls, written: str) -> "Shard":
        """A shard as the command line has it, such as `0/4`, the first of four.

        Raises:
            EncT5Error: If it is not written so, or there is no such shard.
        """
        found = _WRITTEN.fullmatch(written)
        if found is None:
            raise EncT5Error(f"--shard is {show(written)}; give which shard, counted from 0, and of how many, as `0/4`")
        index, count = map(int, found.groups())
        if index >= count:
            last = f"the last of {count} is `{count - 1}/{count}`" if count else "there is at least one"
            raise EncT5Error(f"--shard is {show(written)}, but shards count from 0: {last}")
        return cls(index, count)

    def rows(self, total: int) -> range:
        """Which of so many rows are the shard's; all shards' sizes differ by one row at most."""
        return range(total * self.index // self.count, total * (self.index + 1) // self.count)

    def output(self, out: Path) -> Path:
        """The file of the shard: Parquet in a folder, or beside the other shards' a file with a number in its name."""
        number = f"{self.index:05}-of-{self.count:05}"
        if is_folder(out):
            return out / f"part-{number}.parquet"
        return out.with_name(f"{out.stem}-{number}{out.suffix}")


def is_folder(out: Path) -> bool:
    """Whether an output is a folder, which may not exist yet."""
    return out.is_dir() or not out.suffix


def check_output(out: Path, source: str) -> None:
    """Refuse what shards could not be written to.

    Raises:
        EncT5Error: For an unknown file type, a folder that does not exist, or the folder that is read.
    """
    if is_folder(out):
        if out.exists() and not out.is_dir():
            raise EncT5Error(f"cannot write shards to {out}: it is a file; name a folder, or a file with an ending")
        folder = out
    elif out.suffix.lower() not in WRITERS:
        raise EncT5Error(f"cannot write {out}: name a folder, or a file that ends in one of {', '.join(WRITERS)}")
    else:
        folder = out.parent
        if not folder.is_dir():
            raise EncT5Error(f"cannot write {out}: the folder {folder} does not exist; create it, or choose another")
    if Path(source).is_dir() and folder.is_dir() and folder.samefile(source):
        raise EncT5Error(f"{source} is read, and shards written there would be read as well; choose another output")


def is_done(file: Path, asked_for: dict[str, Any]) -> bool:
    """Whether a shard's file is there, of a call that asked for the same."""
    try:
        before = json.loads(_done(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return file.is_file() and bool(before == json.loads(json.dumps(asked_for)))


class ShardParts(Parts):
    """The parts of a shard's file, as `Parts`; what was asked for has to be what the other shards were asked for.

    A finished shard's is told by a hidden file beside it, an unfinished one's by its folder `<file>.partial`.

    Args:
        file: The file of the shard.
        shard: Which one it is.
        asked_for: What was asked for, the same for all shards.
        resume: Whether to go on with an interrupted call, if there is one.

    Raises:
        EncT5Error: As `Parts`, and if the output has shards of another number, or of other data, options or models.
    """

    def __init__(self, file: Path, shard: Shard, asked_for: dict[str, Any], resume: bool) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            super().__init__(file, asked_for, resume and folder_of(file).is_dir())
            _done(file).unlink(missing_ok=True)
        except OSError as error:
            raise EncT5Error(f"cannot write {file}: {error.strerror}; choose another output") from error
        self._asked_for = asked_for
        try:  # after one's own is there for others to see: of two that start at once at least one is refused
            _check_others(file, shard, asked_for)
        except BaseException:
            if not self.count:
                self.remove()
            self.__exit__()
            raise

    def join(self, join: Callable[[list[Path], Path], None]) -> None:
        """Make the shard's file of the parts, delete them, and tell that the file is there."""
        super().join(join)
        write_text(json.dumps(self._asked_for), _done(self.out))


def _done(file: Path) -> Path:
    return file.with_name(f".{file.name}.json")


def _check_others(file: Path, shard: Shard, asked_for: dict[str, Any]) -> None:
    own = f"{shard.index:05}-of-{shard.count:05}"
    before, _, behind = file.name.rpartition(own)
    name = re.compile(rf"\.?({re.escape(before)}(\d+)-of-(\d+){re.escape(behind)})(?:\.partial|\.json)?")
    for path in sorted(file.parent.iterdir()):
        found = name.fullmatch(path.name)
        if found is None or found[1] == file.name:
            continue
        if int(found[3]) != shard.count:
            raise EncT5Error(
                f"{file.parent} holds shards of {int(found[3])} ({found[1]}), not of {shard.count}; choose another "
                "output, or delete them"
            )
        record = path if path.name.startswith(".") else record_of(file.parent / found[1])  # finished, or not
        if record.exists() and (path.is_dir() or (file.parent / found[1]).is_file()):
            check_same(record, asked_for, f"the call for {found[1]}", f"delete {file.parent / found[1]}")
