"""Servers of small random models, one for every kind of task, that tests ask and do not change."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from enct5 import EncT5Config
from enct5.inference.predictor import Predictor
from enct5.model.loading import load_tokenizer
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from helpers.models import MULTI, REGRESSION, SINGLE, SMALL, TOKENS, saved_model
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

TASKS = [
    {"name": "topic", "problem_type": SINGLE, "id2label": {0: "money", 1: "parcel", 2: "other"}},
    {"name": "moods", "problem_type": MULTI, "id2label": {0: "angry", 1: "sad"}, "thresholds": [0.4, 0.6]},
    {"name": "urgency", "problem_type": REGRESSION, "id2label": {0: "value"}},
    {"name": "places", "problem_type": TOKENS, "id2label": {0: "O", 1: "B-place", 2: "I-place"}},
]


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


@pytest.fixture(scope="session")
def several(t5_folder: Callable[..., Path]) -> Predictor:
    """A model of four tasks."""
    tokenizer = load_tokenizer(str(t5_folder()))
    tokenizer.model_max_length = 64
    torch.manual_seed(0)
    model = EncT5ForTasks(EncT5Config(**{**SMALL, "vocab_size": len(tokenizer)}, tasks=TASKS)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Predictor(model, tokenizer)
