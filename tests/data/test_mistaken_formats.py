"""Files that are not what their names say are told as what they are, with what to do; others are not suspected."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from enct5.data.columns import check_columns
from enct5.data.mistaken_formats import by_content, by_names
from enct5.data.reading import read_table
from enct5.errors import EncT5Error

ROWS = b"text,label\n" + b"".join(b'"late, again %d",bad\n' % row for row in range(200))


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", ROWS)
    return made.getvalue()


def parquet() -> bytes:
    made = io.BytesIO()
    pa.parquet.write_table(pa.table({"text": ["a"]}), made)
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(ROWS), "it is packed by gzip; unpack it"),
        (bz2.compress(ROWS), "it is packed by bzip2; unpack it"),
        (lzma.compress(ROWS), "it is packed by xz; unpack it"),
        (zipped(), r"it is a ZIP archive or an Excel workbook; unpack it, or save the sheet as CSV \(UTF-8\)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it is an Excel workbook; save the sheet as CSV"),
        (parquet(), "it is Parquet; name it .parquet"),
        (ROWS.decode().encode("utf-16"), "it is UTF-16; save it again as UTF-8"),
        ("\ufeff".encode("utf-16-be") + ROWS.decode().encode("utf-16-be"), "it is UTF-16; save it again as UTF-8"),
    ],
)
def test_what_a_file_is_by_its_first_bytes(tmp_path: Path, content: bytes, said: str) -> None:
    for name, message in (
        ("a.csv", "a.csv is not UTF-8 .byte 0x.. at offset [0-9]+.; "),
        ("a.jsonl", "a.jsonl is not UTF-8 .byte 0x.. at offset [0-9]+.; "),
        ("a.xyz", "cannot tell the format of .*a.xyz; "),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EncT5Error, match=message + said):
            read_table(str(tmp_path / name))


@pytest.mark.parametrize("content", [ROWS, b"\xef\xbb\xbf" + ROWS, b"", b"P", "für".encode("latin-1")])
def test_plain_files_say_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert by_content(tmp_path / "a.csv") is None


@pytest.mark.parametrize(
    ("name", "delimiter", "said"),
    [
        ("a.csv", ";", "separated by `;`; separate them by commas, or by tabs in a .tsv"),
        ("a.csv", "|", "separated by `|`; separate them by commas"),
        ("a.csv", "\t", "separated by tabs; name it .tsv"),
        ("a.tsv", ",", "separated by commas; name it .csv"),
        ("a.tsv", ";", "separated by `;`"),
    ],
)
def test_another_delimiter_is_named(tmp_path: Path, name: str, delimiter: str, said: str) -> None:
    """Whatever it leads to: one column, rows of other lengths, quotes within a field."""
    for row in (["late again", "bad"], ["late, again\tand again", "bad"], ['"late, again"', "bad"]):
        path = tmp_path / name
        path.write_text("".join(delimiter.join(fields) + "\n" for fields in (["text", "label"], row)))
        with pytest.raises(EncT5Error, match=f"its fields seem to be {said}") as caught:
            check_columns(read_table(str(path)), str(path), ["text"], "label")
        assert "\n" not in str(caught.value)


def test_names_that_say_nothing() -> None:
    for names in (["text"], ["text", "a;b"], ["a;b", "c"], [""], []):
        assert by_names(names) is None


def test_json_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('{"text": "late", "label": "bad"}\n' * 3)
    with pytest.raises(EncT5Error, match=r"no column `text` .*; it seems to hold JSON; name it .jsonl, or .json"):
        check_columns(read_table(str(tmp_path / "a.csv")), "a.csv", ["text"], "label")
