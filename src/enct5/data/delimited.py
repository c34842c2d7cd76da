"""CSV and TSV, parsed once and strictly."""

import csv
import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from enct5.data.mistaken_formats import by_names
from enct5.data.tables import check_names, lines, tables
from enct5.errors import EncT5Error, show

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


_LONGEST = 2**26  # characters of a field of a CSV file: all that follows a quote which is never closed is one
_ROWS = 4096  # of a CSV file that are held as Python's objects at a time


def read_csv(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    """Tables of a CSV file, of so many rows; None for one."""
    return tables(_delimited_batches(path, source, ","), source, rows)


def read_tsv(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    """Tables of a TSV file likewise."""
    return tables(_delimited_batches(path, source, "\t"), source, rows)


def _delimited_batches(path: Path, source: str, delimiter: str) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    rows = _delimited_rows(path, source, delimiter)
    names = next(rows, None)
    if names is None:
        raise EncT5Error(f"{source} is empty; give a file with rows")
    check_names(names, source)
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
            for _ in lines(path, source):  # which tells where
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
        read = list(islice(file, first - 1, last))
    is_open = "end of data" in error
    whole = read if is_open else read[:-1]
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
        f"{source}, line {last}: {show(read[-1])} has more behind a quote that closes a text"
        + (f" (open was {show(text)} of line {opened})" if whole else "")
        + '; write each `"` inside a quoted text twice, or close that text'
    )


def _fields(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"


def _delimiter_name(delimiter: str) -> str:
    """Name a field delimiter in words a message can hold."""
    return "a tab" if delimiter == "\t" else show(delimiter)
