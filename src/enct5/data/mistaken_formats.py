"""What a file is, or what separates its fields, where its name says something else: for messages that refuse it."""

from collections.abc import Sequence
from pathlib import Path

_BEGINNINGS = {
    b"\x1f\x8b": "it is packed by gzip; unpack it",
    b"BZh": "it is packed by bzip2; unpack it",
    b"\xfd7zXZ": "it is packed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "it is packed by zstd; unpack it",
    b"PK\x03\x04": "it is a ZIP archive or an Excel workbook; unpack it, or save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "it is an Excel workbook; save the sheet as CSV (UTF-8)",
    b"PAR1": "it is Parquet; name it .parquet",
    b"\xff\xfe": "it is UTF-16; save it again as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it again as UTF-8",
}
# Excel separates fields by `;` where a comma is the decimal point.
_DELIMITERS = {
    ";": "`;`; separate them by commas, or by tabs in a .tsv",
    "|": "`|`; separate them by commas, or by tabs in a .tsv",
    "\t": "tabs; name it .tsv",
    ",": "commas; name it .csv",
}


def by_content(path: Path) -> str | None:
    """What a file is by its first bytes, and what to do; `None` where they say nothing."""
    with path.open("rb") as file:
        begin = file.read(8)
    return next((said for magic, said in _BEGINNINGS.items() if begin.startswith(magic)), None)


def by_names(names: Sequence[str]) -> str | None:
    """What the column names of a CSV or TSV file say of it, and what to do; `None` where they say nothing."""
    if names and names[0].lstrip().startswith(("{", "[")):
        return "it seems to hold JSON; name it .jsonl, or .json where it is one list"
    if len(names) != 1:
        return None
    found = max(_DELIMITERS, key=names[0].count)
    if found not in names[0]:
        return None
    return f"its fields seem to be separated by {_DELIMITERS[found]}"
