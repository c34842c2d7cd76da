"""Estimators of scikit-learn whose model is not trained, which takes longer, and texts for them."""

from pathlib import Path
from typing import Any

import pytest

from enct5.estimators import EncT5Classifier, EncT5Regressor
from enct5.training.config import TrainConfig
from enct5.training.data import read_rows
from helpers.models import saved_model


def leave_untrained(monkeypatch: pytest.MonkeyPatch, base: Path) -> list[TrainConfig]:
    """Let `fit` check its data as ever, and leave a random model with its labels; the settings of every call."""
    seen: list[TrainConfig] = []

    def train(config: TrainConfig, resume: bool = False, rows: object = None) -> dict[str, Any]:
        rows = read_rows(config)
        saved_model(base, Path(config.out), tuple(rows.label_names), rows.task.name, text=config.text)
        seen.append(config)
        return {"metrics": {"figure": 1.0}, "per_label": []}

    monkeypatch.setattr("enct5.training.run.train", train)
    return seen


class _OfNumbers:
    """Reads rows of numbers, as scikit-learn's checks have them, as texts."""

    def _texts(self, X: Any) -> list[Any]:  # noqa: N803
        rows = super()._texts(X)  # type: ignore[misc]
        return [" ".join(map(str, row)) if isinstance(row, tuple) else str(row) for row in rows]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array = True
        return tags


class ClassifierOfNumbers(_OfNumbers, EncT5Classifier):
    """A classifier that scikit-learn's checks can call."""


class RegressorOfNumbers(_OfNumbers, EncT5Regressor):
    """A regressor that scikit-learn's checks can call."""
