"""Texts to token ids, in any number of threads at once.

A tokenizer of the `tokenizers` library cuts and pads by switches that all who hold it share: a thread that turns one on
has other threads' texts cut, or its own left whole. So texts are tokenised whole, and the ids are cut here.
"""

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from enct5.text.surrogates import check_unicode
from enct5.tokenization.unread import Span, Unread, measure

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase


def tokenize(
    tokenizer: "PreTrainedTokenizerBase", *columns: Sequence[str], first: int = 1, **options: Any
) -> "BatchEncoding":
    """Tokenise texts or pairs, whole and without padding, whatever other threads do with the tokenizer meanwhile.

    Args:
        tokenizer: The tokenizer.
        columns: The texts, or the first and the second ones of pairs.
        first: The number of the first text.
        options: For the tokenizer.

    Raises:
        EncT5Error: For half a surrogate pair, with the number of the text.
    """
    for column in columns:
        for number, text in enumerate(column, start=first):
            check_unicode(text, "text", number)
    options = {"return_attention_mask": False, "verbose": False, **options}
    lists = [list(column) for column in columns]  # lists: of strings, a tokenizer takes an empty second one for none
    encoded = tokenizer(*lists, **options)
    pad = tokenizer.pad_token_id
    if tokenizer.is_fast and any(
        row.overflowing or (ids and pad in (ids[0], ids[-1]))
        for row, ids in zip(encoded.encodings or (), encoded["input_ids"], strict=True)
    ):
        # Someone else's truncation or padding was on; a copy is nobody else's.
        encoded = copy.deepcopy(tokenizer)(*lists, **options)
    return encoded


def longest_first(lengths: Sequence[int], room: int, odd_to_first: bool) -> list[int]:
    """How many tokens of a text, or of each of a pair, are kept: the longer one is cut first, then both alike.

    Args:
        lengths: Tokens of each.
        room: Most tokens together.
        odd_to_first: Which of two that are both cut gets an odd token: the first one, or else the longer one (of equals
            the second one). transformers' own tokenizers do the one, those of the `tokenizers` library the other.
    """
    room = max(room, 0)
    if sum(lengths) <= room:
        return list(lengths)
    if len(lengths) == 1:
        return [room]
    first, second = lengths
    if 2 * min(lengths) <= room:
        return [first, room - first] if first < second else [room - second, second]
    first_is_larger = odd_to_first or first > second
    larger, smaller = room - room // 2, room // 2
    return [larger, smaller] if first_is_larger else [smaller, larger]


def kept_places(tokenizer: "PreTrainedTokenizerBase", parts: Sequence[int | None], max_length: int | None) -> list[int]:
    """Which tokens of a text or pair remain where it is cut, as a tokenizer of the `tokenizers` library cuts it.

    Args:
        tokenizer: Says from which side texts are cut.
        parts: For each token 0, or 1 in the second text of a pair; None for what the tokenizer added.
        max_length: Most tokens; None for no limit. What was added remains in any case.
    """
    if max_length is None or len(parts) <= max_length:
        return list(range(len(parts)))
    places = [[place for place, own in enumerate(parts) if own == part] for part in range(2 if 1 in parts else 1)]
    added = [place for place, own in enumerate(parts) if own is None]
    kept = longest_first([len(own) for own in places], max_length - len(added), odd_to_first=False)
    return sorted(
        added + [place for own, keep in zip(places, kept, strict=True) for place in _cut(tokenizer, own, keep)]
    )


def cut_apart(
    tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str], max_length: int | None
) -> tuple[list[int], list[list[int]]]:
    """A text or pair cut as one of transformers' own tokenizers, such as ByT5's, cuts it.

    Args:
        tokenizer: The tokenizer.
        texts: One text, or two for a pair.
        max_length: Most tokens; None for no limit. What the tokenizer adds remains in any case.

    Returns:
        The ids with what the tokenizer adds, and each text's own.
    """
    own: list[list[int]] = tokenize(tokenizer, texts, add_special_tokens=False)["input_ids"]
    slow: Any = tokenizer
    ids = slow.build_inputs_with_special_tokens(*own)
    if max_length is not None and len(ids) > max_length:
        room = max_length - tokenizer.num_special_tokens_to_add(pair=len(own) == 2)
        kept = longest_first([len(part) for part in own], room, odd_to_first=True)
        own = [list(_cut(tokenizer, part, keep)) for part, keep in zip(own, kept, strict=True)]
        ids = slow.build_inputs_with_special_tokens(*own)
    return ids, own


def rows_of(
    tokenizer: "PreTrainedTokenizerBase", columns: Sequence[Sequence[str]], max_length: int | None, first: int = 1
) -> tuple[list[list[int]], Unread]:
    """The token ids of texts or pairs, cut where they are too long, and what of the texts they lack.

    They are those that the tokenizer gives with `truncation=True` where nobody else uses it.
    """
    encoded = tokenize(tokenizer, *columns, first=first, add_special_tokens=True)
    rows: list[list[int]] = encoded["input_ids"]
    added = tokenizer.num_special_tokens_to_add(pair=len(columns) == 2)
    unread = measure(columns, rows, tokenizer, _places_in(encoded) if tokenizer.is_fast else None, added)
    long = [row for row, ids in enumerate(rows) if max_length is not None and len(ids) > max_length]
    for row in long:
        if tokenizer.is_fast:
            ids = rows[row]
            rows[row] = [ids[place] for place in kept_places(tokenizer, encoded.sequence_ids(row), max_length)]
        else:
            rows[row], _ = cut_apart(tokenizer, [column[row] for column in columns], max_length)
    unread.long = len(long)
    unread.tokens_cut = unread.tokens - sum(map(len, rows))
    return rows, unread


def _places_in(encoded: "BatchEncoding") -> Callable[[int, int], Span]:
    """Where a token of a row lies in its texts."""

    def place(row: int, token: int) -> Span:
        characters: Any = encoded.token_to_chars(row, token)  # only added tokens have none, and `<unk>` is not added
        return encoded.token_to_sequence(row, token) or 0, *characters

    return place


def _cut(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[int], keep: int) -> Sequence[int]:
    return tokens[len(tokens) - keep :] if tokenizer.truncation_side == "left" else tokens[:keep]
