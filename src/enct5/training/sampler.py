"""The order of training texts: batches of like length and of about equally many tokens."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

# Rows are sorted by length within pools of so many batches: large enough that a batch's lengths are nearly equal,
# small enough that its rows differ from epoch to epoch.
POOL_BATCHES = 50


class EpochShuffle(Sampler[int]):
    """All rows in an order that follows from the seed and the epoch alone, so that a resumed run sees the same rows."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.seed, self.epoch = rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order `iter` gives (called by accelerate)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows

    def order(self) -> npt.NDArray[np.int64]:
        """All rows as `iter` gives them."""
        return np.random.default_rng((self.seed, self.epoch)).permutation(self.rows)

    def __iter__(self) -> Iterator[int]:
        yield from self.order().tolist()


class TokenBatchSampler(Sampler[list[int]]):
    """Training batches of about equally many tokens and of like length, equally many in every epoch.

    Every epoch shuffles the rows, sorts pools of them by length, cuts the result where the running count of tokens
    passes a multiple of its mean, and shuffles the batches. Short texts make batches of many rows, long texts of few.

    Several processes share every batch: it comes in as many parts, one after another, of which accelerate gives each
    process one. So the batches are the same for any number of processes.

    Args:
        lengths: Tokens of every row; at least `parts` rows.
        batch_size: Rows of a batch on average over the data.
        seed: Seed of the order.
        parts: Parts of a batch (the number of processes).
    """

    def __init__(self, lengths: Sequence[int] | npt.NDArray[Any], batch_size: int, seed: int, parts: int = 1) -> None:
        self.lengths = np.asarray(lengths)
        self.parts = parts
        # accelerate looks for a batch sampler's `sampler` to tell it the epoch.
        self.sampler = EpochShuffle(len(self.lengths), seed)
        self.batches = max(1, min(round(len(self.lengths) / batch_size), len(self.lengths) // parts))

    @property
    def mean_rows(self) -> float:
        """Rows of a part on average."""
        return len(self.lengths) / len(self)

    def __len__(self) -> int:
        return self.batches * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        ordered, ends = self._ordered()
        generator = np.random.default_rng((self.sampler.seed, self.sampler.epoch, 1))
        for batch in generator.permutation(self.batches):
            for part in np.array_split(ordered[ends[batch] : ends[batch + 1]], self.parts):
                yield part.tolist()

    def _ordered(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """All rows, and where batches of them start and end; what that takes meanwhile is not kept for an epoch."""
        order = self.sampler.order()
        pool = max(1, round(POOL_BATCHES * len(order) / self.batches))
        # Every other pool is sorted the other way round, so that neighbouring pools meet at like lengths.
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        ordered = np.concatenate(
            [
                rows[np.argsort(self.lengths[rows] * (1 if index % 2 else -1), kind="stable")]
                for index, rows in enumerate(pools)
            ]
        )
        # A batch ends where the running count of tokens passes a multiple of the mean; every part keeps a row.
        lengths = self.lengths[ordered]
        middles = np.cumsum(lengths) - lengths / 2
        number = np.arange(1, self.batches)
        ends = np.searchsorted(middles, number * lengths.sum() / self.batches)
        fewest = number * self.parts
        ends = np.maximum.accumulate(np.maximum(ends, fewest) - fewest) + fewest
        return ordered, np.concatenate(([0], np.minimum(ends, len(ordered) - len(self) + fewest), [len(ordered)]))
