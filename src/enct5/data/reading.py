"""Read a table of texts and labels from files or from the dataset hub.

Text formats are parsed by the csv and json modules, then handed over as a `datasets.Dataset`. (pyarrow's CSV
reader takes rows for a part of a text where a quote is not closed, in silence.)
The CSV and JSON builders of `datasets` are not used, for three reasons seen in their results: short CSV rows are filled
up silently, JSON strings such as "2024-01-31" turn into timestamps, and a copy of the user's data stays in a cache.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.data import arrow, plain_text
from enct5.data.any_values import table_of_objects, table_of_parts
from enct5.data.compression import told_if_broken
from enct5.data.data_file import DataFile, ReadOptions, logger
from enct5.data.delimited import read_csv, read_tsv
from enct5.data.excel import read_excel
from enct5.data.hub import name_classes, read_hub
from enct5.data.in_memory import InMemory
from enct5.data.json_rows import Objects, read_json
from enct5.data.locating import FORMATS, STDIN, locate
from enct5.data.parquet import read_parquet
from enct5.data.saved import read_saved
from enct5.data.tables import Batches, joined, no_rows, tables
from enct5.errors import EncT5Error, show

if TYPE_CHECKING:
    from datasets import Dataset

Chunks = Callable[[int | None], Iterator["Dataset"]]
_JSON = (".jsonl", ".ndjson", ".jl", ".jsonlines", ".json")
_READERS: dict[str, Callable[[DataFile], Batches]] = {
    ".csv": read_csv,
    ".psv": read_csv,
    ".tsv": read_tsv,
    ".tab": read_tsv,
    ".txt": plain_text.read_text,
    ".fasttext": plain_text.read_fasttext,
    **dict.fromkeys((".conll", ".iob", ".bio"), plain_text.read_conll),
    ".parquet": read_parquet,
    **dict.fromkeys((".feather", ".arrow"), arrow.read_arrow),
    **dict.fromkeys((".xlsx", ".xlsm"), read_excel),
}
# What files of these formats begin with, whatever their names.
_BEGINNINGS = {b"PAR1": ".parquet", arrow.FILE: ".feather", arrow.STREAM: ".arrow", arrow.OLD_FEATHER: ".feather"}
_OBJECTS = 65_536  # rows of JSON that are held as Python's objects, where that does not change their columns
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"


def read_table(source: str, options: ReadOptions | None = None) -> "Dataset":
    """Read a table by a file's name and content, or by hub id.

    Every CSV and TSV value stays the text that was written: "NA", "null" and "01" are not interpreted. Columns of class
    ids with names (Parquet files and hub data sets may have them) are turned into those names.

    Args:
        source: A path, pattern or folder, `-` for standard input, or `name:split` or `org/name:split` for a data set of
            the hub. Behind a path `:part` names a sheet, a split, a list of a JSON file, a file of an archive.
        options: What the user says of text files.

    Returns:
        The table. What of it is large lies in a file that nobody else sees (`enct5.files.scratch`); nothing is cached.

    Raises:
        EncT5Error: If the source is missing, unreadable, empty or broken.
    """
    return next(read_chunks(source, None, options))


def read_chunks(source: str, rows: int | None, options: ReadOptions | None = None) -> Iterator["Dataset"]:
    """Read a table as `read_table` does, so many rows at a time, in memory that does not grow with the file.

    JSON in one piece is read as a whole. The columns of JSON lines are those of the chunk's rows.

    Args:
        source: As for `read_table`.
        rows: Rows of a chunk; None for all in one.
        options: As for `read_table`.

    Yields:
        Tables of `rows` rows, the last of fewer.

    Raises:
        EncT5Error: If the source is missing, unreadable, empty or broken; for what is broken, when it is reached.
    """
    yield from open_table(source, options)(rows)


def open_table(source: str, options: ReadOptions | None = None) -> Chunks:
    """Find out how to read a table, and log that where it may surprise.

    Args:
        source: As for `read_table`.
        options: As for `read_table`.

    Returns:
        What reads it as `read_chunks` does, each time from the first row on.

    Raises:
        EncT5Error: If the source is missing, unreadable or empty, or how to read it is not certain.
    """
    try:
        chunks = _open(source, options or ReadOptions())
    except OSError as error:
        raise _unreadable(source, error) from error

    def checked(rows: int | None) -> Iterator["Dataset"]:
        found = False
        try:
            for chunk in chunks(rows):
                if len(chunk):
                    found = True
                    yield name_classes(chunk, source)
        except OSError as error:
            raise _unreadable(source, error) from error
        if not found:
            raise no_rows(source)

    return checked


def _unreadable(source: str, error: OSError) -> EncT5Error:
    return EncT5Error(f"cannot read {source}: {error.strerror or show(error, 200)}")


def _open(source: str, options: ReadOptions) -> Chunks:
    if isinstance(source, InMemory):
        if options != ReadOptions():
            raise EncT5Error(f"`delimiter` and `encoding` are for text files, not for {source}; leave them out")
        return source.chunks
    located = locate(source)
    if located is None:
        return lambda rows: read_hub(source, rows)
    if located.is_saved:
        return lambda rows: read_saved(located.paths[0], source, rows)
    several = len(located.paths) > 1
    if several:
        names = ", ".join(path.name for path in located.paths[:20]) + (", ..." if len(located.paths) > 20 else "")
        logger.info(f"{source}: {len(located.paths)} files, {names}")
    files = [
        DataFile(path, str(path) if several else "standard input" if source == STDIN else source, options, located.part)
        for path in located.paths
    ]
    kinds = {_format(file) for file in files}
    if len(kinds) > 1:
        raise EncT5Error(f"{source} is files of several formats ({', '.join(sorted(kinds))}); give those of one")
    (kind,) = kinds
    if kind in _JSON:
        return _of_objects(source, [(file, _told(file, read_json)) for file in files])
    return _of_batches(source, [(file, _told(file, _READERS[kind])) for file in files])


def _told(file: DataFile, reader: Callable[[DataFile], Any]) -> Any:
    if not file.begin():
        raise EncT5Error(f"{file.source} is empty; give a file with rows")
    with told_if_broken(file.source, file.compression):
        found = reader(file)
    file.tell()
    return found


def _of_objects(source: str, parts: list[tuple[DataFile, Objects]]) -> Chunks:
    def lists(rows: int | None) -> Iterator[list[Any]]:
        objects = chain.from_iterable(_guarded(file, read) for file, read in parts)
        while part := list(islice(objects, rows)):
            yield part

    def chunks(rows: int | None) -> Iterator["Dataset"]:
        if rows is None and (table := table_of_parts(lists(_OBJECTS), source)) is not None:
            yield table
        else:
            yield from (table_of_objects(part, source) for part in lists(rows))

    return chunks


def _of_batches(source: str, parts: list[tuple[DataFile, Batches]]) -> Chunks:
    guarded = [(file.source, partial(_guarded, file, read)) for file, read in parts]
    return lambda rows: tables(joined(guarded, rows), source, rows)


def _guarded(file: DataFile, read: Callable[..., Iterator[Any]], *rows: int | None) -> Iterator[Any]:
    with told_if_broken(file.source, file.compression):
        yield from read(*rows)


def _format(file: DataFile) -> str:
    """The ending that stands for a file's format, which its first bytes tell, or else its name."""
    with told_if_broken(file.source, file.compression):
        begin = file.begin()
    ending = Path(file.name).suffix.lower()
    if begin.startswith(_OLD_OFFICE):
        raise EncT5Error(f"{file.source} is an Excel workbook of before 2007; save the sheet as .xlsx, or CSV (UTF-8)")
    by_content = ".xlsx" if file.compression == "zip" and file.is_office else None
    by_content = by_content or next((kind for magic, kind in _BEGINNINGS.items() if begin.startswith(magic)), None)
    if by_content is not None:
        if _READERS.get(ending) is not _READERS[by_content]:
            file.said.append(f"as {by_content.removeprefix('.').capitalize()}, which it is")
        return by_content
    if ending in _READERS or ending in _JSON:
        return ending
    if not ending:
        return ".json" if begin.decode("utf-8-sig", "replace").lstrip()[:1] in ("{", "[") else ".txt"
    raise EncT5Error(
        f"cannot tell the format of {file.source}; its name must end in one of {', '.join(FORMATS)}, packed or not"
    )
