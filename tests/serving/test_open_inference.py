"""The Open Inference Protocol v2."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from enct5.inference.predictor import Predictor
from helpers.serving import PAIRS, TEXTS, Asked, near

pytestmark = pytest.mark.usefixtures("one_thread")

Servers = Callable[[str], Asked]
Predictors = dict[str, Predictor]


def tensor(data: list[Any], name: str = "text", shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "shape": shape or [len(data)], "datatype": "BYTES", "data": data}


def outputs(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        one["name"]: np.array(one["data"], dtype=None if one["datatype"] == "FP32" else object).reshape(one["shape"])
        for one in answer["outputs"]
    }


@pytest.mark.parametrize("name", ["single", "multi", "value", "tags", "match"])
@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_tensors_hold_what_the_predictor_gives(
    servers: Servers, predictors: Predictors, name: str, version: str
) -> None:
    predictor = predictors[name]
    texts: list[Any] = TEXTS
    inputs = [tensor(TEXTS)]
    if name == "match":
        texts, inputs = PAIRS, [tensor([a for a, _ in PAIRS]), tensor([b for _, b in PAIRS], "text_pair")]
    answer = servers(name).json(f"/v2/models/{name}{version}/infer", {"id": "42", "inputs": inputs})
    found = outputs(answer)
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (name, "1", "42")
    assert [json.loads(one) for one in found.pop("prediction")] == near(predictor.predict(texts))
    if name == "tags":
        assert found == {}
        return
    logits = predictor.logits(texts)
    if predictor.task.has_probabilities:
        np.testing.assert_allclose(found.pop("logits"), logits, atol=1e-5)
    (scores,) = found.values()
    np.testing.assert_allclose(scores, predictor.task.scores(logits), atol=1e-5)


def test_chosen_outputs_and_a_column_of_texts(servers: Servers, predictors: Predictors) -> None:
    path = "/v2/models/single/infer"
    body = {"outputs": [{"name": "logits"}]}
    for data, shape in ((TEXTS, [3, 1]), ([[text] for text in TEXTS], [3, 1]), (TEXTS, [3])):
        found = outputs(servers("single").json(path, {**body, "inputs": [tensor(data, shape=shape)]}))
        assert found.keys() == {"logits"}
        np.testing.assert_allclose(found["logits"], predictors["single"].logits(TEXTS), atol=1e-5)


def test_metadata(servers: Servers) -> None:
    server = servers("single")
    assert server.get("/v2").json()["extensions"] == []
    assert server.get("/v2/health/live").json() == {"live": True}
    assert server.get("/v2/health/ready").json() == {"ready": True}
    assert server.get("/v2/models").json() == {"models": ["single"]}
    assert server.get("/v2/models/single/ready").json() == {"name": "single", "ready": True}
    about = server.get("/v2/models/single").json()
    assert about["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [one["name"] for one in about["outputs"]] == ["probabilities", "logits", "prediction"]
    assert about["outputs"][0]["shape"] == [-1, 3]
    assert [one["name"] for one in servers("match").get("/v2/models/match").json()["inputs"]] == ["text", "text_pair"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"inputs": []}, "`text`"),
        ({"inputs": [tensor(["a"], "words")]}, "`text`"),
        ({"inputs": [tensor(["a"]), tensor(["b"])]}, "once each"),
        ({"inputs": [tensor(["a"], shape=[2])]}, "2 strings"),
        ({"inputs": [tensor(["a"], shape=[1, 1, 1])]}, "shape"),
        ({"inputs": [tensor([], shape=[0])]}, "shape"),
        ({"inputs": [tensor([3])]}, "1 strings"),
        ({"inputs": [{**tensor(["a"]), "datatype": "FP32"}]}, "BYTES"),
        ({"inputs": [tensor(["a"]), tensor(["b", "c"], "text_pair")]}, "length"),
        ({"inputs": [tensor(["a"])], "outputs": [{"name": "logit"}]}, "logits"),
        ({"inputs": [tensor(["a"])], "outputs": [{"name": "logits", "parameters": {"classification": 2}}]}, "classif"),
        ({"inputs": [{"name": "text"}]}, "inputs.0"),
        ({}, "inputs"),
    ],
)
def test_mistakes(servers: Servers, body: Any, said: str) -> None:
    answer = servers("single").json("/v2/models/single/infer", body, 400)
    assert answer.keys() == {"error"}
    assert said in answer["error"]


def test_unknown_models_and_versions(servers: Servers) -> None:
    server = servers("single")
    body = {"inputs": [tensor(["a"])]}
    assert "no model `other`" in server.json("/v2/models/other/infer", body, 404)["error"]
    assert "one version" in server.json("/v2/models/single/versions/2/infer", body, 404)["error"]
    assert server.get("/v2/models/other").json().keys() == {"error"}
    assert server.get("/v2/models/other/ready").status_code == 404


def test_binary_tensors_are_refused_and_a_body_needs_no_type(servers: Servers) -> None:
    path = "/v2/models/single/infer"
    server = servers("single")
    content = json.dumps({"inputs": [tensor(["a"])]}).encode()
    refused = server.post(path, content=content + b"\x01", headers={"Inference-Header-Content-Length": "9"})
    assert (refused.status_code, "binary" in refused.json()["error"]) == (400, True)
    assert server.post(path, content=content).status_code == 200
    assert server.post(path, content=content, headers={"Content-Type": "text/plain"}).status_code == 415
