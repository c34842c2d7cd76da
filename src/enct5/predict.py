"""Predict with a trained model: texts in, results out in the same order."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils import cached_file

from enct5.batching import length_ordered_batches, pad
from enct5.errors import EncT5Error, show
from enct5.loading import load_model, load_tokenizer
from enct5.modeling_enct5 import EncT5ForSequenceClassification
from enct5.tasks import Task, find_task
from enct5.training_config import TRAIN_CONFIG, TrainConfig

if TYPE_CHECKING:
    from enct5.explain import Explanation

MAX_BATCH_TOKENS = 2048  # larger batches are no faster on a CPU
CHUNK_TEXTS = 4096  # texts held at a time, sorted by length among themselves

Text = str | tuple[str, str]


class Predictor:
    """A trained model with its tokenizer, ready for texts.

    Attributes:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer; texts are cut to `tokenizer.model_max_length`.
        task: what the model predicts.
        config: how the model was trained, if its folder says so.
    """

    def __init__(
        self,
        model: EncT5ForSequenceClassification,
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
            texts: texts, or pairs `(A, B)`.

        Returns:
            One result a text, in their order: `label` and `score`; `labels` and `scores` (multi-label); or `value`
            (regression).
        """
        return list(self.stream(texts))

    def stream(self, texts: Iterable[Text]) -> Iterator[dict[str, Any]]:
        """Like `predict`, for texts that need not fit into memory together."""
        remaining = _checked(texts)
        while chunk := list(islice(remaining, CHUNK_TEXTS)):
            yield from self.task.decode(self._logits(chunk), self.model.config.id2label)

    def logits(self, texts: Sequence[Text]) -> npt.NDArray[np.float32]:
        """The model's raw outputs, `(texts, num_labels)`, in the order of the texts."""
        return self._logits(list(_checked(texts)))

    def explain(self, text: Text, label: str | None = None) -> "Explanation":
        """What each label's prompt attended to in a text, and what moved its logit; see `enct5.explain.explain`.

        Args:
            text: a text, or a pair `(A, B)`.
            label: the label to explain; by default those that were predicted, or else the likeliest one.

        Raises:
            EncT5Error: for something else than a text or pair, or a label that the model does not know.
        """
        from enct5.explain import explain

        return explain(self, text, label)

    @torch.inference_mode()
    def _logits(self, texts: list[Text]) -> npt.NDArray[np.float32]:
        rows = self._tokenize(texts)
        result = np.empty((len(rows), self.model.config.num_labels), dtype=np.float32)
        for batch in length_ordered_batches([len(row) for row in rows], MAX_BATCH_TOKENS):
            inputs = pad([rows[index] for index in batch], self.tokenizer.pad_token_id)
            inputs = {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
            result[batch] = self.model(**inputs).logits.float().cpu().numpy()
        if not np.isfinite(result).all():
            raise EncT5Error("the model's outputs are no numbers; `enct5 info` tells whether its weights are damaged")
        return result

    def _tokenize(self, texts: list[Text]) -> list[list[int]]:
        if not texts:
            return []
        columns = [texts] if isinstance(texts[0], str) else [list(column) for column in zip(*texts, strict=True)]
        return self.tokenizer(*columns, truncation=True, return_attention_mask=False)["input_ids"]


def _checked(texts: Iterable[Text]) -> Iterator[Text]:
    """The texts, one by one, as long as they are all strings or all pairs of strings."""
    if isinstance(texts, str):
        raise EncT5Error(f"{show(texts)} is one text; give a list of texts")
    first_is_string: bool | None = None
    for number, text in enumerate(texts, start=1):
        string = isinstance(text, str)
        pair = isinstance(text, (tuple, list)) and len(text) == 2 and all(isinstance(part, str) for part in text)
        if not string and not pair:
            raise EncT5Error(f"text {number} is {show(repr(text))}; give a string, or a pair of strings")
        if first_is_string not in (None, string):
            raise EncT5Error(f"text {number}: texts and pairs of texts are mixed; give one kind at a time")
        first_is_string = string
        yield text
