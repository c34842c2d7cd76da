"""Texts to logits: what reads texts and runs a model on them, in batches of like length."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from enct5 import progress
from enct5.errors import EncT5Error
from enct5.inference.engine import Engine
from enct5.inference.texts import Text, checked
from enct5.model.trained_on import TrainedOn
from enct5.tasks.base import Task
from enct5.tasks.multi_task import task_of
from enct5.tokenization.batches import length_ordered_batches
from enct5.tokenization.token_rows import lengths_of
from enct5.tokenization.unread import Unread, notes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

MAX_BATCH_SCORES = 2**26  # attention's, of all heads, where texts are padded: their mask and bias take as many numbers
MAX_BATCH_PROMPTS = 16384  # prompts of all texts of a batch: thousands of labels cost more than the texts' tokens
_FEWEST_UNKNOWN = 10  # characters that a warning needs


class Runner:
    """What a `Predictor` is apart from predictions, whose attributes it has."""

    engine: Engine
    tokenizer: "PreTrainedTokenizerBase"
    config: TrainedOn | None
    batch_tokens: int | None
    unread: Unread
    warns_of_unknown: bool

    @property
    def task(self) -> Task:
        """What the model predicts."""
        return task_of(self.engine.config)

    def tokenized(self, texts: Iterable[Text], max_length: int | None = None) -> Any:
        """Texts as the model reads them, for `run`; any number of threads may do so, beside one that runs the model.

        Args:
            texts: as for `predict`, but no table.
            max_length: the most tokens of a text, where that is fewer than the model's own.

        Returns:
            `enct5.tokenization.whole_texts.WholeTexts`, or its like for tokens: `rows`, and `outputs`, which makes the
            logits of the texts from those of the rows.

        Raises:
            EncT5Error: for what are no texts, or single texts where the model was trained on pairs, or the reverse.
        """
        return self._tokenized(list(checked(texts, self.task, self.config)), max_length)

    def most_tokens(self) -> int:
        """The most tokens of a batch, unless one text has more."""
        return self.batch_tokens or self.engine.batch_tokens()

    def run(self, rows: Sequence[Any]) -> Iterator[tuple[list[int], Sequence[Any]]]:
        """Run the model on rows of token ids, a batch of like length at a time.

        Args:
            rows: those of `tokenized`, of any number of texts.

        Yields:
            Places in `rows`, and the float32 logits of each.

        Raises:
            EncT5Error: where logits are no numbers.
        """
        config = self.engine.config
        form = self.engine.current()
        most_tokens = self.most_tokens()
        most_rows = max(1, MAX_BATCH_PROMPTS // (config.num_prompts or 1))
        most_squares = MAX_BATCH_SCORES // config.num_heads if form.pads else None
        lengths = lengths_of(rows)
        for batch in length_ordered_batches(lengths, most_tokens, most_rows, most_squares, config.encoder_window):
            outputs = form([rows[index] for index in batch])
            if not all(np.isfinite(logits).all() for row in outputs for logits in _by_task(row)):
                raise self._no_numbers()
            yield batch, outputs

    def _tokenized(self, texts: Sequence[Any], max_length: int | None = None) -> Any:
        most = self.tokenizer.model_max_length
        inputs = self.task.inputs(texts, self.tokenizer, most if max_length is None else min(max_length, most))
        self._count(inputs.unread)
        return inputs

    def _logits(self, texts: Sequence[Any]) -> Any:
        inputs, num_labels = self._tokenized(texts), self.engine.config.num_labels
        result = inputs.room(num_labels)
        if inputs.rows:
            for batch, outputs in self.run(inputs.rows):
                for index, logits in zip(batch, outputs, strict=True):
                    result[index] = logits
                progress.advance(len(batch) * len(texts) / len(inputs.rows))  # a long text may be several rows
        return inputs.outputs(result, num_labels)

    def _count(self, read: Unread) -> None:
        self.unread += read  # a new object, which no other thread changes while it is looked at
        for found in (read, self.unread) if self.warns_of_unknown else ():
            enough = found.unknown_characters + found.spelt_characters >= _FEWEST_UNKNOWN
            warnings = [note for note in notes(found, f"{found.texts:,} texts") if note.startswith("warning: ")]
            if self.warns_of_unknown and enough and warnings:
                self.warns_of_unknown = False
                logger.warning("%s", warnings[0].removeprefix("warning: "))

    def _no_numbers(self) -> EncT5Error:
        said = "the model's outputs are no numbers; `enct5 info` tells whether its weights are damaged"
        if self.engine.dtype == "float16":
            said += "; or they leave the range of float16: choose another dtype"
        return EncT5Error(said)


def _by_task(logits: Any) -> Iterable[Any]:
    """The logits of a row, of each task where there are several."""
    return logits.values() if isinstance(logits, dict) else (logits,)
