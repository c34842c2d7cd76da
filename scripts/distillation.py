"""What a T5 learns from a sentence encoder: the model with its losses, and the batches that it is given.

Five things are learned at once (arXiv 2002.10957 and 2004.09813 have the first two for other models):

- every **word's** state: the mean of its pieces' states, mapped linearly, is the teacher's (standardised);
- every **passage's** vector: the mean state, mapped linearly, points where the teacher's does; and passages are as
  alike to each other by their mean states as by the teacher's vectors;
- every word's **match**: of two passages that are read together, how well the other has a word like it;
- what EncT5 asks of a **decoder**: its only token, `<pad>`, ends in a state that tells the passage's vector; for a
  pair, it tells how alike the two texts are to the teacher;
- T5's own **span corruption**, so that encoder and decoder stay a T5's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import BertModel, T5Config, T5ForConditionalGeneration

from span_corruption import corrupt

PAD, EOS = 0, 1
NO_WORD = -1
NOTHING = 0.02  # what is left of a layer's output matrix at the start
SPANS_WEIGHT = 0.3
WEIGHTS = {"word": 1.0, "passage": 2.0, "decoder": 1.0, "matrix": 2.0, "likeness": 8.0, "difference": 1.0, "match": 4.0}


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


class Teacher:
    """A BERT-like sentence encoder, frozen.

    Args:
        model: Its mean state, of unit length, is a text's vector.
        first, last: Ids of the tokens around every text (`[CLS]`, `[SEP]`).
    """

    def __init__(self, model: BertModel, first: int, last: int) -> None:
        self.model, self.first, self.last = model.eval(), first, last

    @torch.no_grad()
    def __call__(self, ids: torch.Tensor, real: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """States `(texts, tokens, width)` of the tokens between first and last, and vectors `(texts, width)`."""
        texts, width = ids.shape
        lengths = real.sum(1)
        whole = ids.new_zeros(texts, width + 2)
        whole[:, 0] = self.first
        whole[:, 1:-1] = ids * real
        whole[torch.arange(texts), lengths + 1] = self.last
        mask = torch.arange(width + 2)[None, :].to(ids.device) < (lengths + 2)[:, None]
        states = self.model(input_ids=whole, attention_mask=mask.long()).last_hidden_state.float()
        vectors = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return states[:, 1:-1], functional.normalize(vectors, dim=-1)


def word_means(states: torch.Tensor, words: torch.Tensor, per_text: torch.Tensor) -> torch.Tensor:
    """Mean state of every word, `(words of all texts, width)`; `per_text` says how many words each text has."""
    offsets = (per_text.cumsum(0) - per_text)[:, None]
    flat = (words + offsets)[words >= 0]
    found = states[words >= 0]
    total = int(per_text.sum())
    sums = states.new_zeros(total, states.shape[-1]).index_add(0, flat, found)
    return sums / states.new_zeros(total).index_add(0, flat, found.new_ones(len(flat)))[:, None]


def word_matches(states: torch.Tensor, per_text: torch.Tensor) -> torch.Tensor:
    """How well the other text of a pair has a word like it: for every word the largest cosine, `(words,)`.

    Args:
        states: Of the words of all texts, `(words, width)`; texts 0 and 1 are a pair, 2 and 3, and so on.
        per_text: How many words each text has.
    """
    real = torch.arange(int(per_text.max()), device=states.device) < per_text[:, None]
    texts = states.new_zeros(*real.shape, states.shape[-1])
    texts[real] = functional.normalize(states, dim=-1)
    likeness = texts[0::2] @ texts[1::2].transpose(1, 2)
    likeness = likeness.masked_fill(~(real[0::2, :, None] & real[1::2, None, :]), -1.0)
    return torch.stack([likeness.amax(2), likeness.amax(1)], dim=1).view(real.shape)[real]


class DistilledT5(T5ForConditionalGeneration):
    """A T5 with the linear maps to its teacher's space, which are thrown away afterwards.

    Attributes:
        teacher: The teacher, set after loading; neither saved nor trained.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__(config)
        own, other = config.d_model, config.teacher_width
        self.word_map, self.passage_map = nn.Linear(own, other), nn.Linear(own, other)
        self.decoder_map, self.difference_map = nn.Linear(own, other), nn.Linear(own, other)
        self.likeness_map, self.match_map = nn.Linear(own, 1), nn.Linear(own, 1)
        self.register_buffer("word_mean", torch.zeros(other))
        self.register_buffer("word_std", torch.ones(other))
        self.teacher: list[Teacher] = []  # in a list, so that it is no part of the model

    def forward(
        self,
        input_ids: torch.Tensor,
        labels: torch.Tensor | None = None,
        words: torch.Tensor | None = None,
        teacher_ids: torch.Tensor | None = None,
        teacher_words: torch.Tensor | None = None,
        pairs: bool = False,
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch, and what it is made of."""
        mask = input_ids != PAD
        if labels is not None:
            spans = super().forward(input_ids=input_ids, attention_mask=mask, labels=labels).loss
            return {"loss": SPANS_WEIGHT * spans, "spans": spans.detach()}
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        decoded = self.decoder(
            input_ids=torch.full_like(input_ids[:, :1], PAD),
            encoder_hidden_states=hidden,
            encoder_attention_mask=mask,
            use_cache=False,
        ).last_hidden_state[:, 0]
        states, vectors = self.teacher[0](teacher_ids, teacher_words >= 0)
        counts = teacher_words.max(1).values + 1
        with torch.autocast(input_ids.device.type, enabled=False):
            targets = (word_means(states, teacher_words, counts) - self.word_mean) / self.word_std
            hidden, decoded = hidden.float(), decoded.float()
            found = word_means(hidden, words, counts.view(-1, 2).sum(1) if pairs else counts)
            parts = {"word": functional.mse_loss(self.word_map(found), targets)}
            if pairs:
                matches = word_matches(targets, counts)
                parts["match"] = functional.mse_loss(self.match_map(found)[:, 0], matches)
                parts |= self._pairs(decoded, vectors)
            else:
                parts |= self._passages(hidden, mask, decoded, vectors)
        loss = sum(WEIGHTS[name] * part for name, part in parts.items())
        return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}

    def _passages(
        self, hidden: torch.Tensor, mask: torch.Tensor, decoded: torch.Tensor, vectors: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        means = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        own = functional.normalize(means - means.mean(0), dim=-1)
        other = functional.normalize(vectors - vectors.mean(0), dim=-1)
        return {
            "passage": (1 - functional.cosine_similarity(self.passage_map(means), vectors)).mean(),
            "decoder": (1 - functional.cosine_similarity(self.decoder_map(decoded), vectors)).mean(),
            "matrix": ((own @ own.T - other @ other.T) ** 2).mean(),
        }

    def _pairs(self, decoded: torch.Tensor, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
        first, second = vectors[0::2], vectors[1::2]
        difference = (first - second).abs() * first.shape[-1] ** 0.5  # of a size near 1
        return {
            "likeness": functional.mse_loss(self.likeness_map(decoded)[:, 0], (first * second).sum(-1)),
            "difference": functional.mse_loss(self.difference_map(decoded), difference),
        }

    def body_and_maps(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """The T5's parameters, and those of the maps, which are thrown away afterwards."""
        body: list[nn.Parameter] = []
        maps: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            (maps if "_map." in name else body).append(parameter)
        return body, maps

    def plain(self) -> T5ForConditionalGeneration:
        """The T5 alone."""
        config = T5Config(**{key: value for key, value in self.config.to_dict().items() if key != "teacher_width"})
        config.architectures = [T5ForConditionalGeneration.__name__]
        config.decoder_reads_with_pad = True  # so `enct5 train` leaves the decoder as it is
        model = T5ForConditionalGeneration(config)
        model.load_state_dict(
            {name: tensor for name, tensor in self.state_dict().items() if name in model.state_dict()}
        )
        return model


@torch.no_grad()
def start_as_nothing(model: T5ForConditionalGeneration) -> None:
    """Let all layers start as nearly nothing, so that the encoder's states are the token vectors at first.

    Of four heads of the encoder, one looks at what comes before, one at what comes after, one around; the fourth,
    between the first layer and the last, at the same token elsewhere, as whoever compares two texts must. The decoder's
    cross-attention passes on the mean of the encoder's states, so that its only token starts as the mean of the text's
    token vectors.
    """
    for block in [*model.encoder.block, *model.decoder.block]:
        block.layer[0].SelfAttention.o.weight.mul_(NOTHING)
        block.layer[-1].DenseReluDense.wo.weight.mul_(NOTHING)
    attention = model.encoder.block[0].layer[0].SelfAttention
    buckets, reach = attention.relative_attention_num_buckets, attention.relative_attention_max_distance
    offsets = torch.arange(-2 * reach, 2 * reach + 1)  # position of the key minus that of the query
    bucket_of = attention._relative_position_bucket(offsets, True, buckets, reach)
    for bucket in bucket_of.unique():
        offset = offsets[bucket_of == bucket].float().mean()
        fall, side = torch.log1p(offset.abs()), torch.sign(offset)
        elsewhere = -6.0 * (offset == 0)  # against a token's likeness to itself, 8 on average
        kinds = torch.stack([4 - 2 * fall - side, 4 - 2 * fall + side, 2 - fall, elsewhere])
        heads = torch.arange(attention.n_heads)
        attention.relative_attention_bias.weight[bucket] = kinds[heads % len(kinds)]
    for block in list(model.encoder.block)[1:-1]:
        own = block.layer[0].SelfAttention
        rows = torch.arange(own.inner_dim).view(own.n_heads, -1)[3::4].flatten()
        own.k.weight[rows, -1] = 0.0  # see start_embedding
        own.q.weight[rows] = own.k.weight[rows] / own.key_value_proj_dim**0.5
    for block in model.decoder.block:
        cross = block.layer[1].EncDecAttention
        cross.q.weight.mul_(0.1)
        nn.init.orthogonal_(cross.v.weight)
        cross.o.weight.copy_(cross.v.weight.T)
    model.shared.weight[PAD] *= 0.1
    model.encoder.final_layer_norm.weight[-1] = 0.0  # see start_embedding
