"""Token ids of any number of rows in one array, which lies in a file where it is large."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from enct5.files import scratch

Array = npt.NDArray[Any]


class TokenRows(Sequence[Array]):
    """Rows of token ids, int32 (tokens,) each.

    Args:
        parts: Lists of rows, part by part.

    Attributes:
        ids: The ids of all rows, one row behind another, int32.
        lengths: Tokens of each row, int32 (rows,).
        ends: Where each row ends in `ids`, int64 (rows,).
    """

    def __init__(self, parts: Iterable[Sequence[Sequence[int]]]) -> None:
        lengths: list[Array] = []

        def flat() -> Iterator[Array]:
            for rows in parts:
                lengths.append(np.fromiter(map(len, rows), dtype=np.int32, count=len(rows)))
                yield np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(lengths[-1].sum()))

        self.ids = scratch.array_of(flat(), np.int32)
        self.lengths = np.concatenate([np.empty(0, np.int32), *lengths])
        self.ends = np.cumsum(self.lengths, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, place: int) -> Array: ...
    @overload
    def __getitem__(self, place: slice) -> list[Array]: ...
    def __getitem__(self, place: int | slice) -> Array | list[Array]:
        """A row, or a list of rows."""
        if isinstance(place, slice):
            return [self[row] for row in range(*place.indices(len(self)))]
        end = self.ends[place]  # which tells of rows that there are not
        return self.ids[end - self.lengths[place] : end]


def lengths_of(rows: Sequence[Any]) -> Array:
    """Tokens of each of some rows, (rows,)."""
    return rows.lengths if isinstance(rows, TokenRows) else np.fromiter(map(len, rows), dtype=np.int32, count=len(rows))
