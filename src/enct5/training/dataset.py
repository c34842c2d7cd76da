"""Texts as data sets of token ids, unpadded."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from enct5.files import scratch
from enct5.tokenization.shared_rows import SharedRows
from enct5.tokenization.token_rows import TokenRows
from enct5.tokenization.token_rows import lengths_of as lengths_of_rows
from enct5.tokenization.unread import Unread
from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import Windows

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


_TOKENIZE_ROWS = 1000


def tokenize(
    texts: Sequence[Any],
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int | None,
    labels: Any = None,
    inputs: type[WholeTexts] | type[Windows] = WholeTexts,
) -> tuple["Dataset", Unread]:
    """Turn texts into token ids, unpadded.

    Padding is left to whoever makes batches.

    Args:
        texts: Strings, pairs of strings, or lists of words.
        tokenizer: The model's tokenizer.
        max_length: Most tokens of a row, the end token included; None for no limit.
        labels: Labels as from `Task.encode`, one row per text, or None.
        inputs: What rows the texts become, as `Task.inputs`.

    Returns:
        The columns `input_ids`, `length` and, when given, `labels`; and what of the texts they lack.
    """
    unread = Unread()

    def chunks() -> Iterator["pa.RecordBatch"]:
        nonlocal unread
        for start in range(0, len(texts), _TOKENIZE_ROWS):
            chunk = slice(start, start + _TOKENIZE_ROWS)
            part = inputs(texts[chunk], tokenizer, max_length)
            unread += part.unread
            yield _arrow(part, None if labels is None else labels[chunk])

    return _dataset(scratch.table_of(chunks())), unread


def as_dataset(inputs: WholeTexts | Windows | SharedRows, labels: Any = None) -> "Dataset":
    """The rows of texts as `tokenize` gives them."""
    import pyarrow as pa

    return _dataset(pa.Table.from_batches([_arrow(inputs, labels)]))


def _dataset(table: "pa.Table") -> "Dataset":
    from datasets import Dataset

    return Dataset(table, fingerprint=uuid4().hex)  # by itself it would make one of all rows


def lengths_of(dataset: "Dataset") -> npt.NDArray[np.int32]:
    """The column `length`, int32 (rows,)."""
    return np.asarray(dataset.with_format("arrow")["length"][:], dtype=np.int32)


def _arrow(inputs: WholeTexts | Windows | SharedRows, labels: Any) -> "pa.RecordBatch":
    import pyarrow as pa

    # 32-bit arrow values take a tenth of the memory of lists of Python numbers
    if isinstance(inputs.rows, TokenRows):  # of which this makes no copy
        ends = np.concatenate([[0], inputs.rows.ends])
        ids = pa.LargeListArray.from_arrays(pa.array(ends), pa.array(inputs.rows.ids))
    else:
        ids = pa.array(inputs.rows, type=pa.large_list(pa.int32()))
    columns = {"input_ids": ids, "length": pa.array(lengths_of_rows(inputs.rows))}
    if labels is not None:
        targets = inputs.targets(labels)
        if isinstance(targets, list):
            columns["labels"] = pa.array(targets, type=pa.list_(pa.int64()))
        else:
            # not through Python lists: thousands of labels a row would take ten times the memory
            values = pa.array(targets.ravel())
            columns["labels"] = (
                values if targets.ndim == 1 else pa.FixedSizeListArray.from_arrays(values, targets.shape[1])
            )
    return pa.record_batch(columns)
