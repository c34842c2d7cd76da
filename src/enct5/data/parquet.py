"""Parquet."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from enct5.data.data_file import DataFile
from enct5.data.tables import Batches
from enct5.errors import EncT5Error, show

if TYPE_CHECKING:
    import pyarrow as pa


def read_parquet(file: DataFile) -> Batches:
    """The batches of a Parquet file."""
    file.refuse_options("Parquet")
    file.refuse_part("Parquet")
    return lambda rows: _batches(file, rows)


def _batches(file: DataFile, rows: int | None) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with file.open_arrow() as opened, pa.parquet.ParquetFile(opened) as content:
            # pandas saves the index of a filtered frame as a column that is no part of the data
            names = [name for name in content.schema_arrow.names if not name.startswith("__index_level_")]
            # what other threads have read comes back to the system late, or never
            yield from valid(content.iter_batches(rows or 65_536, columns=names, use_threads=rows is None))
    except (pa.ArrowException, ValueError) as error:
        raise EncT5Error(f"cannot read {file.source} as Parquet: {show(error, 200)}") from error


def valid(batches: Iterable["pa.RecordBatch"]) -> Iterator["pa.RecordBatch"]:
    """Batches whose texts are UTF-8 and whose offsets lead somewhere, which pyarrow's readers do not look at."""
    for batch in batches:
        batch.validate(full=True)
        yield batch
