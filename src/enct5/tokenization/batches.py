"""Batches of token ids under a budget, and their padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_BATCH_TOKENS = 2048  # larger batches are no faster on a CPU


def length_ordered_batches(
    lengths: Sequence[int] | npt.NDArray[Any],
    max_tokens: int,
    max_rows: int | None = None,
    max_squares: int | None = None,
    window: int | None = None,
) -> list[list[int]]:
    """Group all rows, longest first, into batches of at most `max_tokens` tokens, padding included.

    Longest first, so that a batch that does not fit into memory fails at once. A single row may exceed the budget.

    Args:
        lengths: Tokens of every row.
        max_tokens: Budget: rows of a batch times its longest row.
        max_rows: Most rows of a batch; None for any number.
        max_squares: Most of a batch's rows times its longest row squared, which is what attention's scores and masks
            take; None for any number.
        window: Tokens that attend to each other at most; None for all of a row.

    Returns:
        Row numbers of every batch; each row is in exactly one.
    """
    batches: list[list[int]] = []
    longest = 0
    for row in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        rows = len(batches[-1]) + 1 if batches else 0
        fits = rows * longest <= max_tokens and (max_rows is None or rows <= max_rows)
        if rows and fits and (max_squares is None or rows * longest * min(longest, window or longest) <= max_squares):
            batches[-1].append(row)
        else:
            batches.append([row])
            longest = int(lengths[row])
    return batches


def pad(rows: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, npt.NDArray[np.int64]]:
    """Pad rows of token ids on the right.

    Args:
        rows: Token ids of every text.
        pad_token_id: The tokenizer's padding id.

    Returns:
        `input_ids` and `attention_mask`, both int64 `(batch, longest)`.
    """
    lengths = np.array([len(row) for row in rows])
    input_ids = np.full((len(rows), lengths.max()), pad_token_id, dtype=np.int64)
    for index, row in enumerate(rows):
        input_ids[index, : len(row)] = row
    mask = np.arange(input_ids.shape[1]) < lengths[:, None]
    return {"input_ids": input_ids, "attention_mask": mask.astype(np.int64)}
