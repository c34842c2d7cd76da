"""Servers of small random models, one for every kind of task, that tests ask and do not change."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enct5.inference.predictor import Predictor
from helpers.models import MULTI, REGRESSION, SINGLE, TOKENS, saved_model
from helpers.serving import Asked, asked
from helpers.texts import LABELS

MODELS = {
    "single": (LABELS, SINGLE, ("text",)),
    "multi": (LABELS, MULTI, ("text",)),
    "value": (("value",), REGRESSION, ("text",)),
    "tags": (("O", "B-place", "I-place"), TOKENS, ("text",)),
    "match": (("no", "yes"), SINGLE, ("query", "document")),
    "similar": (("value",), REGRESSION, ("query", "document")),
}


@pytest.fixture(scope="session")
def served_folders(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run folder of every kind, by the name it is served by."""
    folder = tmp_path_factory.mktemp("served")
    for name, (labels, task, text) in MODELS.items():
        saved_model(t5_folder(), folder / name, labels, task, text=text)
    return {name: folder / name for name in MODELS}


@pytest.fixture(scope="session")
def predictors(served_folders: dict[str, Path]) -> dict[str, Predictor]:
    return {name: Predictor.from_pretrained(folder) for name, folder in served_folders.items()}


@pytest.fixture(scope="session")
def servers(predictors: dict[str, Predictor]) -> Iterator[Callable[[str], Asked]]:
    """The server of one model, by its name, that runs until the last test; asked in this process."""
    made: dict[str, tuple[object, Asked]] = {}

    def server(name: str) -> Asked:
        if name not in made:
            context = asked({name: predictors[name]})
            made[name] = context, context.__enter__()
        return made[name][1]

    yield server
    for context, _ in made.values():
        context.__exit__(None, None, None)


@pytest.fixture(scope="session")
def all_served(predictors: dict[str, Predictor]) -> Iterator[Asked]:
    """One server of all models."""
    with asked(predictors) as server:
        yield server
