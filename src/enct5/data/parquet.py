"""Parquet."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from enct5.data.tables import tables
from enct5.errors import EncT5Error, show

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


def read_parquet(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    """Tables of a Parquet file, of so many rows; None for one."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with pa.parquet.ParquetFile(path) as file:
            # pandas saves the index of a filtered frame as a column that is no part of the data
            names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
            # what other threads have read comes back to the system late, or never
            batches = file.iter_batches(rows or 65_536, columns=names, use_threads=rows is None)
            yield from tables(_valid(batches), source, rows)
    except (pa.ArrowException, ValueError) as error:
        raise EncT5Error(f"cannot read {source} as Parquet: {show(error, 200)}") from error


def _valid(batches: Iterable["pa.RecordBatch"]) -> Iterator["pa.RecordBatch"]:
    """Batches whose texts are UTF-8 and whose offsets lead somewhere, which pyarrow's reader does not look at."""
    for batch in batches:
        batch.validate(full=True)
        yield batch
