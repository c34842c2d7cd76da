"""Tables in files."""

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd

TEXTS = [
    "plain",
    'he said "no", twice',
    "two\nlines",
    "tab\tand, comma",
    "🙂 ärger 我",
    "",
    " spaces ",
    "'single' ; semicolon",
    "carriage\rreturn",
    "win\r\ndows",
    "NA",
    "0012",
    "[1, 2]",
    "\\n \\",
]


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    """Write an input file of any kind."""
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")), encoding="utf-8")
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",", quoting=csv.QUOTE_ALL)
    return path


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


class Objects(dict[str, list[Any]]):
    """Stands for a table where Arrow has no type for all values of a column."""
