"""Packed files: what packs them is told by their first bytes, and they are unpacked while they are read."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from enct5.errors import EncT5Error, show

_ZSTD, ZIP = "zstd", "zip"
# bzip2 has a number for its block's size between the two parts.
_BEGINNINGS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": _ZSTD,
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": ZIP,
}
_ENDINGS = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd", ".zip")
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)


def compression_of(path: Path) -> str | None:
    """What packs a file: gzip, bzip2, xz, zstd or zip; `None` for nothing that is known."""
    with path.open("rb") as file:
        begin = file.read(10)
    if begin.startswith(b"BZh") and begin[4:10] == b"1AY&SY":
        return "bzip2"
    return next((kind for magic, kind in _BEGINNINGS.items() if begin.startswith(magic)), None)


def name_unpacked(name: str) -> str:
    """A file's name without what says that it is packed."""
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def open_packed(path: Path, compression: str | None, member: str | None = None) -> IO[bytes]:
    """The bytes of a file, unpacked.

    Args:
        path: The file.
        compression: As from `compression_of`.
        member: The file to read of a ZIP archive.
    """
    if compression == _ZSTD:  # which Python has from 3.14 on, and Arrow always
        import pyarrow as pa

        return cast("IO[bytes]", pa.input_stream(str(path), compression=_ZSTD))
    if compression == ZIP:
        return zipfile.ZipFile(path).open(str(member))
    opened: dict[str | None, Callable[[Path], Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
    return cast("IO[bytes]", opened[compression](path) if compression in opened else path.open("rb"))


@contextmanager
def told_if_broken(source: str, compression: str | None) -> Iterator[None]:
    """Tell in one line that what is packed cannot be unpacked.

    Raises:
        EncT5Error: In the place of the errors of those that unpack.
    """
    try:
        yield
    except _BROKEN as error:
        raise _damaged(source, compression, error) from error
    except OSError as error:
        if compression is None or error.errno is not None:
            raise
        raise _damaged(source, compression, error) from error


def _damaged(source: str, compression: str | None, error: Exception) -> EncT5Error:
    return EncT5Error(
        f"cannot unpack {source} ({compression}): {show(error, 200)}; it is damaged, or a part is missing"
    )


def members(path: Path, source: str) -> list[str]:
    """The files in a ZIP archive, without those that the system of a Mac adds.

    Raises:
        EncT5Error: For an archive with a password, or a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
    except zipfile.BadZipFile as error:
        raise _damaged(source, ZIP, error) from error
    if any(one.flag_bits & 1 for one in found):
        raise EncT5Error(f"{source} is a ZIP archive with a password; unpack it")
    return [one.filename for one in found if not Path(one.filename).name.startswith(".")]
