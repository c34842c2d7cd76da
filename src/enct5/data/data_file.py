"""A file of a table, unpacked and decoded, and what a user is told of how it is read."""

import io
import logging
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from enct5.data import compression, encodings
from enct5.errors import EncT5Error, show, unknown

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)


class ReadOptions(NamedTuple):
    """What a user says of text files, where it is not to be told from them.

    Attributes:
        delimiter: What separates the fields of CSV.
        encoding: How bytes become characters, as Python names it.
    """

    delimiter: str | None = None
    encoding: str | None = None


class DataFile:
    """A file that is read as often as needed.

    Attributes:
        path: Where it is.
        source: What messages call it.
        options: What the user says of it.
        part: What is asked for of a file that holds several things: a sheet, a key, a file of an archive.
        said: How it is read, where that may surprise.
    """

    def __init__(
        self, path: Path, source: str | None = None, options: ReadOptions | None = None, part: str | None = None
    ) -> None:
        self.path, self.source, self.options, self.part = path, source or str(path), options or ReadOptions(), part
        self.said: list[str] = []
        self._member: str | None = None
        if self.compression == compression.ZIP and not self.is_office:
            self._member, self.part = self._choose_member(), None

    @cached_property
    def compression(self) -> str | None:
        """What packs it."""
        return compression.compression_of(self.path)

    @cached_property
    def is_office(self) -> bool:
        """Whether it is a document of an office program, which is a ZIP archive as well."""
        found = compression.members(self.path, self.source)
        return "[Content_Types].xml" in found or "content.xml" in found

    @property
    def name(self) -> str:
        """The name of the file without what packs it."""
        return self._member or compression.name_unpacked(self.path.name)

    def open(self) -> IO[bytes]:
        """The unpacked bytes."""
        if self.compression == compression.ZIP and self._member is None:
            return self.path.open("rb")
        return compression.open_packed(self.path, self.compression, self._member)

    def open_arrow(self) -> "pa.NativeFile":
        """The unpacked bytes as Arrow reads them: where nothing packs them, from anywhere in the file."""
        import pyarrow as pa

        if self.compression is None:
            return pa.OSFile(str(self.path))
        with self.open() as file:
            return pa.BufferReader(file.read())

    def open_text(self, newline: str = "") -> IO[str]:
        """The decoded text, its line ends as they are; what ends a line is as for Python's `open`."""
        opened: Any = self.open()
        return io.TextIOWrapper(io.BufferedReader(opened), encoding=self.encoding.codec, newline=newline)

    def begin(self) -> bytes:
        """The first bytes."""
        with self.open() as file:
            return file.read(64)

    @cached_property
    def encoding(self) -> encodings.Encoding:
        """How its bytes become characters.

        Raises:
            EncT5Error: If that is not certain, or not what the user says.
        """
        if self.options.encoding is not None:
            found = encodings.named(self.options.encoding)
            encodings.check(self.open, found.codec, self.source)
            return found
        found = encodings.detect(self.open, self.source)
        if found.said:
            self.said.append(f"as {found.said}")
        return found

    def tell(self) -> None:
        """Log how the file is read, once."""
        if self.said:
            logger.info(f"{self.source}: read {', '.join(self.said)}")
            self.said.clear()

    def refuse_options(self, kind: str, *names: str) -> None:
        """Refuse options that mean nothing for a kind of file."""
        for name in names or ReadOptions._fields:
            if getattr(self.options, name) is not None:
                raise EncT5Error(f"--{name} is for files of text{_OF[name]}, and {self.source} is {kind}; leave it out")

    def refuse_part(self, kind: str) -> None:
        """Refuse to look for a part of what has none."""
        if self.part is not None:
            raise EncT5Error(f"{self.source} is {kind}, which has no parts: name it without {show(':' + self.part)}")

    def _choose_member(self) -> str:
        found = compression.members(self.path, self.source)
        if self.part is not None:
            if self.part not in found:
                raise unknown("file", self.part, found, str(self.path))
            return self.part
        if len(found) != 1:
            listed = ", ".join(found[:20]) or "none"
            raise EncT5Error(
                f"{self.source} holds {len(found)} files ({listed}); name one, as in `{self.source}:"
                f"{found[0] if found else 'FILE'}`, or pack one alone"
            )
        return found[0]


_OF = {"delimiter": " whose fields it separates", "encoding": ""}
