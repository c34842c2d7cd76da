"""CSV and TSV, parsed once and strictly."""

import csv
import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from typing import TYPE_CHECKING

from enct5.data import delimiters
from enct5.data.data_file import DataFile
from enct5.data.delimiters import Delimiter
from enct5.data.mistaken_formats import by_names
from enct5.data.tables import ROWS, Batches, check_names, text_batch
from enct5.errors import EncT5Error, show

if TYPE_CHECKING:
    import pyarrow as pa


_LONGEST = 2**26  # characters of a field of a CSV file: all that follows a quote which is never closed is one


def read_csv(file: DataFile) -> Batches:
    """The batches of a CSV file."""
    return _read_delimited(file, ",")


def read_tsv(file: DataFile) -> Batches:
    """The batches of a TSV file likewise."""
    return _read_delimited(file, "\t")


def _read_delimited(file: DataFile, default: str) -> Batches:
    # of the whole process, so never less than others have asked for
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
    file.refuse_part("a file of text")
    wanted = file.options.delimiter
    delimiter = delimiters.detect(
        file.open_text, file.source, default, None if wanted is None else delimiters.named(wanted)
    )
    if wanted is None and delimiter.character != default:
        file.said.insert(0, f"with {delimiters.in_words(delimiter.character)} between fields")
    return lambda rows: _batches(file, delimiter)


def _batches(file: DataFile, delimiter: Delimiter) -> Iterator["pa.RecordBatch"]:
    rows = _rows(file, delimiter)
    names = next(rows, None)
    if names is None:
        raise EncT5Error(f"{file.source} is empty; give a file with rows")
    check_names(names, file.source)
    while part := list(islice(rows, ROWS)):
        yield text_batch(part, names)


def _rows(file: DataFile, delimiter: Delimiter) -> Iterator[list[str]]:
    """The rows of a file, that of column names first, all of as many fields."""
    number, first, width = 0, 1 + delimiter.skipped, 0  # first: the line where the next row begins
    character, mistaken = delimiter.character, None
    with file.open_text() as text:
        lines = islice(text, delimiter.skipped, None)
        reader = csv.reader(lines, delimiter=character, strict=True)
        try:
            for row in reader:
                first = reader.line_num + 1 + delimiter.skipped
                if not row:  # an empty line
                    continue
                if not number:
                    width, mistaken = len(row), by_names(row)
                number += 1
                if len(row) != width:
                    name = delimiters.in_words(character)
                    quoted = f"put a text that holds {name} or a line break between double quotes"
                    if width == 1 and file.options.delimiter is None:
                        quoted += ", or name what separates fields with --delimiter"
                    raise EncT5Error(
                        f"{file.source}, row {number} (the header is row 1) has {_fields(len(row))}, the header has "
                        f"{width}: {show(character.join(row))}; {mistaken or quoted}"
                    )
                yield row
        except csv.Error as error:
            if mistaken is not None:
                raise EncT5Error(f"cannot read {file.source}: {mistaken}") from error
            raise _broken(file, character, first, reader.line_num + delimiter.skipped, str(error)) from error


def _broken(file: DataFile, delimiter: str, first: int, last: int, error: str) -> EncT5Error:
    """What is wrong with a row, from its first line to the one where the parser gave up."""
    source = file.source
    if not re.search("end of data|expected after", error):
        remedy = "; shorten the text, or close a quote that is never closed" if "limit" in error else ""
        return EncT5Error(f"{source}, the row that begins in line {first}: {error}{remedy}")
    with file.open_text() as text:
        read = list(islice(text, first - 1, last))
    is_open = "end of data" in error
    whole = read if is_open else read[:-1]
    opened, field = last, ""
    if whole:  # without `strict`, the last field is all that follows the quote which is open behind these lines
        texts = list(StringIO(next(csv.reader(whole, delimiter=delimiter))[-1], newline=""))
        opened, field = first + len(whole) - max(len(texts), 1), texts[0] if texts else ""
    if is_open:
        return EncT5Error(
            f'{source}, line {opened}: the quote before {show(field)} is never closed; close it, or write each `"` '
            "inside a quoted text twice"
        )
    return EncT5Error(
        f"{source}, line {last}: {show(read[-1])} has more behind a quote that closes a text"
        + (f" (open was {show(field)} of line {opened})" if whole else "")
        + '; write each `"` inside a quoted text twice, or close that text'
    )


def _fields(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"
