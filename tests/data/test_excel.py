"""Excel workbooks: the cells of one sheet as they are shown."""

import logging
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from enct5.data.data_file import ReadOptions
from enct5.data.reading import read_chunks, read_table
from enct5.errors import EncT5Error

openpyxl = pytest.importorskip("openpyxl", reason="needs openpyxl (the `excel` extra)")


def write(path: Path, **sheets: list[list[Any]]) -> str:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return str(path)


ROWS = [["text", "label"], ["late again", "bad"], ["fine", "good"], ["so so", "good"]]


def test_the_only_sheet_with_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="enct5")
    source = write(tmp_path / "a.xlsx", Tickets=ROWS, Notes=[])
    assert read_table(source).to_dict() == {"text": ["late again", "fine", "so so"], "label": ["bad", "good", "good"]}
    assert caplog.messages == [f"{source}: read from sheet `Tickets`, the only one with rows"]
    assert [len(chunk) for chunk in read_chunks(source, 2)] == [2, 1]
    for name in ("a.xlsm", "a.csv", "a"):
        (tmp_path / name).write_bytes((tmp_path / "a.xlsx").read_bytes())
        assert read_table(str(tmp_path / name))["text"][0] == "late again"


def test_one_of_several_sheets(tmp_path: Path) -> None:
    source = write(tmp_path / "a.xlsx", Old=[["text"], ["x"]], **{"New ones": ROWS})
    with pytest.raises(EncT5Error, match=r"has 2 sheets \(Old, New ones\); name one, as in `.*a.xlsx:Old`"):
        read_table(source)
    assert read_table(f"{source}:New ones")["label"][:] == ["bad", "good", "good"]
    with pytest.raises(EncT5Error, match=r"no sheet with rows `Newones` in .*; did you mean `New ones`"):
        read_table(f"{source}:Newones")


def test_cells_are_as_they_are_shown(tmp_path: Path) -> None:
    """Numbers in full, dates, codes with their zeros; empty cells are empty texts, empty rows none."""
    source = write(
        tmp_path / "a.xlsx", A=[["text", "value"], [None, None], *([f"r{n}", n] for n in range(9)), ["end", None]]
    )
    book = openpyxl.load_workbook(source)
    cells = [5, 0.1 + 0.2, True, date(2024, 2, 29), datetime(2024, 2, 29, 10, 30), time(10, 30), 42, 0.125, "NA"]
    for row, value in enumerate(cells, 3):
        book["A"].cell(row, 2, value)
    book["A"]["B9"].number_format, book["A"]["B10"].number_format = "00000", "0.0%"
    book.save(source)
    shown = ["5", "0.3", "TRUE", "2024-02-29", "2024-02-29 10:30:00", "10:30:00", "00042", "12.5%", "NA", ""]
    assert read_table(source)["value"][:] == shown
    assert read_table(source)["text"][-1] == "end"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["text", None, "label"], ["a", "b", "c"]], "column 2 of the first row has no name"),
        ([["text"], ["a", "b"]], "row 2: `b` stands in a column without a name"),
        ([["text", "text"], ["a", "b"]], "2 columns named `text`"),
        ([["text"]], "has no rows"),
        ([], "is empty"),
    ],
)
def test_sheets_that_are_no_tables(tmp_path: Path, rows: list[list[Any]], message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        read_table(write(tmp_path / "a.xlsx", A=rows))


def test_what_is_no_workbook(tmp_path: Path) -> None:
    source = write(tmp_path / "a.xlsx", A=ROWS)
    with pytest.raises(EncT5Error, match=r"--encoding is for files of text, and .* is an Excel workbook"):
        read_table(source, ReadOptions(encoding="cp1252"))
    (tmp_path / "b.xlsx").write_bytes((tmp_path / "a.xlsx").read_bytes()[:2000])
    with pytest.raises(EncT5Error, match=r"cannot unpack .*b.xlsx"):
        read_table(str(tmp_path / "b.xlsx"))


def test_without_openpyxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.xlsx", A=ROWS)
    monkeypatch.setattr("enct5.errors.is_installed", lambda package: False)
    with pytest.raises(EncT5Error, match=r"reading .*a.xlsx needs openpyxl, .*: pip install 'enct5\[excel\]'"):
        read_table(source)
