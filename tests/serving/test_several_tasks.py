"""A model of several tasks gives all of them by our own dialect, and each by the others as a model of that task alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enct5.cli.merging import merge
from enct5.inference.predictor import Predictor
from helpers.serving import TEXTS, Asked, asked, near

pytestmark = pytest.mark.usefixtures("one_thread")
TASKS = ("single", "multi", "value", "tags")


@pytest.fixture(scope="module")
def all_tasks(served_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("tasks") / "shop"
    merge([f"{name}={served_folders[name]}" for name in TASKS], folder)
    return Predictor.from_pretrained(folder)


@pytest.fixture(scope="module")
def server(all_tasks: Predictor) -> Iterator[Asked]:
    with asked({"shop": all_tasks}) as server:
        yield server


def test_our_own_dialect_gives_all_tasks(server: Asked, all_tasks: Predictor) -> None:
    answer = server.json("/v1/predict", {"texts": TEXTS})
    assert (answer["model"], answer["task"]) == ("shop", "multi_task")
    assert answer["results"] == near(all_tasks.predict(TEXTS))
    assert list(answer["results"][0]) == list(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_a_model_of_its_own(server: Asked, predictors: dict[str, Predictor], name: str) -> None:
    answer = server.json("/v1/predict", {"model": f"shop:{name}", "texts": TEXTS})
    assert answer["results"] == near(predictors[name].predict(TEXTS))
    assert answer["task"] == predictors[name].task.name


def test_dialects_of_other_servers_know_the_tasks(server: Asked, predictors: dict[str, Predictor]) -> None:
    wanted = near(predictors["single"].predict(TEXTS, top_k=None))
    found: Any = server.json("/models/shop:single/predict", {"inputs": [[text] for text in TEXTS]})
    assert [sorted(one, key=lambda label: -label["score"]) for one in found] == wanted
    assert server.json("/models/shop:single", {"inputs": TEXTS, "parameters": {}}) == wanted
    (first,) = server.json("/classify", {"model": "shop:single", "input": TEXTS[0]})["data"]
    assert first["label"] == predictors["single"].predict(TEXTS[0])["label"]
    spans = server.json("/models/shop:tags/predict", {"inputs": TEXTS[0]})
    entities = predictors["tags"].predict(TEXTS[0])["entities"]
    assert [(one["start"], one["end"], one["entity_group"]) for one in spans] == [
        (one["start"], one["end"], one["label"]) for one in entities
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {"inputs": TEXTS[0]}),
        ("/", {"inputs": TEXTS[0]}),
        ("/classify", {"input": TEXTS[0]}),
        ("/v1/predict", {"texts": TEXTS[0], "explain": True}),
    ],
)
def test_what_is_of_one_task_names_the_way_to_one(server: Asked, path: str, body: Any) -> None:
    response = server.post(path, json=body)
    assert 400 <= response.status_code < 500
    assert "shop:single" in response.text


def test_explanations_are_of_a_task(server: Asked) -> None:
    body = {"model": "shop:single", "texts": [TEXTS[0]], "explain": True}
    (result,) = server.json("/v1/predict", body)["results"]
    assert result["explanation"]["labels"]


def test_tasks_are_listed_beside_their_model(server: Asked) -> None:
    listed = [model["id"] for model in server.get("/v1/models").json()["data"]]
    assert listed == ["shop", *(f"shop:{name}" for name in TASKS)]
    described = server.get("/v2/models/shop").json()
    assert [output["name"] for output in described["outputs"]] == ["prediction"]


def test_an_unknown_task_is_an_unknown_model(server: Asked) -> None:
    response = server.post("/v1/predict", json={"model": "shop:nothing", "texts": TEXTS})
    assert response.status_code == 404
