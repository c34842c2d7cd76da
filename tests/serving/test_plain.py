"""Our own dialect gives what `Predictor` gives."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from enct5.inference.predictor import Predictor
from helpers.serving import PAIRS, TEXTS, Asked, near

pytestmark = pytest.mark.usefixtures("one_thread")

Servers = Callable[[str], Asked]
Predictors = dict[str, Predictor]


@pytest.mark.parametrize("name", ["single", "multi", "value", "tags", "match", "similar"])
def test_records_are_those_of_the_predictor(servers: Servers, predictors: Predictors, name: str) -> None:
    texts: list[Any] = PAIRS if name in ("match", "similar") else TEXTS
    answer = servers(name).json("/v1/predict", {"texts": texts})
    assert answer == {
        "model": name,
        "task": predictors[name].task.name,
        "results": near(predictors[name].predict(texts)),
    }


def test_one_text_is_a_list_of_one(servers: Servers, predictors: Predictors) -> None:
    answer = servers("single").json("/v1/predict", {"texts": TEXTS[0]})
    assert answer["results"] == near([predictors["single"].predict(TEXTS[0])])


def test_words_are_tagged_as_words(servers: Servers, predictors: Predictors) -> None:
    words = [["where", "is", "my", "parcel"], ["the", "bank"]]
    answer = servers("tags").json("/v1/predict", {"texts": words})
    assert answer["results"] == near(predictors["tags"].predict(words))


@pytest.mark.parametrize(("asked", "top_k"), [({"top_k": 2}, 2), ({"all_scores": True}, None)])
@pytest.mark.parametrize("name", ["single", "multi"])
def test_the_likeliest_labels(
    servers: Servers, predictors: Predictors, name: str, asked: dict[str, Any], top_k: int | None
) -> None:
    results = servers(name).json("/v1/predict", {"texts": TEXTS, **asked})["results"]
    assert [result["top"] for result in results] == near(predictors[name].predict(TEXTS, top_k=top_k))


def test_labels_are_withheld(servers: Servers, predictors: Predictors) -> None:
    results = servers("single").json("/v1/predict", {"texts": TEXTS, "abstain_below": 0.99})["results"]
    assert results == near(predictors["single"].predict(TEXTS, abstain_below=0.99))
    assert [result["label"] for result in results] == [None] * 3


@pytest.mark.parametrize(("name", "text"), [("single", TEXTS[0]), ("multi", TEXTS[1]), ("match", PAIRS[0])])
def test_explanations(servers: Servers, predictors: Predictors, name: str, text: Any) -> None:
    (result,) = servers(name).json("/v1/predict", {"texts": [text], "explain": True})["results"]
    wanted = dataclasses.asdict(predictors[name].explain(text))
    found = result["explanation"]
    assert found["words"] == wanted["words"]
    assert found["prediction"] == near(wanted["prediction"])
    assert [label["label"] for label in found["labels"]] == [label["label"] for label in wanted["labels"]]
    for one, other in zip(found["labels"], wanted["labels"], strict=True):
        assert one["attribution"] == pytest.approx(other["attribution"], abs=1e-3)
        assert one["attention"] == pytest.approx(other["attention"], abs=1e-4)


def test_the_label_to_explain_can_be_named(servers: Servers) -> None:
    server = servers("single")
    body = {"texts": [TEXTS[0]], "explain": True, "label": "ärger"}
    (result,) = server.json("/v1/predict", body)["results"]
    assert [label["label"] for label in result["explanation"]["labels"]] == ["ärger"]
    assert "no label `anger`" in server.json("/v1/predict", {**body, "label": "anger"}, 422)["message"]


@pytest.mark.parametrize("name", ["match", "similar"])
def test_rankings_are_those_of_the_predictor(servers: Servers, predictors: Predictors, name: str) -> None:
    answer = servers(name).json("/v1/rank", {"query": "where", "documents": TEXTS, "top_k": 2})
    assert answer == {"model": name, "results": near(predictors[name].rank("where", TEXTS, top_k=2))}


def test_a_label_to_rank_by(servers: Servers, predictors: Predictors) -> None:
    body = {"query": "where", "documents": TEXTS, "label": "no"}
    answer = servers("match").json("/v1/rank", body)
    assert answer["results"] == near(predictors["match"].rank("where", TEXTS, label="no"))
    assert "no label `maybe`" in servers("match").json("/v1/rank", {**body, "label": "maybe"}, 422)["message"]


@pytest.mark.parametrize(
    ("name", "body", "status", "said"),
    [
        ("single", {"texts": []}, 400, "cannot be empty"),
        ("single", {"texts": ["a"], "topk": 2}, 422, "topk"),
        ("single", {"texts": [["a", "b"]]}, 422, "give it single texts"),
        ("single", {"texts": [["a", "b", "c"]]}, 422, "a pair has two texts"),
        ("match", {"texts": ["a"]}, 422, "give it pairs"),
        ("single", {"texts": ["a"], "top_k": 2, "all_scores": True}, 422, "do not go together"),
        ("single", {"texts": ["a"], "top_k": 0}, 422, "top_k"),
        ("single", {"texts": ["a"], "abstain_below": 2}, 422, "from 0 to 1"),
        ("multi", {"texts": ["a"], "abstain_below": 0.5}, 422, "abstain_below"),
        ("value", {"texts": ["a"], "top_k": 2}, 422, "no probabilities"),
        ("single", {"texts": ["a"], "label": "ärger"}, 422, "explain"),
        ("single", {"texts": ["a"] * 17, "explain": True}, 422, "16"),
        ("tags", {"texts": ["a"], "explain": True}, 424, "labels of whole texts"),
        ("single", {"texts": [1]}, 422, "texts.0"),
        ("single", {"texts": {"a": 1}}, 422, "texts"),
        ("single", {}, 422, "texts"),
        ("single", [], 422, "dictionary"),
    ],
)
def test_mistakes_are_told(servers: Servers, name: str, body: Any, status: int, said: str) -> None:
    answer = servers(name).json("/v1/predict", body, status)
    assert said in answer["message"]
    assert answer["error"]["message"] == answer["message"]
    assert answer["error"]["code"] == status


def test_only_models_of_pairs_rank(servers: Servers) -> None:
    answer = servers("single").json("/v1/rank", {"query": "a", "documents": ["b"]}, 424)
    assert "train one on pairs" in answer["message"]
