"""Excel workbooks, by openpyxl: the cells of one sheet as texts, as Excel shows them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from itertools import islice
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from enct5.data.compression import ZIP, members
from enct5.data.data_file import DataFile
from enct5.data.tables import ROWS, Batches, check_names, text_batch
from enct5.errors import EncT5Error, require, show, unknown

if TYPE_CHECKING:
    import pyarrow as pa

_SAVE = "save the sheet as .xlsx, or as CSV (UTF-8)"
_ZEROS = re.compile("0+")  # the format of numbers with leading zeros


def read_excel(file: DataFile) -> Batches:
    """The batches of a sheet: the one that is named, or the only one with rows.

    Raises:
        EncT5Error: If there are several, openpyxl is not installed, or the workbook is of another kind.
    """
    file.refuse_options("an Excel workbook")
    if file.compression != ZIP:
        raise EncT5Error(f"{file.source} is no Excel workbook, as its name says; {_SAVE}")
    if "xl/workbook.xml" not in members(file.path, file.source):
        raise EncT5Error(f"{file.source} is a document of an office program, but no Excel workbook of today; {_SAVE}")
    require("openpyxl", "excel", f"reading {file.source}")
    sheet = _choose(file)
    return lambda rows: _batches(file, sheet)


@contextmanager
def _opened(file: DataFile) -> Iterator[Any]:
    """The workbook, its values as they were last computed."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    with file.open() as content:  # by whose name openpyxl would not go
        try:
            workbook = load_workbook(content, read_only=True, data_only=True)
        except (InvalidFileException, BadZipFile, KeyError, ValueError) as error:
            raise EncT5Error(f"cannot read {file.source} as an Excel workbook: {show(error, 200)}; {_SAVE}") from error
        try:
            yield workbook
        finally:
            workbook.close()


def _choose(file: DataFile) -> str:
    with _opened(file) as workbook:
        filled = [sheet.title for sheet in workbook.worksheets if next(_filled(sheet), None) is not None]
        every = workbook.sheetnames
    if file.part is not None and file.part not in filled:
        raise unknown("sheet with rows", file.part, filled, str(file.path))
    if file.part is None and len(filled) > 1:
        named = f"`{file.source}:{filled[0]}`"
        raise EncT5Error(f"{file.source} has {len(filled)} sheets ({', '.join(filled[:20])}); name one, as in {named}")
    if not filled:
        raise EncT5Error(f"{file.source} is empty; give a file with rows")
    if file.part is None:
        file.said.append(f"from sheet {show(filled[0])}" + (", the only one with rows" if len(every) > 1 else ""))
    return file.part or filled[0]


def _filled(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, each with its number."""
    sheet.reset_dimensions()  # some programs write wrong ones
    for number, cells in enumerate(sheet.iter_rows(), 1):
        texts = [_text(cell) for cell in cells]
        if any(texts):
            yield number, texts


def _batches(file: DataFile, name: str) -> Iterator["pa.RecordBatch"]:
    with _opened(file) as workbook:
        rows = _filled(workbook[name])
        _, names = next(rows)
        while not names[-1]:
            names.pop()
        if "" in names:
            raise EncT5Error(
                f"{file.source}, sheet {show(name)}: column {names.index('') + 1} of the first row has no name; give "
                "each column a name there"
            )
        check_names(names, file.source)
        while part := list(islice(rows, ROWS)):
            yield text_batch([_row(texts, len(names), file, number) for number, texts in part], names)


def _row(texts: list[str], width: int, file: DataFile, number: int) -> list[str]:
    if beyond := [text for text in texts[width:] if text]:
        raise EncT5Error(
            f"{file.source}, row {number}: {show(beyond[0])} stands in a column without a name; give it one in row 1"
        )
    return (texts + [""] * width)[:width]


def _text(cell: Any) -> str:
    """What a cell shows; numbers in full, and dates as ISO 8601 has them."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int | float):
        digits = f"{value:.15g}"  # as many as Excel has
        is_code = isinstance(value, int) and _ZEROS.fullmatch(cell.number_format or "")
        percent = isinstance(cell.number_format, str) and cell.number_format.endswith("%")
        if percent:
            return f"{value * 100:.12g}%"
        return digits.zfill(len(cell.number_format)) if is_code else digits
    return str(value)
