"""Whole texts as rows of token ids, one each, cut to the longest length."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.tokenization.rows import rows_of
from enct5.tokenization.token_rows import TokenRows
from enct5.tokenization.unread import Unread

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


Array = npt.NDArray[Any]
_AT_A_TIME = 1000  # texts that are tokenised


class WholeTexts:
    """One row a text or pair of texts; what is longer than `max_length` is cut.

    Args:
        texts: Strings, or pairs of strings, which are joined the way T5 does (`A </s> B </s>`).
        tokenizer: The model's tokenizer.
        max_length: Most tokens of a row, the end token included; None for no limit.

    Attributes:
        rows: Token ids of every row; an empty text is the end token alone.
        unread: What of the texts they lack.
    """

    accepts = "a string, or a pair of strings"
    other_kind = "pairs of texts"
    windowed = takes_words = False

    def __init__(self, texts: Sequence[Any], tokenizer: "PreTrainedTokenizerBase", max_length: int | None) -> None:
        self.unread = Unread()
        self.rows: Sequence[Any] = TokenRows(self._read(texts, tokenizer, max_length))

    def _read(
        self, texts: Sequence[Any], tokenizer: "PreTrainedTokenizerBase", max_length: int | None
    ) -> Iterator[list[list[int]]]:
        """The rows of so many texts at a time, which takes what is known of a text's tokens for these alone."""
        for start in range(0, len(texts), _AT_A_TIME):
            part = texts[start : start + _AT_A_TIME]
            columns = [part] if isinstance(part[0], str) else [list(column) for column in zip(*part, strict=True)]
            rows, unread = rows_of(tokenizer, columns, max_length, start + 1)
            self.unread += unread
            yield rows

    @staticmethod
    def is_plain(text: Any) -> bool | None:
        """Whether a text is a string (else it is of the other kind); None for what is no text."""
        pair = isinstance(text, (tuple, list)) and len(text) == 2 and all(isinstance(part, str) for part in text)
        return True if isinstance(text, str) else False if pair else None

    @staticmethod
    def collator(tokenizer: "PreTrainedTokenizerBase") -> Callable[[list[Any]], dict[str, Any]]:
        """What makes a batch of rows of a data set."""
        from transformers import DataCollatorWithPadding

        return DataCollatorWithPadding(tokenizer)

    def targets(self, labels: Any) -> Any:
        """The labels of the rows, given those of the texts."""
        return labels

    def room(self, num_labels: int) -> Any:
        """What takes the logits of the rows, for `outputs`: with thousands of labels there is no room for a copy."""
        return np.empty((len(self.rows), num_labels), dtype=np.float32)

    def outputs(self, logits: Sequence[Array], num_labels: int) -> Array:
        """Logits of the texts, `(texts, num_labels)`, given those of the rows."""
        return np.asarray(logits, dtype=np.float32).reshape(len(logits), num_labels)

    def apart(self) -> list["WholeTexts"]:
        """The same, one for each text; what of it is unread is known of all of them only."""
        alone = []
        for row in self.rows:
            one = copy.copy(self)
            one.rows = [row]
            alone.append(one)
        return alone

    @staticmethod
    def together(outputs: Sequence[Array]) -> Array:
        """What `outputs` gave for several texts as that of all of them."""
        return np.concatenate(outputs)
