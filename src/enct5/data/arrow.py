"""Arrow's own files: Feather (the IPC file format), and its streams, as `datasets` keeps them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from enct5.data.data_file import DataFile
from enct5.data.parquet import valid
from enct5.data.tables import Batches
from enct5.errors import EncT5Error, show

if TYPE_CHECKING:
    import pyarrow as pa

FILE, STREAM, OLD_FEATHER = b"ARROW1", b"\xff\xff\xff\xff", b"FEA1"


def read_arrow(file: DataFile) -> Batches:
    """The batches of a file of Arrow's."""
    file.refuse_options("Arrow")
    file.refuse_part("Arrow")
    if file.begin().startswith(OLD_FEATHER):
        raise EncT5Error(f"{file.source} is Feather of version 1; save it again with a newer pandas or R")
    return lambda rows: _batches(file, rows)


def _batches(file: DataFile, rows: int | None) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    try:
        with file.open_arrow() as opened:
            yield from valid(_parts(opened, file.begin().startswith(FILE), rows))
    except (pa.ArrowException, ValueError) as error:
        raise EncT5Error(f"cannot read {file.source} as Arrow: {show(error, 200)}") from error


def _parts(opened: "pa.NativeFile", is_file: bool, rows: int | None) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    if is_file:
        with pa.ipc.open_file(opened) as reader:
            batches: Iterator[pa.RecordBatch] = map(reader.get_batch, range(reader.num_record_batches))
            yield from _sliced(batches, rows)
    else:
        with pa.ipc.open_stream(opened) as reader:
            yield from _sliced(reader, rows)


def _sliced(batches: Iterator["pa.RecordBatch"], rows: int | None) -> Iterator["pa.RecordBatch"]:
    """Batches without pandas' index; views of at most so many rows."""
    for batch in batches:
        names = [name for name in batch.schema.names if not name.startswith("__index_level_")]
        step = rows or len(batch) or 1
        for start in range(0, len(batch), step):
            yield batch.select(names).slice(start, step)
