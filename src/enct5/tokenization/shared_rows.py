"""Texts that several tasks read in one pass: a row of token ids each, of which some tasks label every token."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.tokenization.batches import pad
from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import IGNORED, Windows, tagged, tags_of_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from enct5.tokenization.unread import Unread

Array = npt.NDArray[Any]


class SharedRows:
    """One row a text; what is longer than `max_length` is cut, for all tasks alike.

    Args:
        texts: Strings, or pairs of strings; where a task labels tokens strings, or lists of words.
        tokenizer: The model's tokenizer.
        max_length: Most tokens of a row, the end token included; None for no limit.
        token_tasks: The names of the tasks that label tokens.

    Attributes:
        rows: Token ids of every row.
        unread: What of the texts they lack.
        offsets: Where a task labels tokens, what each token of a row but the end token stands for.
    """

    def __init__(
        self,
        texts: Sequence[Any],
        tokenizer: "PreTrainedTokenizerBase",
        max_length: int | None,
        token_tasks: frozenset[str],
    ) -> None:
        self.texts, self.token_tasks = texts, token_tasks
        self.rows: Any
        self.unread: Unread
        if not token_tasks:
            whole = WholeTexts(texts, tokenizer, max_length)
            self.rows, self.unread = whole.rows, whole.unread
            return
        uncut = Windows(texts, tokenizer, None)
        self.rows, self.unread, self.offsets = uncut.rows, uncut.unread, uncut.offsets
        if max_length is None:
            return
        size = max(1, max_length - 1)
        for number, row in enumerate(self.rows):
            if len(row) > size + 1:
                self.unread.long += 1
                self.unread.tokens_cut += len(row) - size - 1
                self.rows[number] = np.append(row[:size], row[-1])
                self.offsets[number] = self.offsets[number][:size]

    @staticmethod
    def collator(tokenizer: "PreTrainedTokenizerBase") -> Callable[[list[Any]], dict[str, Any]]:
        """What makes a batch of rows of a data set; it pads on the right, where `outputs` looks for nothing."""
        import torch

        def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
            padded = pad([row["input_ids"] for row in rows], int(tokenizer.pad_token_id or 0))
            batch = {name: torch.from_numpy(values) for name, values in padded.items()}
            return {**batch, "labels": torch.tensor([row["labels"] for row in rows])}

        return collate

    def tags(self, spans: Sequence[Sequence[tuple[int, int, int]] | None]) -> list[Array]:
        """Tag ids of the rows' tokens, -100 for the end token and for texts without labels.

        Args:
            spans: The entities of every text as `(start, end, number of the label)`; `None` for no labels.
        """
        found = []
        for text, row, offsets, own in zip(self.texts, self.rows, self.offsets, spans, strict=True):
            target = np.full(len(row), IGNORED)
            if own is not None:
                target[: len(offsets)] = tags_of_tokens(text, offsets, own)
            found.append(target)
        return found

    def apart(self) -> list["SharedRows"]:
        """The same, one for each text; what of it is unread is known of all of them only."""
        alone = []
        for number, row in enumerate(self.rows):
            one = copy.copy(self)
            one.texts, one.rows = [self.texts[number]], [row]
            if self.token_tasks:
                one.offsets = [self.offsets[number]]
            alone.append(one)
        return alone

    @staticmethod
    def together(outputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What `outputs` gave for several texts as that of all of them."""
        return {
            name: [one for own in outputs for one in own[name]]
            if isinstance(outputs[0][name], list)
            else np.concatenate([own[name] for own in outputs])
            for name in (outputs[0] if outputs else ())
        }

    def targets(self, labels: Any) -> Any:
        """The labels of the rows, given those of the texts."""
        return labels

    def room(self, num_labels: int) -> Any:
        """What takes the logits of the rows, for `outputs`."""
        return [None] * len(self.rows)

    def outputs(self, logits: Sequence[Mapping[str, Array]], num_labels: int) -> dict[str, Any]:
        """Logits by task, given those of the rows by task: `(texts, labels)`, or a list of `TaggedText`."""
        names = logits[0] if logits else ()
        return {
            name: self._tagged([row[name] for row in logits])
            if name in self.token_tasks
            else np.asarray([row[name] for row in logits], dtype=np.float32)
            for name in names
        }

    def _tagged(self, logits: Sequence[Array]) -> list[Any]:
        rows = zip(self.texts, self.offsets, logits, strict=True)
        return [tagged(text, offsets, np.asarray(own)[: len(offsets)]) for text, offsets, own in rows]


class RowsOfTasks:
    """Makes `SharedRows` for tasks, and says what texts may be.

    Args:
        token_tasks: The names of the tasks that label tokens.
    """

    windowed = False

    def __init__(self, token_tasks: frozenset[str]) -> None:
        self.token_tasks = token_tasks
        self._like: type[WholeTexts] | type[Windows] = Windows if token_tasks else WholeTexts

    def __call__(
        self, texts: Sequence[Any], tokenizer: "PreTrainedTokenizerBase", max_length: int | None
    ) -> SharedRows:
        """The rows of texts."""
        return SharedRows(texts, tokenizer, max_length, self.token_tasks)

    @property
    def accepts(self) -> str:
        """What a text may be, in words."""
        return self._like.accepts

    @property
    def other_kind(self) -> str:
        """What texts may be besides strings."""
        return self._like.other_kind

    @property
    def takes_words(self) -> bool:
        """Whether a text may be a list of words."""
        return self._like.takes_words

    def is_plain(self, text: Any) -> bool | None:
        """Whether a text is a string (else it is of the other kind); None for what is no text."""
        return self._like.is_plain(text)


def by_row(logits: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The logits of all tasks for every row, given those of all rows for every task."""
    return [dict(zip(logits, row, strict=True)) for row in zip(*logits.values(), strict=True)]
