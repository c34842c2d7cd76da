"""Shared fixtures: tiny random T5 checkpoints with the tests' tokenizer, and a finished run."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.paths import TOKENIZER

if TYPE_CHECKING:
    from helpers.hub_server import Hub
    from helpers.runs import Run

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub reads it: no test may reach for the network


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs from tests that do not ask for one: their values are those of a CPU."""
    if "gpu" not in config.option.markexpr:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(autouse=True)
def verbosity() -> Iterator[None]:
    """The command quietens transformers; a test that runs it must not quieten the next one's warnings."""
    yield
    if "transformers" in sys.modules:
        sys.modules["transformers"].logging.set_verbosity_warning()


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes (once a test session and set of arguments) a tiny random T5 checkpoint with the tests' tokenizer."""
    made: dict[str, Path] = {}

    def make(kind: str = "t5", **config: object) -> Path:
        import torch
        from transformers import (
            AutoTokenizer,
            MT5Config,
            MT5ForConditionalGeneration,
            T5Config,
            T5ForConditionalGeneration,
            UMT5Config,
            UMT5ForConditionalGeneration,
        )

        classes = {
            "t5": (T5Config, T5ForConditionalGeneration),
            "mt5": (MT5Config, MT5ForConditionalGeneration),
            "umt5": (UMT5Config, UMT5ForConditionalGeneration),
        }
        key = repr((kind, sorted(config.items())))
        if key not in made:
            tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
            values = {
                "vocab_size": len(tokenizer),
                "d_model": 32,
                "d_kv": 8,
                "d_ff": 48,
                "num_layers": 2,
                "num_heads": 4,
                "decoder_start_token_id": 0,
                **config,
            }
            torch.manual_seed(0)
            model = classes[kind][1](classes[kind][0](**values))
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))  # layer norms start as ones: show they are copied
            folder = tmp_path_factory.mktemp("t5")
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            made[key] = folder
        return made[key]

    return make


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost more than they save on models of this size."""
    with _one_thread():
        yield


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Iterator[Hub]":
    """A hub at this machine, with nothing on it."""
    from helpers.hub_server import serving

    with serving(monkeypatch, tmp_path / "cache") as hub:
        yield hub


@pytest.fixture(scope="session")
def run(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A finished run, which tests look at and start others from."""
    from helpers.runs import Run

    with _one_thread():  # like the runs that are compared with it: more threads sum in another order
        return Run(t5_folder(), tmp_path_factory.mktemp("training"))
