"""A small run that learns to tag, and the texts that it learns from."""

from pathlib import Path
from typing import Any

import numpy as np

from enct5 import training
from enct5.training.config import TrainConfig
from helpers.runs import heard
from helpers.tables import write_rows

ENTITIES = {"place": ["road", "bank street"], "thing": ["coffee", "card"]}
OTHERS = ["where", "is", "my", "the", "late", "and", "12"]


def rows(count: int, seed: int = 0, words: int = 6) -> list[dict[str, Any]]:
    """Texts as strings with character spans, and the same as words with tags."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        text, tokens, tags, spans = "", [], [], []
        for _ in range(words):
            label = [None, "place", "thing"][random.integers(3)]
            piece = str(random.choice(OTHERS if label is None else ENTITIES[label]))
            start = len(text) + bool(text) * int(random.integers(1, 3))  # one blank or two
            text = text.ljust(start) + piece
            for number, word in enumerate(piece.split()):
                tokens.append(word)
                tags.append("O" if label is None else f"{'I' if number else 'B'}-{label}")
            if label is not None:
                spans.append({"start": start, "end": len(text), "label": label})
        made.append({"text": text, "entities": spans, "tokens": tokens, "tags": tags})
    return made


class TaggingRun:
    """A finished run on one of the two forms of the same data."""

    def __init__(self, base: Path, folder: Path, text: str, label: str, **options: Any) -> None:
        self.text, self.label, self.out, self.said = text, label, folder / "run", []
        settings = {"epochs": 6, "batch_size": 8, "learning_rate": 1e-2, "max_length": 32} | options
        self.config = TrainConfig.checked(
            data=write_rows(folder / "train.jsonl", rows(60)),
            eval=write_rows(folder / "test.jsonl", [*rows(20, 1), *rows(2, 2, words=60)]),
            text=(text,),
            label=label,
            base=str(base),
            out=str(self.out),
            **settings,
        )
        with heard(self.said.append):
            self.record = training.train(self.config)
