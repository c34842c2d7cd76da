"""How predictions are written: CSV, TSV, JSON lines and Parquet, a part of the rows at a time."""

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from enct5.data.any_values import encoded_columns

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset

_TYPES = "types"  # of Arrow, among a frame's attributes


def _lists_as_json(frame: "pd.DataFrame") -> "pd.DataFrame":
    """CSV has no lists: a field that holds one becomes JSON. All else stays: whole numbers beside nulls do, too."""
    written = frame.copy()
    for name, column in frame.items():
        if any(isinstance(value, (list, dict)) for value in column):
            written[name] = [
                json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value for value in column
            ]
    return written


def _write_delimited(frame: "pd.DataFrame", file: Path | IO[str], header: bool, separator: str) -> None:
    frame = _lists_as_json(frame)
    # Python writes a lone carriage return without quotes, and readers take it for the end of a row.
    returns = frame.map(lambda value: isinstance(value, str) and "\r" in value).any(axis=None)
    quoting = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    frame.to_csv(file, index=False, header=header, sep=separator, quoting=quoting)


def write_csv(frame: "pd.DataFrame", file: Path | IO[str], header: bool) -> None:
    """Write rows as CSV, lists in them as JSON."""
    _write_delimited(frame, file, header, ",")


def _write_tsv(frame: "pd.DataFrame", file: Path | IO[str], header: bool) -> None:
    _write_delimited(frame, file, header, "\t")


def _write_jsonl(frame: "pd.DataFrame", file: Path, header: bool) -> None:
    # Not `to_json`, which rounds floats and turns dates into numbers. Only JSON's own values stay what they are.
    with file.open("w", encoding="utf-8") as lines:
        for row in frame.to_dict("records"):
            values = {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in row.items()}
            lines.write(json.dumps(values, ensure_ascii=False, default=str) + "\n")


def typed(frame: "pd.DataFrame", table: "Dataset") -> "pd.DataFrame":
    """The same frame, which knows the types of the columns that it has of a table, where Arrow has types for them."""
    known = set(frame.columns) - encoded_columns(table)
    frame.attrs[_TYPES] = {field.name: field.type for field in table.data.schema if field.name in known}
    return frame


def _write_parquet(frame: "pd.DataFrame", file: Any, header: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Not `to_parquet`, which would cut nanoseconds off, and cannot write whole numbers beyond 2**63.
    types = {name: kind for name, kind in frame.attrs.get(_TYPES, {}).items() if not pa.types.is_null(kind)}
    arrays = {
        name: pa.array(column.tolist(), types.get(name), from_pandas=name not in types)
        for name, column in frame.items()
    }
    pq.write_table(pa.table(arrays), file)


def _join_bytes(parts: list[Path], file: Path) -> None:
    with file.open("wb") as whole:
        for part in parts:
            with part.open("rb") as content:
                shutil.copyfileobj(content, whole)


def _join_parquet(parts: list[Path], file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # a column that is empty in one part, or of whole numbers, takes the type that it has in the others
    schema = pa.unify_schemas([pq.read_schema(part) for part in parts], promote_options="permissive")
    with pq.ParquetWriter(file, schema) as whole:
        for part in parts:
            whole.write_table(pq.read_table(part).cast(schema))


class Format(NamedTuple):
    """A file format.

    Attributes:
        write: Writes a part of the rows to a file, with the column names (for the first part) or without.
        join: Makes one file of the parts.
        nested: Whether it has objects with any keys, and lists of them.
    """

    write: Callable[["pd.DataFrame", Any, bool], None]
    join: Callable[[list[Path], Path], None]
    nested: bool = False


WRITERS: dict[str, Format] = {
    ".csv": Format(write_csv, _join_bytes),
    ".tsv": Format(_write_tsv, _join_bytes),
    ".jsonl": Format(_write_jsonl, _join_bytes, nested=True),
    ".parquet": Format(_write_parquet, _join_parquet),
}
