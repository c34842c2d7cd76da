"""Read a table of texts and labels from a file or from the dataset hub.

Text formats are parsed by the csv and json modules, then handed over as a `datasets.Dataset` in memory. (pyarrow's CSV
reader takes rows for a part of a text where a quote is not closed, in silence.)
The CSV and JSON builders of `datasets` are not used, for three reasons seen in their results: short CSV rows are filled
up silently, JSON strings such as "2024-01-31" turn into timestamps, and a copy of the user's data stays in a cache.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from enct5.data.delimited import read_csv, read_tsv
from enct5.data.hub import name_classes, read_hub
from enct5.data.json_rows import read_json
from enct5.data.mistaken_formats import by_content
from enct5.data.parquet import read_parquet
from enct5.data.tables import no_rows
from enct5.errors import EncT5Error, nearest, show
from enct5.files.paths import foreign, is_file_name

if TYPE_CHECKING:
    from datasets import Dataset


_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")

_READERS: dict[str, Callable[[Path, str, int | None], Iterator["Dataset"]]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_json,
    ".json": read_json,
    ".parquet": read_parquet,
}


def read_table(source: str) -> "Dataset":
    """Read a table by file extension (CSV, TSV, JSONL, JSON, Parquet) or by hub id.

    Every CSV and TSV value stays the text that was written: "NA", "null" and "01" are not interpreted. Columns of class
    ids with names (Parquet files and hub data sets may have them) are turned into those names.

    Args:
        source: A path, or `name:split` or `org/name:split` for a data set of the hub.

    Returns:
        The table. Files are read into memory, nothing is cached on disk.

    Raises:
        EncT5Error: If the source is missing, unreadable, empty or broken.
    """
    return next(read_chunks(source, None))


def read_chunks(source: str, rows: int | None) -> Iterator["Dataset"]:
    """Read a table as `read_table` does, so many rows at a time, in memory that does not grow with the file.

    JSON that is one list is read as a whole. The columns of JSON lines are those of the chunk's rows.

    Args:
        source: A path, or a data set of the hub.
        rows: Rows of a chunk; None for all in one.

    Yields:
        Tables of `rows` rows, the last of fewer.

    Raises:
        EncT5Error: If the source is missing, unreadable, empty or broken; for what is broken, when it is reached.
    """
    found = False
    try:
        chunks = _read_file(Path(source).expanduser(), source, rows) if is_path(source) else read_hub(source, rows)
        for chunk in chunks:
            if len(chunk):
                found = True
                yield name_classes(chunk, source)
    except OSError as error:
        raise EncT5Error(f"cannot read {source}: {error.strerror or show(error, 200)}") from error
    if not found:
        raise no_rows(source)


def is_path(source: str) -> bool:
    """Tell a file from a hub id; raise for a source that is neither."""
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(file.name for file in path.iterdir() if file.suffix.lower() in _READERS)
        raise EncT5Error(f"{source} is a folder; name one file in it ({', '.join(files[:20]) or 'none is readable'})")
    if path.exists():
        return True
    if kind := foreign(source):
        raise EncT5Error(f"{source} is {kind}; give the path of a file here")
    name, _, split = source.partition(":")
    if split and _HUB_ID.fullmatch(name) and not is_file_name(name):
        return False
    if _HUB_ID.fullmatch(source) and path.suffix.lower() not in _READERS and "." not in path.name:
        raise EncT5Error(f"no file {show(source)}; a data set of the hub needs its split, as in `{source}:train`")
    guess = nearest(path.name, [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else [])
    raise EncT5Error(f"no file {show(source, 200)}; " + (f"did you mean `{guess}`?" if guess else "check the path"))


def _read_file(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        said = by_content(path)
        raise EncT5Error(
            f"cannot tell the format of {source}; {f'{said}, and ' if said else ''}its name must end in one of "
            f"{', '.join(_READERS)}"
        )
    if path.stat().st_size == 0:
        raise EncT5Error(f"{source} is empty; give a file with rows")
    return reader(path, source, rows)
