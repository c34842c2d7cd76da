"""Data sets that `datasets` saved to a folder (`save_to_disk`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from enct5.data.hub import quiet
from enct5.errors import EncT5Error, show

if TYPE_CHECKING:
    from datasets import Dataset


def read_saved(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    """Tables of a saved data set, of so many rows; None for one."""
    table = _load(path, source)
    for start in range(0, len(table), rows or len(table) or 1):
        yield table.select(range(start, min(len(table), start + (rows or len(table)))))


def _load(path: Path, source: str) -> "Dataset":
    import pyarrow as pa
    from datasets import Dataset

    try:
        with quiet():
            return Dataset.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise EncT5Error(
            f"cannot read {source}, which `datasets` saved: {show(error, 200)}; save it again, perhaps as Parquet"
        ) from error
