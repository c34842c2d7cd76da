"""Files of a table, here or behind a URL, each read by whichever worker is free, with the number of every row."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from enct5.data.any_values import encoded_columns
from enct5.data.columns import check_columns
from enct5.data.compression import name_unpacked
from enct5.data.data_file import ReadOptions
from enct5.data.locating import FORMATS, STDIN, locate
from enct5.data.reading import read_chunks
from enct5.data.shaping import with_texts
from enct5.errors import EncT5Error, show
from enct5.files.digests import digest

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 4096  # of a table that is handed out


class TableFile(NamedTuple):
    """A file.

    Attributes:
        address: An absolute path, or a URL.
        part: What of it is asked for, such as a sheet.
    """

    address: str
    part: str | None = None

    @contextmanager
    def here(self) -> Iterator[str]:
        """What reads it on this machine: itself, or a copy for as long as the block goes on."""
        part = "" if self.part is None else f":{self.part}"
        if not is_url(self.address):
            yield self.address + part
            return
        from fsspec.core import url_to_fs

        filesystem, path = url_to_fs(self.address)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / Path(path).name
            try:
                filesystem.get_file(path, str(copy))
                yield str(copy) + part
            except OSError as error:
                raise EncT5Error(f"cannot read {self.address}: {error.strerror or show(error, 200)}") from error
            except EncT5Error as error:  # which names the copy
                raise EncT5Error(str(error).replace(str(copy), self.address)) from error


class Asked(NamedTuple):
    """What is wanted of files.

    Attributes:
        text: The text columns.
        takes_words: Whether a text may be a list of words.
        options: What the user says of text files.
    """

    text: tuple[str, ...]
    takes_words: bool
    options: ReadOptions


class Checked(NamedTuple):
    """What a file holds.

    Attributes:
        rows: Their number.
        schema: Its columns.
        digest: SHA-256 of its bytes.
    """

    rows: int
    schema: "pa.Schema"
    digest: str


def is_url(source: str) -> bool:
    """Whether a source is a URL, such as `s3://bucket/folder`."""
    return "://" in source


def find_files(source: str) -> list[TableFile]:
    """The files of a source, in the order of their rows.

    Args:
        source: A file, folder, pattern, or several files separated by commas; or a file, folder or pattern behind a
            URL of fsspec.

    Raises:
        EncT5Error: If there are none, or it is not files.
    """
    if is_url(source):
        return [TableFile(address) for address in _behind_url(source)]
    located = None if source == STDIN else locate(source)
    if located is None or located.is_saved:
        raise EncT5Error(f"workers of Ray read files, and {show(source)} is none; save it as Parquet first")
    return [TableFile(str(path.absolute()), located.part) for path in located.paths]


def _behind_url(source: str) -> list[str]:
    from fsspec.core import url_to_fs

    try:
        filesystem, path = url_to_fs(source)
        if filesystem.isfile(path):
            found = [path]
        elif filesystem.isdir(path):
            entries = filesystem.ls(path, detail=True)
            found = [one["name"] for one in entries if one["type"] == "file" and _ending(one["name"]) in FORMATS]
        else:
            found = [name for name in filesystem.glob(path) if filesystem.isfile(name)]
    except (ImportError, ValueError, OSError) as error:  # the first two: for want of a package, or of a protocol
        raise EncT5Error(f"cannot read {source}: {show(error, 200)}") from error
    found = sorted(name for name in found if not Path(name).name.startswith((".", "_")))
    if not found:
        raise EncT5Error(f"no file {show(source)}; give a file, a folder of tables, or a pattern")
    if len(kinds := {_ending(name) for name in found}) > 1:
        raise EncT5Error(f"{source} is files of several formats ({', '.join(sorted(kinds))}); give those of one")
    return [filesystem.unstrip_protocol(name) for name in found]


def _ending(name: str) -> str:
    return Path(name_unpacked(Path(name).name)).suffix.lower()


def _tables(source: str, asked: Asked) -> Iterator["pa.Table"]:
    first = 1
    for chunk in read_chunks(source, _ROWS, asked.options):
        shaped = with_texts(chunk, asked.text, source)
        check_columns(shaped, source, asked.text, None, takes_words=asked.takes_words, first_row=first)
        if mixed := encoded_columns(shaped):
            raise EncT5Error(
                f"column {show(min(mixed))} of {source} holds values of several types, which Parquet does not; leave "
                "it out, or predict without Ray to .jsonl"
            )
        first += len(chunk)
        yield shaped.with_format("arrow")[:].replace_schema_metadata(None)


def check(file: TableFile, asked: Asked) -> Checked:
    """Read a file once, so that its faults are told before any work is done.

    Raises:
        EncT5Error: If it cannot be read, or lacks the columns.
    """
    import pyarrow as pa

    rows, schemas = 0, list[pa.Schema]()
    with file.here() as source:
        for table in _tables(source, asked):
            rows += len(table)
            if not schemas or table.schema != schemas[-1]:
                schemas = [unified([*schemas, table.schema], file.address)]
        path = source if file.part is None else source.removesuffix(f":{file.part}")
        return Checked(rows, schemas[0], str(digest(path)))


def unified(schemas: Sequence["pa.Schema"], source: str) -> "pa.Schema":
    """The columns of tables that are one: all names, and types that hold all values.

    Raises:
        EncT5Error: If there are none.
    """
    import pyarrow as pa

    try:
        return pa.unify_schemas(list(schemas), promote_options="permissive")
    except pa.ArrowException as error:
        raise EncT5Error(f"the columns of {source} differ: {show(error, 200)}; save them alike") from error


def read(file: TableFile, asked: Asked, schema: "pa.Schema", first_row: int, id_column: str) -> Iterator["pa.Table"]:
    """A file's rows, with their numbers in the whole table.

    Args:
        file: The file.
        asked: What is wanted of it.
        schema: The columns of all files.
        first_row: The number of its first row.
        id_column: The column for the numbers.
    """
    import pyarrow as pa

    with file.here() as source:
        for table in _tables(source, asked):
            columns = [
                table[field.name].cast(field.type)
                if field.name in table.column_names
                else pa.nulls(len(table), field.type)
                for field in schema
            ]
            ids = pa.array(range(first_row, first_row + len(table)), pa.int64())
            yield pa.table([ids, *columns], names=[id_column, *schema.names])
            first_row += len(table)


def digest_of(checked: Sequence[Checked]) -> str:
    """SHA-256 of the files' digests, in their order."""
    return hashlib.sha256("\n".join(one.digest for one in checked).encode()).hexdigest()
