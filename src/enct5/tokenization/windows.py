"""Texts whose tokens are tagged as rows of token ids, in overlapping windows where they are long, and the way back."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.tokenization.offsets import tokens_with_offsets
from enct5.tokenization.unread import measure

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


Text = str | list[str]
Array = npt.NDArray[Any]
IGNORED = -100  # the label of tokens that have none, as in transformers


@dataclass(frozen=True)
class TaggedText:
    """A text with the logits of its tokens (of its words, where it is a list of words).

    Attributes:
        text: The text.
        offsets: Int (tokens, 2): what each token stands for, in characters of a string or words of a list.
        logits: Float (tokens, num_labels).
    """

    text: Text
    offsets: Array
    logits: Array


@dataclass(frozen=True)
class _Window:
    """Tokens of a text that make a row, from `start` on, and those of them whose logits count."""

    text: int
    start: int
    first: int
    last: int  # the first one that does not count


class Windows:
    """Rows for tagging tokens: a text, or overlapping windows of a text that is longer than `max_length`.

    In training and in prediction each token counts in one window, that in which it is farther from the ends. A list of
    words is read as the words joined by blanks, and a word has the logits of its first token.

    Args:
        texts: Strings, or lists of words.
        tokenizer: The model's tokenizer.
        max_length: Most tokens of a row, the end token included; None for no limit.

    Attributes:
        rows: Token ids of every row, the end token last; the first text's rows come first.
        unread: What of the texts they lack.
    """

    accepts = "a string, or a list of words"
    other_kind = "lists of words"
    windowed = takes_words = True

    def __init__(self, texts: Sequence[Any], tokenizer: "PreTrainedTokenizerBase", max_length: int | None) -> None:
        self.texts = texts
        whole = [text if isinstance(text, str) else " ".join(text) for text in texts]
        tokens = tokens_with_offsets(whole, tokenizer)
        self.offsets = [offsets for _, offsets in tokens]
        self.unread = measure(
            [whole], [ids for ids, _ in tokens], tokenizer, lambda row, token: (0, *self.offsets[row][token]), added=0
        )
        self.windows: list[_Window] = []
        self.rows: list[Any] = []
        for number, (ids, _) in enumerate(tokens):
            size = len(ids) if max_length is None else max(1, max_length - 1)
            windows = _windows(number, len(ids), size)
            self.windows += windows
            self.rows += [np.append(ids[w.start : w.start + size], tokenizer.eos_token_id) for w in windows]
            self.unread.long += len(windows) > 1

    @staticmethod
    def is_plain(text: Any) -> bool | None:
        """Whether a text is a string (else it is a list of words); None for what is no text."""
        words = isinstance(text, list) and all(isinstance(word, str) for word in text)
        return True if isinstance(text, str) else False if words else None

    @staticmethod
    def collator(tokenizer: "PreTrainedTokenizerBase") -> Callable[[list[Any]], dict[str, Any]]:
        """What makes a batch of rows of a data set; it pads on the right, where `outputs` looks for nothing."""
        import torch

        from enct5.tokenization.batches import pad

        def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
            padded = pad([row["input_ids"] for row in rows], int(tokenizer.pad_token_id))
            batch = {name: torch.from_numpy(values) for name, values in padded.items()}
            labels = torch.full_like(batch["input_ids"], IGNORED)
            for index, row in enumerate(rows):
                labels[index, : len(row["labels"])] = torch.as_tensor(row["labels"])
            return {**batch, "labels": labels}

        return collate

    def targets(self, labels: Sequence[Sequence[tuple[int, int, int]] | Array]) -> list[Array]:
        """Tag ids of the rows' tokens, -100 for those that do not count.

        Args:
            labels: The entities of every text as `(start, end, number of the label)`; a label's tags are those of
                `entities.tag_names`. Or the numbers of every text's tokens themselves, arrays (tokens,).
        """
        tags = [
            own if isinstance(own, np.ndarray) else tags_of_tokens(text, offsets, own)
            for text, offsets, own in zip(self.texts, self.offsets, labels, strict=True)
        ]
        rows = []
        for window, row in zip(self.windows, self.rows, strict=True):
            target = np.full(len(row), IGNORED)
            target[window.first - window.start : window.last - window.start] = tags[window.text][
                window.first : window.last
            ]
            rows.append(target)
        return rows

    def room(self, num_labels: int) -> Any:
        """What takes the logits of the rows, for `outputs`."""
        return [None] * len(self.rows)

    def outputs(self, logits: Sequence[Array], num_labels: int) -> list[TaggedText]:
        """The texts with the logits of their tokens, given those of the rows, `(tokens or more, num_labels)`."""
        parts: list[list[Array]] = [[] for _ in self.texts]
        for window, row in zip(self.windows, logits, strict=True):
            parts[window.text].append(row[window.first - window.start : window.last - window.start])
        return [
            tagged(text, offsets, np.concatenate(own).reshape(-1, num_labels))
            for text, offsets, own in zip(self.texts, self.offsets, parts, strict=True)
        ]

    def apart(self) -> list["Windows"]:
        """The same, one for each text; what of it is unread is known of all of them only."""
        windows: list[list[int]] = [[] for _ in self.texts]
        for place, window in enumerate(self.windows):
            windows[window.text].append(place)
        alone = []
        for text, offsets, places in zip(self.texts, self.offsets, windows, strict=True):
            one = copy.copy(self)
            one.texts, one.offsets = [text], [offsets]
            one.windows = [replace(self.windows[place], text=0) for place in places]
            one.rows = [self.rows[place] for place in places]
            alone.append(one)
        return alone

    @staticmethod
    def together(outputs: Sequence[list[TaggedText]]) -> list[TaggedText]:
        """What `outputs` gave for several texts as that of all of them."""
        return [tagged for own in outputs for tagged in own]


def _windows(text: int, tokens: int, size: int) -> list[_Window]:
    """Windows of `size` tokens, evenly spread over a text; neighbours share it at the middle of their overlap."""
    if tokens <= size:
        return [_Window(text, 0, 0, tokens)]
    overlap = size // 4  # at least; the last window ends with the text, so most share more
    count = -(-(tokens - overlap) // (size - overlap))
    starts = [number * (tokens - size) // (count - 1) for number in range(count)]
    borders = [(start + former + size) // 2 for former, start in pairwise(starts)]
    return [
        _Window(text, start, first, last)
        for start, first, last in zip(starts, [0, *borders], [*borders, tokens], strict=True)
    ]


def _word_bounds(words: Sequence[str]) -> Array:
    """Start and end of every word, (words, 2), in the words joined by blanks."""
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    ends = np.cumsum(lengths + 1) - 1
    return np.stack([ends - lengths, ends], axis=1)


def tags_of_tokens(text: Text, offsets: Array, spans: Sequence[tuple[int, int, int]]) -> Array:
    """Tag ids of a text's tokens, int64 (tokens,), of those of `entities.tag_names`.

    Args:
        text: The text.
        offsets: Int (tokens, 2): the characters that each token stands for; of a list of words, joined by blanks.
        spans: Its entities as `(start, end, number of the label)`.
    """
    tags = np.zeros(len(offsets), dtype=np.int64)
    bounds = None if isinstance(text, str) else _word_bounds(text)
    for start, end, label in spans:
        if bounds is not None:
            start, end = int(bounds[start, 0]), int(bounds[end - 1, 1])
        within = np.flatnonzero((offsets[:, 1] > start) & (offsets[:, 0] < end) & (tags == 0))
        tags[within] = 2 * label + 2
        tags[within[:1]] = 2 * label + 1
    return tags


def tagged(text: Text, offsets: Array, logits: Array) -> TaggedText:
    """A text with its tokens' logits; a list of words, of which each has those of its first token.

    Args:
        text: The text.
        offsets: As for `tags_of_tokens`.
        logits: Of shape (tokens, num_labels).
    """
    if isinstance(text, str):
        return TaggedText(text, offsets, logits)
    bounds = _word_bounds(text)
    word = np.searchsorted(bounds[:, 0], offsets[:, 0], side="right") - 1
    inside = offsets[:, 0] < bounds[word, 1]  # ByT5 has tokens for the blanks between words, too
    words, first = np.unique(word[inside], return_index=True)
    return TaggedText(text, np.stack([words, words + 1], axis=1), logits[inside][first])
