"""A saved model that tests look at and do not change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.models import saved_model


@pytest.fixture(scope="module")
def folder(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(t5_folder(), tmp_path_factory.mktemp("model"))
