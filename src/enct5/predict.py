"""Predict with a trained model: texts in, results out in the same order."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils import cached_file

from enct5.batching import length_ordered_batches, pad
from enct5.errors import EncT5Error, show
from enct5.loading import load_model, load_tokenizer
from enct5.modeling_enct5 import EncT5ForSequenceClassification
from enct5.tasks import Task, check_abstention, find_task, withhold
from enct5.training_config import TRAIN_CONFIG, TrainConfig

MAX_BATCH_TOKENS = 2048  # larger batches are no faster on a CPU
MAX_BATCH_PROMPTS = 16384  # prompts of all texts of a batch: thousands of labels cost more than the texts' tokens
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

    def predict(self, texts: Sequence[Text], abstain_below: float | None = None) -> list[dict[str, Any]]:
        """Classify (or score) texts.

        Args:
            texts: texts, or pairs `(A, B)`.
            abstain_below: give no label (`None`) where the score is lower (single-label only).

        Returns:
            One result a text, in their order: `label` and `score`; `labels` and `scores` (multi-label); or `value`
            (regression).

        Raises:
            EncT5Error: for what are no texts, or a model that cannot abstain.
        """
        return list(self.stream(texts, abstain_below))

    def stream(self, texts: Iterable[Text], abstain_below: float | None = None) -> Iterator[dict[str, Any]]:
        """Like `predict`, for texts that need not fit into memory together."""
        if abstain_below is not None:
            check_abstention(self.task, abstain_below)
        remaining, config = _checked(texts), self.model.config
        while chunk := list(islice(remaining, CHUNK_TEXTS)):
            records = self.task.decode(self._logits(chunk), config.id2label, config.thresholds)
            yield from records if abstain_below is None else (withhold(record, abstain_below) for record in records)

    def rank(
        self, query: str, documents: Sequence[str], label: str | None = None, top_k: int | None = None
    ) -> list[dict[str, Any]]:
        """Order documents by how well they match a query, by a model trained on pairs of such texts.

        Args:
            query: the first text of every pair.
            documents: the second texts.
            label: the label (or target) to rank by. Without it: the number of a regression; the expected grade where
                all labels are whole numbers; of two labels the one that says yes, if one does ("yes", "relevant", ...).
            top_k: how many to return; all by default.

        Returns:
            Records of `index` (place in `documents`), `document` and `score` (the number, the expected grade, or the
            label's probability), best first; documents of equal score keep their order.

        Raises:
            EncT5Error: for a model of single texts, or one that does not say what to rank by.
        """
        if self.task.relevance is None:
            raise EncT5Error(f"this model does {self.task.description}; it cannot rank")
        if self.config is not None and len(self.config.text) == 1:
            raise EncT5Error(
                f"the model was trained on single texts (column {show(self.config.text[0])}); to rank, train one on "
                "pairs: --text query,document"
            )
        if not isinstance(query, str) or isinstance(documents, str):
            raise EncT5Error(
                f"the query is {show(repr(query))} and the documents are {show(repr(documents))}; give one string, and "
                "a list of strings"
            )
        if top_k is not None and top_k < 1:
            raise EncT5Error(f"`top_k` is {top_k}; give a number from 1 on")
        logits = self.logits([(query, document) for document in documents])
        scores = self.task.relevance(logits, self.model.config.id2label, label)
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [{"index": int(i), "document": documents[i], "score": float(scores[i])} for i in order]

    def logits(self, texts: Sequence[Text]) -> npt.NDArray[np.float32]:
        """The model's raw outputs, `(texts, num_labels)`, in the order of the texts."""
        return self._logits(list(_checked(texts)))

    @torch.inference_mode()
    def _logits(self, texts: list[Text]) -> npt.NDArray[np.float32]:
        rows = self._tokenize(texts)
        result = np.empty((len(rows), self.model.config.num_labels), dtype=np.float32)
        most_rows = max(1, MAX_BATCH_PROMPTS // self.model.config.decoder_vocab_size)
        for batch in length_ordered_batches([len(row) for row in rows], MAX_BATCH_TOKENS, most_rows):
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
