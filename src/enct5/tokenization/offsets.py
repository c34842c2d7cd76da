"""Which characters of a text each of its tokens stands for."""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.errors import EncT5Error
from enct5.tokenization.rows import tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Array = npt.NDArray[Any]


def tokens_with_offsets(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase") -> list[tuple[Array, Array]]:
    """Tokenise texts without special tokens, and tell where each token is.

    Args:
        texts: The texts.
        tokenizer: One of the `tokenizers` library, such as T5's, or ByT5's, whose tokens are bytes.

    Returns:
        For every text the token ids (tokens,) and the offsets (tokens, 2), int32: a token stands for the characters
        from the first up to but without the second. Several tokens may stand for one character (bytes, or a character
        that T5 writes as several), and no token for some (blanks, control characters).

    Raises:
        EncT5Error: For a tokenizer that does not tell where its tokens are.
    """
    if not texts:
        return []
    if tokenizer.is_fast:
        encoded = tokenize(tokenizer, texts, add_special_tokens=False, return_offsets_mapping=True)
        offsets = [_cover_marks(text, pairs) for text, pairs in zip(texts, encoded["offset_mapping"], strict=True)]
    else:
        # Without this, "</s>" in a text would be one token that swallows the blanks beside it.
        encoded = tokenize(tokenizer, texts, add_special_tokens=False, split_special_tokens=True)
        offsets = [_offsets_of_bytes(text) for text in texts]
    ids = [np.array(row, dtype=np.int32) for row in encoded["input_ids"]]
    if any(len(row) != len(pairs) for row, pairs in zip(ids, offsets, strict=True)):
        raise EncT5Error(
            f"the tokenizer ({type(tokenizer).__name__}) does not tell which characters its tokens stand for, which "
            "tagging needs; use a base whose tokenizer has a tokenizer.json"
        )
    return list(zip(ids, offsets, strict=True))


def _offsets_of_bytes(text: str) -> Array:
    """Every byte of UTF-8 stands for the character that it is a part of."""
    lengths = [len(character.encode(errors="replace")) for character in text]
    starts = np.repeat(np.arange(len(text), dtype=np.int32), lengths)
    return np.stack([starts, starts + 1], axis=1)


def _cover_marks(text: str, pairs: list[tuple[int, int]]) -> Array:
    """Let tokens reach to the next blank or token.

    T5 composes characters (an `e` and a combining accent become `é`), and the token is then said to stand for the first
    of them only.
    """
    covered = []
    for (start, end), (following, _) in pairwise([*pairs, (len(text), len(text))]):
        while end < following and unicodedata.category(text[end])[0] not in "ZC":
            end += 1
        covered.append((start, end))
    return np.array(covered, dtype=np.int32).reshape(-1, 2)
