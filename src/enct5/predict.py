"""Predict with a trained model: texts in, results out in the same order."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils import cached_file

from enct5.batching import length_ordered_batches, pad
from enct5.errors import EncT5Error, show
from enct5.loading import load_model, load_tokenizer
from enct5.modeling_enct5 import EncT5ForClassification
from enct5.tasks import Task, find_task
from enct5.training_config import TRAIN_CONFIG, TrainConfig

MAX_BATCH_TOKENS = 2048  # larger batches are no faster on a CPU
CHUNK_TEXTS = 4096  # texts held at a time, sorted by length among themselves

Text = str | tuple[str, str] | list[str]


class Predictor:
    """A trained model with its tokenizer, ready for texts.

    Attributes:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer; texts longer than `tokenizer.model_max_length` tokens are cut, or read in overlapping
            windows by models that tag tokens.
        task: what the model predicts.
        config: how the model was trained, if its folder says so.
    """

    def __init__(
        self,
        model: EncT5ForClassification,
        tokenizer: PreTrainedTokenizerBase,
        config: TrainConfig | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.task: Task = find_task(str(model.config.problem_type))
        self.config = config

    @classmethod
    def from_pretrained(cls, path: str | Path, device: str = "auto") -> "Predictor":
        """Load a run folder, another EncT5 checkpoint, or one from the hub.

        Args:
            path: folder or hub id.
            device: `auto` takes a GPU if there is one.

        Raises:
            EncT5Error: when there is no EncT5 model, or it is damaged.
        """
        source = str(path)
        model = load_model(source)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        trained_with = cached_file(
            source,
            TRAIN_CONFIG,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        config = None if trained_with is None else TrainConfig.read(Path(trained_with))
        return cls(cast(Any, model).to(device), load_tokenizer(source), config)

    def predict(self, texts: Sequence[Text]) -> list[dict[str, Any]]:
        """Classify (or score) texts.

        Args:
            texts: texts, or pairs `(A, B)`; for a model that tags tokens texts, or lists of words.

        Returns:
            One result a text, in their order: `label` and `score`; `labels` and `scores` (multi-label); `value`
            (regression); or `entities` (tokens), each with `start`, `end`, `label`, `text` and `score`, where start and
            end count characters of a string or words of a list.
        """
        return list(self.stream(texts))

    def stream(self, texts: Iterable[Text]) -> Iterator[dict[str, Any]]:
        """Like `predict`, for texts that need not fit into memory together."""
        remaining = _checked(texts, self.task)
        while chunk := list(islice(remaining, CHUNK_TEXTS)):
            yield from self.task.decode(self._logits(chunk), self.model.config.id2label)

    def logits(self, texts: Sequence[Text]) -> Any:
        """The model's raw outputs, float32 `(texts, num_labels)`, or a list of `TaggedText` (tokens)."""
        return self._logits(list(_checked(texts, self.task)))

    @torch.inference_mode()
    def _logits(self, texts: list[Text]) -> Any:
        inputs = self.task.inputs(texts, self.tokenizer, self.tokenizer.model_max_length)
        result: list[Any] = [None] * len(inputs.rows)
        for batch in length_ordered_batches([len(row) for row in inputs.rows], MAX_BATCH_TOKENS):
            tensors = pad([inputs.rows[index] for index in batch], self.tokenizer.pad_token_id)
            tensors = {name: tensor.to(self.model.device) for name, tensor in tensors.items()}
            logits = self.model(**tensors).logits.float().cpu().numpy()
            if not np.isfinite(logits).all():
                raise EncT5Error(
                    "the model's outputs are no numbers; `enct5 info` tells whether its weights are damaged"
                )
            for index, row in zip(batch, logits, strict=True):
                result[index] = row
        return inputs.outputs(result, self.model.config.num_labels)


def _checked(texts: Iterable[Text], task: Task) -> Iterator[Text]:
    """The texts, one by one, as long as the task takes them and they are all of one kind."""
    if isinstance(texts, str):
        raise EncT5Error(f"{show(texts)} is one text; give a list of texts")
    first_is_plain: bool | None = None
    for number, text in enumerate(texts, start=1):
        plain = task.inputs.is_plain(text)
        if plain is None:
            raise EncT5Error(f"text {number} is {show(repr(text))}; give {task.inputs.accepts}")
        if first_is_plain not in (None, plain):
            raise EncT5Error(f"text {number}: texts and {task.inputs.other_kind} are mixed; give one kind at a time")
        first_is_plain = plain
        yield text
