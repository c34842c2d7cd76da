"""Columns of a table that are read as they are looked at: millions of rows are not held as Python's objects."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from enct5.data.any_values import encoded_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

FEWEST_ROWS = 100_000  # of a table whose columns are not held as lists
_AT_A_TIME = 4096  # rows that are held as Python's objects
Array = npt.NDArray[Any]


class LazyColumns(Sequence[Any]):
    """The values of a column, or tuples of those of several, a row each.

    Args:
        columns: The columns as Arrow has them.
        rows: Their rows that are meant, int64 (rows,); None for all.
    """

    def __init__(self, columns: Sequence["pa.ChunkedArray"], rows: Array | None = None) -> None:
        self._columns, self._rows = tuple(columns), rows

    def __len__(self) -> int:
        return len(self._columns[0]) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        """A value, or a list of values."""
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            return self._values(start, stop) if step == 1 else [self[row] for row in range(start, stop, step)]
        row = range(len(self))[place]
        return self._values(row, row + 1)[0]

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), _AT_A_TIME):
            yield from self._values(start, min(len(self), start + _AT_A_TIME))

    def select(self, rows: Iterable[int]) -> "LazyColumns":
        """Those of some rows."""
        places = np.asarray(rows, dtype=np.int64)
        return LazyColumns(self._columns, places if self._rows is None else self._rows[places])

    def beside(self, other: "LazyColumns") -> "LazyColumns":
        """Tuples of the values of both, of the same rows of one table."""
        return LazyColumns((*self._columns, *other._columns), self._rows)

    def _values(self, start: int, stop: int) -> list[Any]:
        if self._rows is None:
            read = [column.slice(start, stop - start).to_pylist() for column in self._columns]
        else:
            read = [_taken(column, self._rows[start:stop]) for column in self._columns]
        return read[0] if len(read) == 1 else list(zip(*read, strict=True))


def _taken(column: "pa.ChunkedArray", rows: Array) -> list[Any]:
    """The values of some rows; Arrow itself would join all chunks for them."""
    ends = np.cumsum([len(chunk) for chunk in column.chunks])
    chunks = np.searchsorted(ends, rows, side="right")
    values: list[Any] = [None] * len(rows)
    for number in np.unique(chunks):
        places = np.flatnonzero(chunks == number)
        chunk = column.chunk(int(number))
        own = chunk.take(rows[places] - (ends[number] - len(chunk))).to_pylist()
        for place, value in zip(places.tolist(), own, strict=True):
            values[place] = value
    return values


def values_of(table: "Dataset", name: str) -> Sequence[Any]:
    """A column of texts or numbers as it is read; of few rows, or of anything else, all its values."""
    import pyarrow as pa

    column = table.data.column(name)
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating)
    if len(table) < FEWEST_ROWS or name in encoded_columns(table) or not any(kind(column.type) for kind in kinds):
        return table[name][:]
    indices = table._indices  # of rows that were selected
    return LazyColumns([column], None if indices is None else indices.column(0).to_numpy().astype(np.int64))


def taken(values: Any, rows: Array) -> Any:
    """Those of some rows of a column, an array or a list, as one of its kind."""
    if isinstance(values, LazyColumns):
        return values.select(rows)
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]
