"""Small training runs, and the messages they learn from."""

import itertools
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from enct5 import training
from enct5.inference.predictor import Predictor
from enct5.reports import training_report
from enct5.training import trainer as trainer_module
from enct5.training.config import TrainConfig
from enct5.training.data import TrainingData
from enct5.training.trainer import EncT5Trainer
from helpers.tables import write_rows

LABELS = ("Café Ärger", "delivery", "refund")
WORDS = {"Café Ärger": "coffee milk cup", "delivery": "parcel late road", "refund": "money card bank"}
RUN_FILES = {
    "README.md",
    "config.json",
    "configuration_enct5.py",
    "metrics.json",
    "model.safetensors",
    "modeling_enct5.py",
    "report.html",
    "tokenizer.json",
    "tokenizer_config.json",
    "train_config.yaml",
}
CHECKPOINT_FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def make_checkpoint(out: Path, step: int, files: tuple[str, ...] = CHECKPOINT_FILES) -> Path:
    """A checkpoint of the HF Trainer with hardly anything in its files."""
    folder = out / "checkpoints" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        if name.endswith(".safetensors"):
            save_file({"x": torch.zeros(2)}, folder / name)
        elif name.endswith(".json"):
            (folder / name).write_text(json.dumps({"global_step": step, "log_history": []}))
        elif name.endswith(".metadata"):
            (folder / name).write_bytes(b"x")
        else:
            torch.save({}, folder / name)
    return folder


def messages(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Messages whose label follows from their words."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = LABELS[number % 3]
        words = random.choice([*WORDS[label].split(), "the", "my", "where", "is"], size=random.integers(3, 9))
        rows.append({"text": " ".join([*words, random.choice(WORDS[label].split())]), "label": label})
    return rows


class _Heard(logging.Handler):
    def __init__(self, hear: Callable[[str], object]) -> None:
        super().__init__()
        self.hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self.hear(record.getMessage())


@contextmanager
def heard(hear: Callable[[str], object]) -> Iterator[None]:
    """Hand over every line that training logs within the block; what `hear` raises ends the run."""
    logger, handler = logging.getLogger("enct5.training"), _Heard(hear)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def start(base: Path, out: Path, source: str, said: list[str] | None = None, **options: Any) -> dict[str, Any]:
    """A short run on the columns `text` and `label`, unless options say otherwise."""
    settings = {"text": ("text",), "label": "label", "epochs": 5, "batch_size": 8, "learning_rate": 3e-3} | options
    resume, trainer_class = settings.pop("resume", False), settings.pop("trainer_class", EncT5Trainer)
    hear = settings.pop("hear", (said if said is not None else []).append)
    config = TrainConfig.checked(data=source, base=str(base), out=str(out), **settings)
    with heard(hear):
        return training.train(config, resume=resume, trainer_class=trainer_class)


def settings_of(out: Path) -> TrainConfig:
    """The settings that a run folder tells."""
    return TrainConfig.checked(**yaml.safe_load((out / "train_config.yaml").read_text(encoding="utf-8")))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


class Run:
    """A finished run: its folder, its data, its record and what it said."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.base, self.out, self.said = base, folder / "run", []
        self.source = write_rows(folder / "messages.jsonl", messages(60))
        self.record = start(base, self.out, self.source, self.said)


def script_scores(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Let evaluations find these scores, the last one for ever, and the best of them choose, however few the texts."""
    values = itertools.chain(scores, itertools.repeat(scores[-1]))
    monkeypatch.setattr(TrainingData, "figures", lambda prepared, predictions: {"macro_f1": next(values)})
    monkeypatch.setattr(trainer_module, "FEWEST_TO_CHOOSE_BY", 1)


class InterruptedRunError(Exception):
    """Stands for whatever ends a run."""


def interrupt(run: Run, out: Path, evaluation: int, **options: Any) -> None:
    """Start a run like `run` and end it in its n-th evaluation, so that the checkpoints before it are there."""
    count = itertools.count(1)

    def hear(line: str) -> None:
        if line.startswith("epoch ") and next(count) == evaluation:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        start(run.base, out, run.source, hear=hear, **options)


def interrupt_at_its_end(run: Run, out: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Start a run like `run` and end it when all is trained and nothing of its result has been written."""

    def stop(*arguments: object) -> None:
        raise InterruptedRunError

    with monkeypatch.context() as patched:
        patched.setattr(training_report, "write", stop)
        with pytest.raises(InterruptedRunError):
            start(run.base, out, run.source, **options)


def steps_of(out: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in (out / "checkpoints").glob("checkpoint-*"))


def interrupted_behind_its_best(
    run: Run, out: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> tuple[int, int]:
    """A run that had its best score in its second evaluation; the steps of that and of its newest checkpoint."""
    script_scores(monkeypatch, [0.1, 0.9, 0.5, 0.6, 0.4])
    interrupt(run, out, evaluation=5, **options)
    best, newest = steps_of(out)
    return best, newest


def several_labels(count: int = 30) -> list[dict[str, Any]]:
    """Messages of two kinds each, of which every fifth is not labelled."""
    pairs = zip(messages(count), messages(count + 20)[20:], strict=True)
    return [
        {"text": f"{a['text']} {b['text']}", "label": sorted({a["label"], b["label"]}) if number % 5 else []}
        for number, (a, b) in enumerate(pairs)
    ]


def numbers(count: int, factor: float = 1, shift: float = 0) -> list[dict[str, Any]]:
    """Messages whose number follows from their label and length."""
    return [
        {"text": row["text"], "label": factor * (LABELS.index(row["label"]) + len(row["text"]) / 64) + shift}
        for row in messages(count)
    ]


def values(folder: Path, texts: list[str]) -> np.ndarray:
    return np.array([result["value"] for result in Predictor.from_pretrained(folder).predict(texts)])
