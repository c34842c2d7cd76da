"""A GPU computes what a CPU does; run by `pytest -m gpu`, as all other tests see no GPU."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import enct5
from enct5.inference.predictor import Predictor
from enct5.training.config import TrainConfig
from helpers.models import MULTI, REGRESSION, SINGLE, TOKENS, saved_model
from helpers.runs import messages
from helpers.several_tasks import saved_tasks
from helpers.tables import write_rows
from helpers.tagging_runs import rows as tagged_rows
from helpers.texts import sentences

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
GPU = "cuda"
LONG = " ".join(["where is my parcel and the road to the bank"] * 30)


def assert_same_logits(folder: Path, texts: list[Any], **settings: Any) -> None:
    here = Predictor.from_pretrained(folder, device="cpu", dtype="float32").logits(texts)
    there = Predictor.from_pretrained(folder, device=GPU, dtype="float32", **settings)
    assert there.settings()["device"].startswith(GPU)
    found = there.logits(texts)
    for name in here if isinstance(here, dict) else [None]:
        own, other = (logits if name is None else logits[name] for logits in (here, found))
        if isinstance(own, np.ndarray):
            own, other = [own], [other]
        for expected, value in zip(own, other, strict=True):
            np.testing.assert_allclose(
                getattr(value, "logits", value), getattr(expected, "logits", expected), atol=2e-3, rtol=0
            )


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize(("task", "names"), [(SINGLE, "abc"), (MULTI, "abcd"), (REGRESSION, "a"), (TOKENS, None)])
def test_every_kind_of_task_predicts_what_a_cpu_does(
    task: str, names: str | None, fold: bool, t5_folder: Callable[..., Path], tmp_path: Path
) -> None:
    labels = ("O", "B-x", "I-x") if names is None else tuple(names)
    assert_same_logits(saved_model(t5_folder(), tmp_path, labels, task), sentences(40), fold=fold)


@pytest.mark.parametrize("fold", [True, False])
def test_several_tasks_predict_what_a_cpu_does(fold: bool, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    assert_same_logits(saved_tasks(t5_folder(), tmp_path), sentences(40), fold=fold)


@pytest.mark.parametrize("fold", [True, False])
def test_long_texts_are_read_in_windows_as_on_a_cpu(fold: bool, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = saved_model(t5_folder(), tmp_path, max_length=512)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"encoder_window": 16}))
    assert_same_logits(folder, [LONG, *sentences(5), f"{LONG} {LONG}"], fold=fold)


def test_explanations_are_those_of_a_cpu(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder, text = saved_model(t5_folder(), tmp_path), sentences(1)[0]
    here, there = (
        Predictor.from_pretrained(folder, device=device, dtype="float32").explain(text) for device in ("cpu", GPU)
    )
    assert there.words == here.words
    assert [label.label for label in there.labels] == [label.label for label in here.labels]
    for found, expected in zip(there.labels, here.labels, strict=True):
        np.testing.assert_allclose(found.attribution, expected.attribution, atol=2e-3)
        np.testing.assert_allclose(found.attention, expected.attention, atol=2e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("max_length", [4, 32])  # all texts are cut to one length, or batches have padding
@pytest.mark.parametrize("task", ["single", "multi", "regression"])
def test_training_ends_in_what_a_cpu_predicts_alike(
    task: str, max_length: int, precision: str, t5_folder: Callable[..., Path], tmp_path: Path
) -> None:
    rows = messages(60)
    for number, row in enumerate(rows):
        row["label"] = {"single": row["label"], "multi": [row["label"]], "regression": number % 7 / 2}[task]
    enct5.training.train(
        TrainConfig.checked(
            **{"data": write_rows(tmp_path / "train.jsonl", rows), "text": ("text",), "label": "label", "task": task},
            **{"base": str(t5_folder()), "out": str(tmp_path / "run"), "epochs": 2, "batch_size": 16},
            **{"max_length": max_length, "window": 0, "precision": precision},
        )
    )
    assert_same_logits(tmp_path / "run", [row["text"] for row in rows[:10]])


def test_tags_are_trained(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    enct5.training.train(
        TrainConfig.checked(
            **{"data": write_rows(tmp_path / "train.jsonl", tagged_rows(60)), "text": ("text",), "label": "entities"},
            **{"base": str(t5_folder()), "out": str(tmp_path / "run"), "epochs": 2, "max_length": 32},
        )
    )
    assert_same_logits(tmp_path / "run", [row["text"] for row in tagged_rows(8, 1)])


def test_several_tasks_are_trained(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    rows = [{**row, "urgency": number % 5} for number, row in enumerate(messages(60))]
    enct5.training.train(
        TrainConfig.checked(
            **{"data": write_rows(tmp_path / "train.jsonl", rows), "text": ("text",), "out": str(tmp_path / "run")},
            **{"tasks": {"label": "label", "urgency": "urgency:regression"}, "base": str(t5_folder()), "epochs": 2},
        )
    )
    assert_same_logits(tmp_path / "run", [row["text"] for row in rows[:10]])
