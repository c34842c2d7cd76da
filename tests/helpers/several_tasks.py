"""Small random models of several tasks, and messages that some tasks have labels for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enct5.model.loading import load_tokenizer
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.tokenization.windows import TaggedText
from helpers.models import MULTI, REGRESSION, SINGLE, TOKENS, random_model
from helpers.runs import LABELS, messages
from helpers.tables import write_rows

KINDS: dict[str, dict[str, Any]] = {
    "intent": {"problem_type": SINGLE, "id2label": {0: "a", 1: "b", 2: "c"}},
    "type": {"problem_type": MULTI, "num_labels": 4, "num_decoder_layers": 2},
    "urgency": {"problem_type": REGRESSION, "num_labels": 2},
    "entities": {"problem_type": TOKENS, "id2label": {0: "O", 1: "B-x", 2: "I-x"}},
    "own-tokens": {"problem_type": TOKENS, "id2label": {0: "O", 1: "B-y", 2: "I-y"}, "token_decoder": True},
}
TASKS = {"intent": "intent", "topics": "topics:multi", "urgency": "urgency:regression", "places": "places:tokens"}


def models_of(names: Sequence[str] = tuple(KINDS), **shared: Any) -> dict[str, EncT5ForClassification]:
    """A model for each task; they share one encoder, and nothing else of them is alike."""
    made: dict[str, EncT5ForClassification] = {}
    encoder = random_model(**shared, num_labels=1).transformer.encoder
    tags = {name: value for name, value in shared.items() if name != "encoder_window"}  # these have none
    for name in names:
        own = KINDS[name]
        model = random_model(**{**(tags if own["problem_type"] == TOKENS else shared), **own})
        torch.manual_seed(list(KINDS).index(name))
        with torch.no_grad():
            for part in (model.transformer.decoder, model.classifier):
                for parameter in () if part is None else part.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
        model.transformer.encoder = encoder
        made[name] = model
    return made


def random_tasks(names: Sequence[str] = tuple(KINDS), **shared: Any) -> EncT5ForTasks:
    """A model of several tasks."""
    return EncT5ForTasks.from_models(models_of(names, **shared)).eval()


def saved_tasks(base: Path, folder: Path, **shared: Any) -> Path:
    """The folder of a model of several tasks with a tokenizer."""
    tokenizer = load_tokenizer(str(base))
    tokenizer.model_max_length = 64
    random_tasks(vocab_size=len(tokenizer), **shared).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def arrays_of(logits: Any) -> list[np.ndarray]:
    """The logits of each text, of one task, as a predictor gives them."""
    return [own.logits if isinstance(own, TaggedText) else own for own in logits]


def partly_labelled(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Messages with labels for four tasks, of which a row has some: urgency a half, topics two in three."""
    rows = []
    for number, row in enumerate(messages(count, seed)):
        text, label = row["text"], row["label"]
        words = [word for word in ("coffee", "card", "road") if word in text.split()]
        spans = [{"start": text.index(word), "end": text.index(word) + len(word), "label": "thing"} for word in words]
        rows.append(
            {
                "text": text,
                "intent": label if number % 7 else None,
                "topics": None if number % 3 == 0 else sorted({label, LABELS[len(text) % 3]}),
                "urgency": len(text) / 16 + LABELS.index(label) if number % 2 else None,
                "places": spans if number % 4 else None,
            }
        )
    return rows


def write_partly_labelled(path: Path, count: int, seed: int = 0) -> str:
    """The same in a file."""
    return write_rows(path, partly_labelled(count, seed))
