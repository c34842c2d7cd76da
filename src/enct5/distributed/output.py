"""A folder of predictions that many machines write to: begun once, gone on with by whoever asked for the same."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.distributed.table_files import is_url
from enct5.errors import EncT5Error, show
from enct5.files.locks import only_writer
from enct5.inference.output_parts import compare

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_ASKED_FOR = "asked_for.json"
_DONE = "_SUCCESS"  # as Hadoop and Spark call it, which readers of a folder pass over


class Output:
    """A folder here or behind a URL; what is not finished is told by the folder `<out>.partial` beside it.

    Args:
        out: The folder.

    Attributes:
        path: Where it is, as `filesystem` has it.
        checkpoint: Where Ray notes which rows are there.

    Raises:
        EncT5Error: If nothing can be written there, or if it is a file.
    """

    def __init__(self, out: str) -> None:
        from fsspec.core import url_to_fs

        self.out = out.rstrip("/")
        try:
            self._files, path = url_to_fs(self.out)
        except (ImportError, ValueError) as error:  # for want of a package, or of a protocol
            raise EncT5Error(f"cannot write to {out}: {show(error, 200)}") from error
        self._local = not is_url(out) or out.startswith("file://")
        self.path = str(Path(path).absolute()) if self._local else path
        self._partial = f"{self.path}.partial"
        self.checkpoint = f"{self._partial}/checkpoint"
        if self._files.isfile(self.path):
            raise EncT5Error(f"cannot write to {out}: it is a file; name a folder")

    @property
    def filesystem(self) -> "FileSystem":
        """The file system, as Arrow has it."""
        from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem

        return LocalFileSystem() if self._local else PyFileSystem(FSSpecHandler(self._files))

    @contextmanager
    def written(self, asked_for: dict[str, Any], resume: bool) -> Iterator[bool]:
        """A block in which files are written; at its end they are all there. It says whether they are there already.

        Args:
            asked_for: What decides what is written.
            resume: Whether to go on with an interrupted call, if there is one.

        Raises:
            EncT5Error: If the folder holds what was asked for otherwise, or what is not to be gone on with.
        """
        done, record = f"{self.path}/{_DONE}", f"{self._partial}/{_ASKED_FOR}"
        if self._files.exists(done):
            if not resume:
                raise EncT5Error(f"{self.out} holds finished predictions; choose another output, or delete it")
            self._check_same(done, asked_for, self.out)
            yield True
            return
        if self._files.exists(record):
            if not resume:
                raise EncT5Error(
                    f"{self.out} holds what an interrupted call has done; add --resume (`resume=True`), or delete it "
                    f"and {self.out}.partial"
                )
            self._check_same(record, asked_for, f"{self.out} and {self.out}.partial")
        elif self._files.isdir(self.path) and self._files.ls(self.path):
            raise EncT5Error(f"{self.out} exists and is not empty; choose another folder, or delete it")
        try:
            self._files.makedirs(self._partial, exist_ok=True)
            self._files.pipe_file(record, json.dumps(asked_for).encode())
        except OSError as error:
            raise EncT5Error(f"cannot write to {self.out}: {error.strerror or error}; choose another output") from error
        with only_writer(Path(self._partial), Path(self.out)) if self._local else _nobody_else():
            yield False
            self._files.pipe_file(done, json.dumps(asked_for).encode())
        self._files.rm(self._partial, recursive=True)

    def _check_same(self, record: str, asked_for: dict[str, Any], written: str) -> None:
        compare(self._files.cat_file(record), record, asked_for, "the call before", f"delete {written}")


@contextmanager
def _nobody_else() -> Iterator[None]:
    """No lock, which other file systems have not."""
    yield
