"""A new regression head is the ridge regression on the model's own states; other heads start from nothing."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from enct5.model.loading import load_tokenizer
from enct5.model.modeling_enct5 import EncT5ForSequenceClassification
from enct5.tasks.registry import find_task
from enct5.training.config import TrainConfig
from enct5.training.data import prepare, read_rows
from enct5.training.linear_start import FEWEST_ROWS
from enct5.training.model_init import build_model, new_model
from helpers.runs import Run, messages, numbers
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")


def started(
    run: Run, source: str, build: Callable[..., EncT5ForSequenceClassification] = build_model
) -> tuple[EncT5ForSequenceClassification, Any]:
    """The model that a run starts with, and its data."""
    config = TrainConfig.checked(data=source, text=("text",), label="label", base=str(run.base), out=str(run.out))
    tokenizer = load_tokenizer(str(run.base))
    data = prepare(config, read_rows(config), tokenizer)
    return new_model(config, str(run.base), tokenizer, data, build), data


def test_a_regression_head_is_the_ridge_regression_on_the_states(run: Run, tmp_path: Any) -> None:
    model, data = started(run, write_rows(tmp_path / "rows.jsonl", numbers(90)))
    assert model.training
    bare = copy.deepcopy(model).eval()
    states, targets = [], []
    with torch.no_grad():
        for row in data.train:  # one by one, without padding
            ids = torch.tensor([row["input_ids"]])
            states.append(bare.transformer(input_ids=ids).last_hidden_state[0, 0].numpy())
            targets.append(np.asarray(row["labels"]).ravel()[0])
    features, truth = np.stack(states).astype(np.float64), np.array(targets)
    given = features @ model.classifier.weight[0].detach().numpy() + model.classifier.bias.item()
    # of all strengths that might have been chosen, one gives this head
    scaled = features / features.std()
    errors = [
        np.abs(Ridge(alpha=len(truth) * strength).fit(scaled, truth).predict(scaled) - given).max()
        for strength in np.logspace(-3, 1, 9)
    ]
    assert min(errors) < 1e-3
    assert np.mean((given - truth) ** 2) < 0.5 * np.var(truth)


def test_a_head_for_several_targets_has_a_row_for_each() -> None:
    states = np.random.default_rng(0).normal(3, 2, (200, 8)).astype(np.float32)
    wanted = np.array([[1, 0, -2, 0, 0, 0, 0, 1], [0, 3, 0, 0, 0, 0, 0, 0]])
    task = find_task("regression")
    assert task.fit_head is not None
    weight, bias = task.fit_head(states, states @ wanted.T + [5, -1])
    np.testing.assert_allclose(weight, wanted, atol=0.01)
    np.testing.assert_allclose(bias, [5, -1], atol=0.1)
    assert weight.dtype == bias.dtype == np.float32


def test_other_heads_and_few_rows_start_from_nothing(run: Run, tmp_path: Any) -> None:
    classes, _ = started(run, write_rows(tmp_path / "classes.jsonl", messages(60)))
    few, data = started(run, write_rows(tmp_path / "few.jsonl", numbers(20)))
    assert len(data.train) < FEWEST_ROWS
    assert not classes.classifier.bias.any()
    assert not few.classifier.bias.any()


def test_a_trained_head_goes_on(run: Run, tmp_path: Any) -> None:
    trained = build_model(str(run.base), find_task("regression"), ["value"])
    torch.nn.init.constant_(trained.classifier.bias, 0.25)
    before = trained.classifier.weight.detach().clone()
    model, _ = started(run, write_rows(tmp_path / "rows.jsonl", numbers(40)), lambda *_, **__: trained)
    assert torch.equal(model.classifier.weight, before)
    assert model.classifier.bias.item() == 0.25


def test_the_same_seed_gives_the_same_head(run: Run, tmp_path: Any) -> None:
    source = write_rows(tmp_path / "rows.jsonl", numbers(40))
    first, second = (started(run, source)[0] for _ in range(2))
    assert torch.equal(first.classifier.weight, second.classifier.weight)
