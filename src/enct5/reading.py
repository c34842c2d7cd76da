"""Read a table of texts and labels from a file or from the dataset hub.

Text formats are parsed by the csv and json modules, then handed over as a `datasets.Dataset` in memory. (pyarrow's CSV
reader takes rows for a part of a text where a quote is not closed, in silence.)
The CSV and JSON builders of `datasets` are not used, for three reasons seen in their results: short CSV rows are filled
up silently, JSON strings such as "2024-01-31" turn into timestamps, and a copy of the user's data stays in a cache.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.errors import EncT5Error, nearest, show
from enct5.mistaken_formats import by_content, by_names
from enct5.paths import foreign, is_file_name
from enct5.surrogates import check_unicode

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_HALF_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")  # half of a surrogate pair, or of one that is whole
_LONGEST = 2**26  # characters of a field of a CSV file: all that follows a quote which is never closed is one
_ROWS = 4096  # of a CSV file that are held as Python's objects at a time


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
        chunks = _read_file(Path(source).expanduser(), source, rows) if is_path(source) else _read_hub(source, rows)
        for chunk in chunks:
            if len(chunk):
                found = True
                yield _name_classes(chunk, source)
    except OSError as error:
        raise EncT5Error(f"cannot read {source}: {error.strerror or show(error, 200)}") from error
    if not found:
        raise _no_rows(source)


def _no_rows(source: str) -> EncT5Error:
    return EncT5Error(f"{source} has no rows; give a table with at least one row")


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


def _check_names(names: Sequence[str], source: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise EncT5Error(f"{source} has {names.count(twice)} columns named {show(twice)}; give each its own name")
    # datasets cuts names there, and then finds a table without such columns
    cut = next((name for name in names if "\0" in name), None)
    if cut is not None:
        raise EncT5Error(
            f"{source} has NUL characters in its column names ({show(repr(cut))}); save it again as UTF-8, or give "
            "the column another name"
        )


def _dataset(table: "pa.Table", source: str) -> "Dataset":
    from datasets import Dataset

    _check_names(table.column_names, source)
    try:
        return Dataset(table)
    except Exception as error:  # datasets raises whatever wrong metadata of its own lead to
        raise EncT5Error(
            f"cannot make a table of {source}: {show(error, 200)}; save it again with columns of texts, numbers or "
            "lists of them, and without metadata"
        ) from error


def _tables(batches: Iterable["pa.RecordBatch"], source: str, rows: int | None) -> Iterator["Dataset"]:
    """Batches of any size as tables of `rows` rows, or as one."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while rows is not None and sum(map(len, held)) >= rows:
            table = pa.Table.from_batches(held)
            yield _dataset(table.slice(0, rows), source)
            held = table.slice(rows).to_batches()
    if held:
        yield _dataset(pa.Table.from_batches(held), source)


def _read_csv(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    return _tables(_delimited_batches(path, source, ","), source, rows)


def _read_tsv(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    return _tables(_delimited_batches(path, source, "\t"), source, rows)


def _delimited_batches(path: Path, source: str, delimiter: str) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    rows = _delimited_rows(path, source, delimiter)
    names = next(rows, None)
    if names is None:
        raise EncT5Error(f"{source} is empty; give a file with rows")
    _check_names(names, source)
    while part := list(islice(rows, _ROWS)):
        columns = [pa.array(values, pa.string()) for values in zip(*part, strict=True)]
        yield from pa.table(columns, names).to_batches()


def _delimited_rows(path: Path, source: str, delimiter: str) -> Iterator[list[str]]:
    """The rows of a file, that of column names first, all of as many fields."""
    # of the whole process, so never less than others have asked for
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
    number, first, width = 0, 1, 0  # first: the line where the next row begins
    mistaken = None
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                first = reader.line_num + 1
                if not row:  # an empty line
                    continue
                if not number:
                    width, mistaken = len(row), by_names(row)
                number += 1
                if len(row) != width:
                    quoted = f"put a text that holds {_delimiter_name(delimiter)} or a line break between double quotes"
                    raise EncT5Error(
                        f"{source}, row {number} (the header is row 1) has {_fields(len(row))}, the header has "
                        f"{width}: {show(delimiter.join(row))}; {mistaken or quoted}"
                    )
                yield row
        except UnicodeDecodeError:
            for _ in _lines(path, source):  # which tells where
                pass
            raise
        except csv.Error as error:
            if mistaken is not None:
                raise EncT5Error(f"cannot read {source}: {mistaken}") from error
            raise _broken(path, source, delimiter, first, reader.line_num, str(error)) from error


def _broken(path: Path, source: str, delimiter: str, first: int, last: int, error: str) -> EncT5Error:
    """What is wrong with a row, from its first line to the one where the parser gave up."""
    if not re.search("end of data|expected after", error):
        remedy = "; shorten the text, or close a quote that is never closed" if "limit" in error else ""
        return EncT5Error(f"{source}, the row that begins in line {first}: {error}{remedy}")
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(islice(file, first - 1, last))
    is_open = "end of data" in error
    whole = lines if is_open else lines[:-1]
    opened, text = last, ""
    if whole:  # without `strict`, the last field is all that follows the quote which is open behind these lines
        texts = list(StringIO(next(csv.reader(whole, delimiter=delimiter))[-1], newline=""))
        opened, text = first + len(whole) - max(len(texts), 1), texts[0] if texts else ""
    if is_open:
        return EncT5Error(
            f'{source}, line {opened}: the quote before {show(text)} is never closed; close it, or write each `"` '
            "inside a quoted text twice"
        )
    return EncT5Error(
        f"{source}, line {last}: {show(lines[-1])} has more behind a quote that closes a text"
        + (f" (open was {show(text)} of line {opened})" if whole else "")
        + '; write each `"` inside a quoted text twice, or close that text'
    )


def _fields(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"


def _delimiter_name(delimiter: str) -> str:
    """Name a field delimiter in words a message can hold."""
    return "a tab" if delimiter == "\t" else show(delimiter)


def _read_json(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    for _ in _lines(path, source):
        pass
    objects = _json_rows(path, source)
    while part := list(islice(objects, rows)):
        yield _table_of_objects(part, source)


def _table_of_objects(objects: list[dict[str, Any]], source: str) -> "Dataset":
    import pyarrow as pa

    names = dict.fromkeys(name for row in objects for name in row)
    columns, encoded = {}, set()
    try:
        for name in names:
            values = [row.get(name) for row in objects]
            columns[name] = _exactly(values)
            if columns[name] is None:
                # not as `Json` of datasets, which reads the text "1" as a number and rounds numbers
                columns[name] = pa.array([None if v is None else json.dumps(v, ensure_ascii=False) for v in values])
                encoded.add(name)
        table = _dataset(pa.table(columns), source)
    except (pa.ArrowException, RecursionError) as error:
        raise EncT5Error(f"cannot make a table of {source}: {show(error, 200)}") from error
    return table.with_transform(partial(_decoded, encoded)) if encoded else table


def _exactly(values: list[Any]) -> "pa.Array | None":
    """The values as Arrow has them; None where a table would change them, or has no type for all of them."""
    import pyarrow as pa
    from datasets import Dataset

    try:
        array = pa.array(values)
        same = Dataset(pa.table({"": array}))[""][:] == values
    except (
        pa.ArrowException,
        OverflowError,
        ValueError,
    ):  # the last: older Arrow cuts keys at NUL, which may equal then
        return None
    return array if same else None


def _decoded(encoded: set[str], batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """A part of a table, the columns that are held as JSON decoded."""
    return {
        name: [None if value is None else json.loads(value) for value in values] if name in encoded else values
        for name, values in batch.items()
    }


def _json_parts(path: Path) -> Iterator[tuple[int, str]]:
    """The whole of a file that holds a list, or its lines that are not empty, each with its line number."""
    # only "\n" ends a JSON line: str.splitlines would also split texts at rarer line separators
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        filled = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        first = next(filled, None)
        if first is None:
            return
        number, line = first
        if line.lstrip().startswith("["):
            yield number, line + file.read()
            return
        yield number, line.removesuffix("\n")
        yield from ((number, line.removesuffix("\n")) for number, line in filled)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"one object has two keys {next(name for name in names if names.count(name) > 1)}")
    return found


def _json_rows(path: Path, source: str) -> Iterator[dict[str, Any]]:
    first = None
    for number, part in _json_parts(path):
        first = first or number
        try:
            parsed = json.loads(part, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            raise EncT5Error(
                f"{source}, line {number + error.lineno - 1} is not JSON ({error.msg} at column {error.colno}); "
                "expected one object a line, or one list of objects"
            ) from error
        except (ValueError, RecursionError) as error:  # a key twice, a number of thousands of digits, deep nesting
            raise EncT5Error(f"{source}, from line {number} on: {show(error, 200)}; correct or remove it") from error
        whole = isinstance(parsed, list) and number == first
        kind = "item" if whole else "line"
        for place, row in enumerate(parsed, 1) if whole else [(number, parsed)]:
            if not isinstance(row, dict) or not row:  # a table without columns has no rows either
                raise EncT5Error(
                    f"{source}, {kind} {place} is {show(row)}, not an object with columns; "
                    'expected {"column": value, ...}'
                )
            if _HALF_ESCAPE.search(part):
                _check_row(row, source, kind, place)
            yield row


def _check_row(row: dict[str, Any], source: str, kind: str, place: int) -> None:
    """Refuse half a surrogate pair in a row's texts and names, which no table takes."""
    for name, value in row.items():
        shown = show(name.encode(errors="backslashreplace").decode())
        held = [name, value]
        while held:  # a stack: lists may be nested deeper than functions
            part = held.pop()
            if isinstance(part, str):
                check_unicode(part, f"{source}, column {shown}, {kind}", place)
            elif isinstance(part, list | dict):
                held += [*part, *part.values()] if isinstance(part, dict) else part


def _read_parquet(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with pa.parquet.ParquetFile(path) as file:
            # pandas saves the index of a filtered frame as a column that is no part of the data
            names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
            # what other threads have read comes back to the system late, or never
            batches = file.iter_batches(rows or 65_536, columns=names, use_threads=rows is None)
            yield from _tables(_valid(batches), source, rows)
    except (pa.ArrowException, ValueError) as error:
        raise EncT5Error(f"cannot read {source} as Parquet: {show(error, 200)}") from error


def _valid(batches: Iterable["pa.RecordBatch"]) -> Iterator["pa.RecordBatch"]:
    """Batches whose texts are UTF-8 and whose offsets lead somewhere, which pyarrow's reader does not look at."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


_READERS: dict[str, Callable[[Path, str, int | None], Iterator["Dataset"]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def _lines(path: Path, source: str) -> Iterator[str]:
    """The lines of a text file, which is refused where it is not UTF-8."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                raise EncT5Error(
                    f"{source} is not UTF-8 (byte {line[error.start]:#04x} at offset {offset + error.start}); "
                    f"{by_content(path) or 'save it again as UTF-8'}"
                ) from error
            offset += len(line)


def _read_hub(source: str, rows: int | None) -> Iterator["Dataset"]:
    table = load_hub(source)
    for start in range(0, len(table), rows or len(table)):
        yield table.select(range(start, min(len(table), start + (rows or len(table)))))


def load_hub(source: str) -> "Dataset":
    """Load a data set of the hub, `name:split`, as it is there.

    Raises:
        EncT5Error: If it cannot be loaded.
    """
    import datasets

    name, _, split = source.partition(":")
    if Path(name).is_dir():
        raise EncT5Error(f"{name} in {show(source)} is a local folder; name one file in it instead")
    try:
        with _quiet():
            return datasets.load_dataset(name, split=split)
    except (OSError, ValueError, RuntimeError) as error:
        # a missing data set, no network, an unknown split, a missing configuration: datasets explains each of them
        raise EncT5Error(
            f"cannot load {show(source)} from the hub: {show(error, 200)}; "
            "check the name, the split and the network, or download it and give the file"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the progress bars and log lines of the data set libraries off the terminal."""
    import datasets.utils
    import huggingface_hub.utils

    with ExitStack() as restore:
        for library in (datasets.utils, huggingface_hub.utils):
            restore.callback(library.logging.set_verbosity, library.logging.get_verbosity())
            library.logging.set_verbosity(library.logging.CRITICAL)
            if not library.are_progress_bars_disabled():
                restore.callback(library.enable_progress_bars)
                library.disable_progress_bars()
        yield


def _name_classes(table: "Dataset", source: str) -> "Dataset":
    """Replace class ids that carry names by the names; an id below 0 is the hub's mark for a missing label."""
    from datasets import ClassLabel, List, Value

    features = table.features.copy()
    names: dict[str, list[str]] = {}
    for column, feature in table.features.items():
        inner = feature.feature if isinstance(feature, List) else feature
        if isinstance(inner, ClassLabel):
            names[column] = inner.names
            features[column] = List(Value("string")) if isinstance(feature, List) else Value("string")
    if not names:
        return table

    def rename(batch: dict[str, list[Any]]) -> dict[str, list[object]]:
        try:
            return {column: [_class_name(value, names[column]) for value in batch[column]] for column in names}
        except IndexError as error:
            known = ", ".join(f"{len(of)} in {show(column)}" for column, of in names.items())
            raise EncT5Error(f"{source} has ids of classes beyond its names ({known}); save it with names") from error

    with _quiet():
        return table.map(rename, batched=True, features=features)


def _class_name(value: int | list[int | None] | None, names: list[str]) -> object:
    if isinstance(value, list):
        return [_class_name(item, names) for item in value]
    return None if value is None or value < 0 else names[value]
