"""A model of several tasks gives all of them by our own dialect, and by the others each as a model of its own."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enct5.cli.merging import merge
from enct5.export import onnx
from enct5.inference.predictor import Predictor
from helpers.bare import bare_command
from helpers.serving import TEXTS, Asked, asked, near, process

pytestmark = pytest.mark.usefixtures("one_thread")
TASKS = ("single", "multi", "value", "tags")


@pytest.fixture(scope="module")
def shop(served_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks") / "shop"
    merge([f"{name}={served_folders[name]}" for name in TASKS], folder)
    return folder


@pytest.fixture(scope="module")
def all_tasks(shop: Path) -> Predictor:
    return Predictor.from_pretrained(shop)


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


@pytest.fixture(scope="module")
def desk(several: Predictor) -> Iterator[Asked]:
    with asked({"desk": several}) as started:
        yield started


def test_all_tasks_in_one_pass(desk: Asked, several: Predictor) -> None:
    wanted = several.predict(TEXTS)
    assert wanted[0].keys() == {"topic", "moods", "urgency", "places"}
    assert desk.json("/v1/predict", {"texts": TEXTS})["results"] == near(wanted)
    tensor = {"name": "text", "shape": [3], "datatype": "BYTES", "data": TEXTS}
    (output,) = desk.json("/v2/models/desk/infer", {"inputs": [tensor]})["outputs"]
    assert [json.loads(one) for one in output["data"]] == near(wanted)


@pytest.mark.parametrize("task", ["topic", "moods", "urgency", "places"])
def test_each_task_is_a_model_of_its_own(desk: Asked, several: Predictor, task: str) -> None:
    wanted = [record[task] for record in several.predict(TEXTS)]
    assert desk.json("/v1/predict", {"texts": TEXTS, "model": f"desk:{task}"})["results"] == near(wanted)
    found = desk.json(f"/models/desk:{task}/predict", {"inputs": [[text] for text in TEXTS]})
    if task == "places":
        assert [[one["word"] for one in row] for row in found] == [
            [one["text"] for one in record["entities"]] for record in wanted
        ]
    else:
        scores = several.of_task(task).task.scores(several.logits(TEXTS)[task])
        assert [sorted(one["score"] for one in row) for row in found] == near([sorted(row.tolist()) for row in scores])
        data = desk.json("/classify", {"input": TEXTS, "model": f"desk:{task}"})["data"]
        assert [one["probs"] for one in data] == near(scores.tolist())


def test_one_task_is_explained(desk: Asked, several: Predictor) -> None:
    body: dict[str, Any] = {"texts": TEXTS[0], "explain": True}
    (result,) = desk.json("/v1/predict", {**body, "model": "desk:topic"})["results"]
    wanted = dataclasses.asdict(several.explain(TEXTS[0], task="topic"))
    assert result["explanation"]["prediction"] == near(wanted["prediction"])
    assert result["explanation"]["words"] == wanted["words"]
    assert "desk:topic" in desk.json("/v1/predict", body, 424)["message"]


@pytest.mark.parametrize(("path", "body"), [("/predict", {"inputs": "a"}), ("/classify", {"input": "a"})])
def test_where_one_task_has_to_be_named(desk: Asked, path: str, body: dict[str, Any]) -> None:
    error = desk.json(path, body, 424)["error"]
    message = error if isinstance(error, str) else error["message"]
    assert message.startswith("desk does several tasks; say which by `model` (desk:topic, desk:moods, ")


def test_the_models_are_listed(desk: Asked) -> None:
    listed = {model["id"]: model for model in desk.get("/v1/models").json()["data"]}
    assert list(listed) == ["desk", "desk:topic", "desk:moods", "desk:urgency", "desk:places"]
    assert listed["desk"]["tasks"] == ["topic", "moods", "urgency", "places"]
    assert listed["desk:moods"]["labels"] == ["angry", "sad"]
    assert listed["desk:moods"]["thresholds"] == [0.4, 0.6]
    assert [model["explains"] for model in listed.values()] == [False, True, True, True, False]
    assert "multi_task" in desk.get("/info").json()["model_type"]


@pytest.mark.slow
def test_an_exported_model_has_its_tasks_apart_without_torch(shop: Path, server: Asked, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra [runtime]")
    pytest.importorskip("onnxscript", reason="needs the extra [onnx]")
    onnx.export(str(shop), tmp_path / "shop")
    command = bare_command(("runtime", "serve"), "serve", tmp_path / "shop", "--port", 0)
    with process(command=command) as exported:

        def answer(path: str, body: Any) -> Any:
            status, _, content = exported.ask("POST", path, body)
            assert status == 200, content
            return json.loads(content)

        tensor = {"name": "text", "shape": [3], "datatype": "BYTES", "data": TEXTS}
        for task in TASKS:
            body = {"texts": TEXTS, "model": f"shop:{task}"}
            assert answer("/v1/predict", body) == near(server.json("/v1/predict", body)), task
        for path, body in (
            ("/models/shop:single/predict", {"inputs": [[text] for text in TEXTS]}),
            ("/models/shop:tags/predict", {"inputs": TEXTS[0]}),
            ("/v2/models/shop:multi/infer", {"inputs": [tensor], "outputs": [{"name": "logits"}]}),
        ):
            assert answer(path, body) == near(server.json(path, body)), path
        assert answer("/classify", {"input": TEXTS, "model": "shop:single"})["data"] == near(
            server.json("/classify", {"input": TEXTS, "model": "shop:single"})["data"]
        )
        status, _, content = exported.ask("POST", "/predict", {"inputs": TEXTS[0]})
        assert status == 424
        assert b"say which by `model` (shop:single, shop:multi, " in content
        listed = json.loads(exported.ask("GET", "/v1/models")[2])["data"]
        assert [model["id"] for model in listed] == ["shop", *(f"shop:{name}" for name in TASKS)]
        assert not any(model["explains"] for model in listed)
        body = {"model": "shop:single", "texts": TEXTS[0], "explain": True}
        status, _, content = exported.ask("POST", "/v1/predict", body)
        assert status == 424
        assert b"an exported model has no gradients" in content
