"""Packed files are unpacked while they are read, whatever their names say; damaged ones are told in one line."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from enct5.data.reading import read_chunks, read_table
from enct5.errors import EncT5Error

CSV = b"text,label\n" + b"".join(b'"late, again %d",bad\n' % row for row in range(500))
JSONL = b"".join(b'{"text": "late, again %d", "label": "bad"}\n' % row for row in range(500))
TEXTS = [f"late, again {row}" for row in range(500)]


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__MACOSX_", "__MACOSX/._"), content)
    return made.getvalue()


def packed(kind: str, name: str, content: bytes) -> bytes:
    if kind == "zst":
        return bytes(pa.Codec("zstd").compress(content, asbytes=True))
    if kind == "zip":
        return zipped(**{name: content, f"__MACOSX_{name}": b"x"})
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[kind](content)


def binary(name: str) -> bytes:
    made, table = io.BytesIO(), pa.table({"text": TEXTS, "label": ["bad"] * 500})
    if name == "a.parquet":
        pa.parquet.write_table(table, made)
    else:
        pa.feather.write_feather(table, made)
    return made.getvalue()


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "zip"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.feather"])
def test_any_format_in_any_packing(tmp_path: Path, kind: str, name: str) -> None:
    content = {"a.csv": CSV, "a.jsonl": JSONL}.get(name) or binary(name)
    path = tmp_path / f"{name}.{kind}"
    path.write_bytes(packed(kind, name, content))
    assert read_table(str(path))["text"][:] == TEXTS
    assert [len(chunk) for chunk in read_chunks(str(path), 200)] == [200, 200, 100]


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "zip"])
def test_bytes_count_and_not_the_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.csv").write_bytes(packed(kind, "a.csv", CSV))
    (tmp_path / "b.csv.gz").write_bytes(CSV)
    for name in ("a.csv", "b.csv.gz"):
        assert read_table(str(tmp_path / name))["text"][:] == TEXTS


def test_text_that_begins_as_packed_files_do(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"BZh,label\nlate,bad\n")
    assert read_table(str(tmp_path / "a.csv"))["BZh"][:] == ["late"]


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "zip"])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_files_are_told(tmp_path: Path, kind: str, damage: str) -> None:
    content = packed(kind, "a.csv", CSV)
    middle = len(content) // 2
    broken = (
        content[:middle]
        if damage == "cut"
        else content[:middle] + bytes(255 - b for b in content[middle:-80]) + content[-80:]
    )
    path = tmp_path / f"a.csv.{kind}"
    path.write_bytes(broken)
    with pytest.raises(
        EncT5Error, match=r"(cannot (unpack|read) .*a\.csv|a\.csv\.\w+ is not UTF-8|\(the header is row 1\))"
    ):
        read_table(str(path))


def test_archives_of_several_files(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(**{"one.csv": CSV, "two.csv": b"text\nx\n"}))
    with pytest.raises(EncT5Error, match=r"holds 2 files \(one.csv, two.csv\); name one, as in `.*a.zip:one.csv`"):
        read_table(str(path))
    assert read_table(f"{path}:two.csv")["text"][:] == ["x"]
    with pytest.raises(EncT5Error, match=r"no file `ono.csv` in .*; did you mean `one.csv`"):
        read_table(f"{path}:ono.csv")
    path.write_bytes(zipped())
    with pytest.raises(EncT5Error, match=r"holds 0 files"):
        read_table(str(path))
