"""A saved model, and its predictor, that tests look at and do not change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from enct5.inference.predictor import Predictor
from helpers.models import saved_model

Base = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(t5_folder(), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor.from_pretrained(folder)


@pytest.fixture(scope="module")
def untold(predictor: Predictor) -> Predictor:
    """The same, of which nobody knows whether it was trained on single texts or pairs: it takes both."""
    return Predictor(predictor.model, predictor.tokenizer)
