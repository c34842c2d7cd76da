"""`Predictor` runs any `Engine`, and asks no more of it than the contract says."""

import copy
import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from enct5 import EncT5Config, Predictor
from enct5.errors import EncT5Error
from enct5.inference.engine import Engine, Form
from enct5.inference.torch_engine import TorchEngine
from enct5.model.loading import load_tokenizer
from helpers.models import random_model
from helpers.texts import sentences

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]


class Lengths:
    """A form whose logits are a row's tokens, and its batch's rows."""

    name, pads = "lengths", False

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        return np.array([[len(row), len(rows)] for row in rows], dtype=np.float32)


class Counting:
    """An engine without torch and without a graph."""

    fold = compile = False
    device, dtype, threads = "abacus", None, 3

    def __init__(self, vocab_size: int) -> None:
        self.config = EncT5Config(vocab_size=vocab_size, num_labels=2)

    @property
    def model(self) -> str:
        return "beads"

    def use_threads(self, count: int) -> None: ...

    def current(self) -> Form:
        return Lengths()

    def batch_tokens(self) -> int:
        return 40

    def is_fine_tuned(self) -> None: ...

    def damaged_weight(self) -> None: ...

    def summary(self) -> str:
        return "an abacus"

    def ways(self) -> Mapping[str, Form]:
        return {"lengths": Lengths()}

    def of_task(self, name: str) -> NoReturn:
        raise EncT5Error("beads do one task")

    def differentiable(self) -> NoReturn:
        raise EncT5Error("beads have no gradients")


def test_a_predictor_runs_an_engine_of_any_kind(t5_folder: Base) -> None:
    tokenizer = load_tokenizer(str(t5_folder()))
    predictor = Predictor(Counting(len(tokenizer)), tokenizer)
    texts = sentences(30)
    for other in (predictor, pickle.loads(pickle.dumps(predictor)), copy.deepcopy(predictor)):
        tokens, rows = other.logits(texts).T
        assert tokens.tolist() == [len(ids) for ids in tokenizer(texts)["input_ids"]]
        assert np.all((tokens * rows <= 40) | (rows == 1))
        assert rows.max() > 1
        assert other.settings() == {"form": "lengths", "device": "abacus", "threads": 3, "batch_tokens": 40}
        assert other.model == "beads"
    with pytest.raises(EncT5Error, match="beads have no gradients"):
        predictor.explain(texts[0])


def test_a_model_of_torch_is_run_by_an_engine_that_can_be_shared(t5_folder: Base) -> None:
    tokenizer = load_tokenizer(str(t5_folder()))
    model = random_model(num_labels=3, vocab_size=len(tokenizer))
    engine = TorchEngine(model)
    assert isinstance(engine, Engine)
    assert not isinstance(model, Engine)
    first, second = Predictor(engine, tokenizer), Predictor(engine, tokenizer)
    assert first.engine is second.engine
    assert first.model is model
    np.testing.assert_array_equal(first.logits(sentences(5)), second.logits(sentences(5)))


def test_what_runs_follows_the_settings_at_once() -> None:
    model = random_model(num_labels=3)
    engine = TorchEngine(model)
    folded = engine.current()
    assert (folded.name, folded.pads) == ("folded model", False)
    assert engine.current() is folded
    engine.fold = False
    assert (engine.current().name, engine.current().pads) == ("plain model", True)
    engine.fold = True
    assert engine.current().name == "folded model"
    with torch.no_grad():
        model.classifier.bias.add_(1)
    assert engine.current() is not folded


def test_a_predictor_takes_no_other_model_in_silence(t5_folder: Base) -> None:
    tokenizer = load_tokenizer(str(t5_folder()))
    predictor = Predictor(random_model(num_labels=3, vocab_size=len(tokenizer)), tokenizer)
    with pytest.raises(AttributeError, match="model"):
        predictor.model = random_model(num_labels=2)
    predictor.fold = False
    assert predictor.settings()["form"] == "plain model"


def test_the_first_weight_that_is_no_number_is_named() -> None:
    model = random_model(num_labels=3)
    engine = TorchEngine(model)
    assert engine.damaged_weight() is None
    with torch.no_grad():
        model.classifier.weight[1, 2] = torch.inf
    assert engine.damaged_weight() == "classifier.weight"


def test_a_thread_chooses_for_itself_how_many_it_computes_with() -> None:
    engine, before, seen = TorchEngine(random_model(num_labels=3)), torch.get_num_threads(), []

    def other() -> None:
        engine.use_threads(before + 1)
        seen.append(engine.threads)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert (seen, engine.threads) == ([before + 1], before)
    torch.set_num_threads(before)  # which threads that are still to come start with
