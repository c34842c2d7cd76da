"""The batches that a distilled T5 is given: passages, pairs of them, and spans to fill in; all follow from the step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from span_corruption import corrupt

PAD, EOS = 0, 1
NO_WORD = -1


@dataclass(frozen=True)
class Passages:
    """Passages in both tokenizers' ids, one after the other.

    Attributes:
        student, teacher: token ids without special tokens, `(tokens,)`.
        student_words, teacher_words: which word of its passage each token belongs to, `(tokens,)`.
        student_starts, teacher_starts: where each passage begins, `(passages + 1,)`.
    """

    student: np.ndarray
    student_words: np.ndarray
    student_starts: np.ndarray
    teacher: np.ndarray
    teacher_words: np.ndarray
    teacher_starts: np.ndarray

    def __len__(self) -> int:
        return len(self.student_starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Student tokens of each passage."""
        return np.diff(self.student_starts)

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Student ids and words, teacher ids and words of a passage."""
        own = slice(self.student_starts[index], self.student_starts[index + 1])
        other = slice(self.teacher_starts[index], self.teacher_starts[index + 1])
        return (
            self.student[own].astype(np.int64),
            self.student_words[own].astype(np.int64),
            self.teacher[other].astype(np.int64),
            self.teacher_words[other].astype(np.int64),
        )

    @classmethod
    def joined(cls, parts: "list[Passages]") -> "Passages":
        """Several collections as one."""

        def starts(name: str) -> np.ndarray:
            return np.concatenate([[0], np.cumsum(np.concatenate([np.diff(getattr(part, name)) for part in parts]))])

        names = ("student", "student_words", "teacher", "teacher_words")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(student_starts=starts("student_starts"), teacher_starts=starts("teacher_starts"), **arrays)


def encode_passages(texts: list[str], student: Any, teacher: Any) -> Passages:
    """Tokenise passages by both tokenizers; those that they split into different words are left out."""
    rows: list[tuple[list[int], list[int], list[int], list[int]]] = []
    for start in range(0, len(texts), 10_000):
        part = texts[start : start + 10_000]
        own = student(part, add_special_tokens=False, return_attention_mask=False, verbose=False)
        other = teacher(part, add_special_tokens=False, return_attention_mask=False, verbose=False)
        for index in range(len(part)):
            own_words, other_words = own.word_ids(index), other.word_ids(index)
            if own_words and other_words and own_words[-1] == other_words[-1]:
                rows.append((own["input_ids"][index], own_words, other["input_ids"][index], other_words))

    def flat(column: int) -> np.ndarray:
        return np.fromiter((value for row in rows for value in row[column]), dtype=np.uint16)

    def starts(column: int) -> np.ndarray:
        return np.cumsum([0, *(len(row[column]) for row in rows)])

    return Passages(flat(0), flat(1), starts(0), flat(2), flat(3), starts(2))


class Batches(Dataset):
    """Batches of passages of like length; batch `i` depends on seed and `i` alone.

    Every `pairs_every`-th batch has pairs of passages in place of single ones, every `spans_every`-th span corruption.

    Args:
        passages: The passages.
        probabilities: How often each passage is drawn, relative to the others, `(passages,)`.
        size: Number of batches.
        tokens: Student tokens a batch.
        seed: Draws the passages, and what is made of them.
        pairs_every, spans_every: See above; 0 for never.
        first_sentinel: Id of `<extra_id_0>`; the others count down from it.
        neighbours: For every passage others with like words, `(passages, k)`, -1 where there are none.
        longest: Student tokens of the longest passage that is given.
    """

    BUCKET = 16  # batches whose passages are sorted by length together

    def __init__(
        self,
        passages: Passages,
        probabilities: np.ndarray,
        size: int,
        tokens: int,
        seed: int,
        pairs_every: int,
        spans_every: int,
        first_sentinel: int,
        neighbours: np.ndarray | None = None,
        longest: int = 160,
    ) -> None:
        self.passages, self.size, self.tokens, self.seed = passages, size, tokens, seed
        self.pairs_every, self.spans_every = pairs_every, spans_every
        self.first_sentinel, self.longest, self.neighbours = first_sentinel, longest, neighbours
        self.lengths = passages.lengths
        self.cumulative = np.cumsum(probabilities)
        self.cumulative /= self.cumulative[-1]
        self.mean_length = float((self.lengths * probabilities).sum() / probabilities.sum()) + 1

    def __len__(self) -> int:
        return self.size

    def _draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return np.searchsorted(self.cumulative, rng.random(count))

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        group, place = divmod(index, self.BUCKET)
        rng = np.random.default_rng((self.seed, group))
        drawn = self._draw(rng, int(self.BUCKET * self.tokens / self.mean_length))
        drawn = drawn[np.argsort(self.lengths[drawn], kind="stable")]
        ends = np.searchsorted(np.cumsum(self.lengths[drawn] + 1), np.arange(1, self.BUCKET) * self.tokens)
        chosen = np.split(drawn, ends)[rng.permutation(self.BUCKET)[place]]
        rng = np.random.default_rng((self.seed, group, place))
        chosen = chosen[self.lengths[chosen] <= self.longest] if len(chosen) > 1 else chosen
        if len(chosen) == 0:
            chosen = drawn[:1]
        if self.spans_every and index % self.spans_every == self.spans_every - 1:
            return self._spans(chosen, rng)
        if self.pairs_every and index % self.pairs_every == self.pairs_every - 1:
            return self._pairs(chosen, rng)
        return self._singles(chosen)

    def _spans(self, chosen: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        rows = [
            corrupt(ids[: self.longest], rng, self.first_sentinel, 0.2)
            for ids in (self.passages.row(index)[0] for index in chosen)
            if len(ids) >= 8
        ]
        if not rows:
            return self._singles(chosen)
        return {
            "input_ids": _padded([row["input_ids"] for row in rows], PAD),
            "labels": _padded([row["labels"] for row in rows], -100),
        }

    def _singles(self, chosen: np.ndarray) -> dict[str, torch.Tensor]:
        rows = [self.passages.row(index) for index in chosen]
        inputs = [np.append(row[0], EOS) for row in rows]
        words = [np.append(row[1], NO_WORD) for row in rows]
        return {"input_ids": _padded(inputs, PAD), "words": _padded(words, NO_WORD), **_teacher_rows(rows)}

    def _pairs(self, chosen: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        chosen = chosen[: max(1, len(chosen) // 2)]
        rows, inputs, words = [], [], []
        for index in chosen:
            first, second = self.passages.row(index), self._partner(int(index), chosen, rng)
            if rng.random() < 0.5:
                first, second = second, first
            rows += [first, second]
            shift = first[1][-1] + 1
            inputs.append(np.concatenate([first[0], [EOS], second[0], [EOS]]))
            words.append(np.concatenate([first[1], [NO_WORD], second[1] + shift, [NO_WORD]]))
        return {
            "input_ids": _padded(inputs, PAD),
            "words": _padded(words, NO_WORD),
            "pairs": True,
            **_teacher_rows(rows),
        }

    def _partner(self, index: int, others: np.ndarray, rng: np.random.Generator) -> Any:
        """A second text: one that says something like it, an edited copy, another of its length, or the same."""
        kind = rng.random()
        row, other = self.passages.row(index), self.passages.row(int(rng.choice(others)))
        if kind < 0.45 and self.neighbours is not None:
            near = self.neighbours[index]
            near = near[near >= 0]
            if len(near):
                return self.passages.row(int(near[rng.integers(len(near))]))
        if kind < 0.8:
            return _edited(row, other, rng)
        return other if kind < 0.95 else row


def _edited(row: Any, other: Any, rng: np.random.Generator) -> Any:
    """A copy of a passage with words dropped, and sometimes some of another's, or in another order."""
    words = int(row[1][-1]) + 1
    keep = rng.random(words) < rng.uniform(0.3, 1.0)
    if not keep.any():
        keep[rng.integers(words)] = True
    own = np.flatnonzero(keep)
    pieces = [(row, word) for word in own]
    if rng.random() < 0.5:
        count = int(other[1][-1]) + 1
        take = int(rng.integers(1, max(2, min(count, words) // 2 + 1)))
        start = int(rng.integers(0, max(1, count - take + 1)))
        at = int(rng.integers(0, len(pieces) + 1))
        pieces[at:at] = [(other, word) for word in range(start, min(count, start + take))]
    if rng.random() < 0.2 and len(pieces) > 2:
        cut = int(rng.integers(1, len(pieces)))
        pieces = pieces[cut:] + pieces[:cut]
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for place, (source, word) in enumerate(pieces):
        for offset in (0, 2):
            ids = source[offset][source[offset + 1] == word]
            columns[offset].append(ids)
            columns[offset + 1].append(np.full(len(ids), place))
    return tuple(np.concatenate(column) for column in columns)


def _padded(rows: list[np.ndarray], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    out = np.full((len(rows), width), value, dtype=np.int64)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(out)


def _teacher_rows(rows: list[Any]) -> dict[str, torch.Tensor]:
    return {
        "teacher_ids": _padded([row[2] for row in rows], 0),
        "teacher_words": _padded([row[3] for row in rows], NO_WORD),
    }
