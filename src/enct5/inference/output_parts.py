"""An output that takes long: written part by part aside, and under its name when all of it is there."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from enct5.errors import EncT5Error, show
from enct5.files.locks import only_writer
from enct5.files.writing import atomic_file, write_text

_ASKED_FOR = "asked_for.json"
_UNFINISHED = "unfinished"


def folder_of(out: Path) -> Path:
    """Where the parts of an output are, until it is there."""
    return out.with_name(f"{out.name}.partial")


def record_of(out: Path) -> Path:
    """The file that says what the parts of an output were asked for."""
    return folder_of(out) / _ASKED_FOR


def check_same(record: Path, asked_for: dict[str, Any], call: str, otherwise: str) -> None:
    """Refuse to go on with what was asked for otherwise.

    Args:
        record: Says what was asked for.
        asked_for: What is asked for now.
        call: Who asked, for the message.
        otherwise: What to do but to ask for the same.

    Raises:
        EncT5Error: If it was something else, or is not told.
    """
    try:
        written = record.read_bytes()
    except OSError:
        written = b""
    compare(written, record, asked_for, call, otherwise)


def compare(written: bytes, record: Path | str, asked_for: dict[str, Any], call: str, otherwise: str) -> None:
    """As `check_same`, where the content of the record has been read."""
    try:
        before = dict(json.loads(written))
    except (ValueError, TypeError):
        raise EncT5Error(f"{record} does not say what was asked for; {otherwise}, and start anew") from None
    if before.keys() != asked_for.keys():
        raise EncT5Error(f"another version of enct5 wrote {record}; go on with that one, or {otherwise}")
    for name, value in asked_for.items():
        former = before.get(name)
        if former != value:
            raise EncT5Error(
                f"{call} had another {name} ({show(former)}, not {show(value)}); repeat that command, or {otherwise}"
            )


class Parts:
    """The parts of an output, in the folder `<out>.partial` beside it, which is this call's in a `with` block.

    A part is there as a whole or not at all, so a call that was killed can be resumed after its last one.

    Args:
        out: The output.
        asked_for: What was asked for; a call that resumes has to ask for the same.
        resume: Whether to go on with an interrupted call.

    Attributes:
        count: Number of parts that are there.

    Raises:
        EncT5Error: Without anything to resume, or with it but not asked to; while another call writes them; or if the
            folder cannot be made.
    """

    def __init__(self, out: Path, asked_for: dict[str, Any], resume: bool) -> None:
        self.out, self._folder = out, folder_of(out)
        with ExitStack() as held:
            if self._folder.is_dir():
                held.enter_context(only_writer(self._folder, out))
                if not resume:
                    raise EncT5Error(
                        f"{self._folder} holds what an interrupted call has done; add --resume, or delete it"
                    )
            if resume:
                self._check_same(asked_for)
            else:
                try:
                    self._folder.mkdir()
                except OSError as error:
                    raise EncT5Error(f"cannot write {out}: {error.strerror}; choose another output") from error
                write_text(json.dumps(asked_for), record_of(out), "choose another output")
                held.enter_context(only_writer(self._folder, out))
            self.count = 0
            while self._part(self.count).exists():
                self.count += 1
            self._held = held.pop_all()

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()

    def _check_same(self, asked_for: dict[str, Any]) -> None:
        if not self._folder.is_dir():
            raise EncT5Error(f"there is no interrupted call for {self.out} to resume; leave out --resume")
        check_same(record_of(self.out), asked_for, "the interrupted call", f"delete {self._folder}")

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06}"

    @contextmanager
    def next(self) -> Iterator[Path]:
        """The file to write the next part to."""
        with atomic_file(self._part(self.count), self._folder / _UNFINISHED) as file:
            yield file
        self.count += 1

    def join(self, join: Callable[[list[Path], Path], None]) -> None:
        """Make the output of the parts, and delete them."""
        with atomic_file(self.out, self._folder / _UNFINISHED) as file:
            join([self._part(number) for number in range(self.count)], file)
        self.remove()

    def remove(self) -> None:
        """Delete the parts."""
        shutil.rmtree(self._folder, ignore_errors=True)
