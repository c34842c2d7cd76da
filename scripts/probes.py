"""What frozen mean states tell about labels: logistic regression on them, for a quick look at an encoder."""

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression


def _rows(path: str, text: str, label: str) -> tuple[list[str], list[str]]:
    with Path(path).open(encoding="utf-8", newline="") as lines:
        rows = [json.loads(line) for line in lines] if path.endswith(".jsonl") else list(csv.DictReader(lines))
    return [row[text] for row in rows], [str(row[label]) for row in rows]


@dataclass(frozen=True)
class Probe:
    """Labelled texts to fit on and to score.

    Attributes:
        name: The file's name.
        fit, score_on: Texts and their labels.
    """

    name: str
    fit: tuple[list[str], list[str]]
    held: tuple[list[str], list[str]]

    @classmethod
    def read(cls, description: str) -> "Probe":
        """`FILE:TEXT:LABEL`, of which 2,000 rows are fitted and 1,000 others scored, or `FILE:TEXT:LABEL:SCORED`."""
        path, text, label, *other = description.split(":")
        name = f"{Path(path).parent.name}/{Path(path).stem}"
        if other:
            return cls(name, _rows(path, text, label), _rows(other[0], text, label))
        texts, labels = _rows(path, text, label)
        chosen = random.Random(1).sample(range(len(texts)), min(3000, len(texts)))
        cut = len(chosen) * 2 // 3
        fit, held = chosen[:cut], chosen[cut:]
        return cls(
            name,
            ([texts[i] for i in fit], [labels[i] for i in fit]),
            ([texts[i] for i in held], [labels[i] for i in held]),
        )

    def score(self, encoder: Any, tokenizer: Any) -> float:
        """Accuracy on the scored texts, with the best of three strengths of regularisation."""
        fit, held = (mean_states(texts, encoder, tokenizer) for texts in (self.fit[0], self.held[0]))
        centre = fit.mean(0)
        fit, held = (fit - centre) * 16, (held - centre) * 16
        return max(
            float(LogisticRegression(C=c, max_iter=200, tol=1e-3).fit(fit, self.fit[1]).score(held, self.held[1]))
            for c in (0.03, 0.3, 3.0)
        )


@torch.inference_mode()
def mean_states(texts: list[str], encoder: Any, tokenizer: Any) -> np.ndarray:
    """Mean of the encoder's last states of every text, of unit length, `(texts, width)` float32."""
    order = np.argsort([len(text) for text in texts])
    result: np.ndarray | None = None
    for start in range(0, len(texts), 64):
        chosen = order[start : start + 64]
        batch = tokenizer(
            [texts[index] for index in chosen], padding=True, truncation=True, max_length=128, return_tensors="pt"
        ).to(encoder.device)
        hidden = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state.float()
        mask = batch["attention_mask"][..., None]
        means = ((hidden * mask).sum(1) / mask.sum(1)).cpu().numpy()
        result = np.zeros((len(texts), means.shape[1]), np.float32) if result is None else result
        result[chosen] = means / np.linalg.norm(means, axis=1, keepdims=True)
    assert result is not None
    return result
