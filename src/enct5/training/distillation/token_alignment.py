"""What a teacher that tags tokens says about the tokens of a student, whose tokenizer may cut texts elsewhere.

Words of a list are the same for both. Of a string, a student's token is told what the teacher says about the character
that it starts with: the teacher's token there, whose `B-` becomes `I-` where the student's token goes on within it. A
blank that is a token for the student only is inside an entity if the teacher's next token goes on with one.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.errors import EncT5Error
from enct5.tasks import entities
from enct5.tasks.base import Task
from enct5.tokenization.offsets import tokens_with_offsets
from enct5.tokenization.windows import TaggedText, tagged

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Array = npt.NDArray[Any]

_NEVER = -1e4  # the logit of what cannot be: its probability is 0 in float32, its logarithm finite
_FEWEST_KEPT = 0.95  # of the teacher's entities, for what its tokens say to be told in the student's


class TokenTargets:
    """The rows that a student of a teacher that tags tokens learns from: its tokens that the teacher says something of.

    Args:
        outputs: the teacher's, of all texts.
        tokenizer: the student's.
        id2label: the tags.
        task: tagging tokens.

    Attributes:
        teacher: float32 (rows, tags), the teacher's logits.
        numbers: for every text the row of each of the student's tokens, int64 (tokens,), -100 for none.
        offsets: for every text those of its tokens for the student, int (tokens, 2).
        kept: the share of the teacher's entities that are as they were in the student's tokens.

    Raises:
        EncT5Error: where those are too few.
    """

    def __init__(
        self,
        outputs: Sequence[TaggedText],
        tokenizer: "PreTrainedTokenizerBase",
        id2label: Mapping[int, str],
        task: Task,
    ) -> None:
        texts = [one.text if isinstance(one.text, str) else " ".join(one.text) for one in outputs]
        self.offsets = [offsets for _, offsets in tokens_with_offsets(texts, tokenizer)]
        names = [id2label[index] for index in range(len(id2label))]
        rows: list[Array] = []
        self.numbers: list[Array] = []
        count, found, kept = 0, 0, 0
        for one, offsets in zip(outputs, self.offsets, strict=True):
            tokens, logits = _aligned(one, offsets, names)
            numbers = np.full(len(offsets), -100, dtype=np.int64)
            numbers[tokens] = count + np.arange(len(tokens))
            self.numbers.append(numbers)
            rows.append(logits)
            count += len(tokens)
            if isinstance(one.text, str) and not np.array_equal(offsets, one.offsets):
                before, after = (
                    {(span["start"], span["end"], span["label"]) for span in record["entities"]}
                    for record in task.decode([one, TaggedText(one.text, offsets[tokens], logits)], id2label, None)
                )
                found, kept = found + len(before), kept + len(before & after)
        self.kept = kept / found if found else 1.0
        if self.kept < _FEWEST_KEPT:
            raise EncT5Error(
                f"the tokenizers of teacher and base cut texts too differently: of {found} entities of the teacher the "
                f"base's tokens tell {kept}; take a base with the teacher's tokenizer, or give texts as lists of words"
            )
        self.teacher = np.concatenate(rows).reshape(-1, len(names)).astype(np.float32)


def _aligned(one: TaggedText, offsets: Array, names: Sequence[str]) -> tuple[Array, Array]:
    """The student's tokens that the teacher says something of, int (n,), and its logits for them, (n, tags)."""
    if not isinstance(one.text, str):
        own = tagged(one.text, offsets, np.arange(len(offsets))[:, None])  # of each word the number of its first token
        _, mine, teachers = np.intersect1d(own.offsets[:, 0], one.offsets[:, 0], return_indices=True)
        return own.logits[mine, 0], one.logits[teachers]
    if np.array_equal(offsets, one.offsets):
        return np.arange(len(offsets)), one.logits
    return _by_characters(one, offsets, names)


def _by_characters(one: TaggedText, offsets: Array, names: Sequence[str]) -> tuple[Array, Array]:
    if list(names) != entities.tag_names(entities.entity_labels(names)):
        raise EncT5Error(
            "the tokenizers of teacher and base differ, and what the teacher says can be told in the base's tokens for "
            f"BIO tags only (O, B-x, I-x, ...), not {', '.join(names[:5])}; take a base with the teacher's tokenizer"
        )
    if not len(one.offsets):
        return np.zeros(0, dtype=np.int64), one.logits
    starts, first = np.unique(one.offsets[:, 0], return_index=True)
    place = np.searchsorted(starts, offsets[:, 0], side="right") - 1
    within = (place >= 0) & (offsets[:, 0] < one.offsets[first[place], 1])
    place = np.where(within, place, place + 1)
    tokens = np.flatnonzero(place < len(starts))  # behind the last of the teacher's tokens there are blanks only
    place, within = place[tokens], within[tokens]
    logits = one.logits[first[place]].astype(np.float32)
    begins = offsets[tokens, 0]
    same = np.append(False, begins[1:] == begins[:-1])  # tokens of one character, such as its bytes
    going_on = within & ((begins > starts[place]) | same)
    logits[going_on] = _without_beginnings(logits[going_on], slice(2, None, 2))
    logits[~within] = _without_beginnings(logits[~within], slice(0, 1))
    return tokens, logits


def _without_beginnings(logits: Array, heirs: slice) -> Array:
    """Logits whose `B-` tags cannot be, and have left their probability to others: their `I-` tags, or all to `O`."""
    changed = logits.copy()
    beginnings = logits[:, 1::2]
    inherited = beginnings if heirs.start else np.logaddexp.reduce(beginnings, axis=1, keepdims=True)
    changed[:, heirs] = np.logaddexp(changed[:, heirs], inherited)
    changed[:, 1::2] = _NEVER
    return changed
