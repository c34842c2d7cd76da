"""Text Embeddings Inference's dialect."""

from collections.abc import Callable
from typing import Any

import pytest

from enct5.inference.predictor import Predictor
from helpers.serving import PAIRS, TEXTS, Asked, near

pytestmark = pytest.mark.usefixtures("one_thread")

Servers = Callable[[str], Asked]
Predictors = dict[str, Predictor]


def sorted_labels(predictor: Predictor, texts: list[Any]) -> Any:
    """All labels of each text, best first, with the scores of `Predictor`."""
    if predictor.task.has_probabilities:
        return near(predictor.predict(texts, all_scores=True))
    return near([[{"label": "value", "score": one["value"]}] for one in predictor.predict(texts)])


@pytest.mark.parametrize("name", ["single", "multi", "value"])
def test_one_text_is_flat_and_a_batch_nested(servers: Servers, predictors: Predictors, name: str) -> None:
    wanted = sorted_labels(predictors[name], TEXTS)
    server = servers(name)
    assert server.json("/predict", {"inputs": TEXTS[0]}) == wanted[0]
    assert server.json("/predict", {"inputs": [TEXTS[0]]}) == wanted[0]
    assert server.json("/", {"inputs": [[text] for text in TEXTS]}) == wanted


def test_a_list_of_two_strings_is_a_pair(servers: Servers, predictors: Predictors) -> None:
    wanted = sorted_labels(predictors["match"], PAIRS)
    server = servers("match")
    assert server.json("/predict", {"inputs": list(PAIRS[0])}) == wanted[0]
    assert server.json("/predict", {"inputs": [list(pair) for pair in PAIRS]}) == wanted
    answer = servers("single").json("/predict", {"inputs": ["two", "texts"]}, 422)
    assert answer == {
        "error": "the model was trained on `text`; give it single texts",
        "error_type": "Validation",
    }


def test_a_tagger_gives_entities(servers: Servers, predictors: Predictors) -> None:
    found = servers("tags").json("/predict", {"inputs": [[text] for text in TEXTS]})
    for text, entities, right in zip(TEXTS, found, predictors["tags"].predict(TEXTS), strict=True):
        assert [(one["start"], one["end"], one["entity_group"]) for one in entities] == [
            (one["start"], one["end"], one["label"]) for one in right["entities"]
        ]
        assert [one["score"] for one in entities] == near([one["score"] for one in right["entities"]])
        assert all(text[one["start"] : one["end"]] == one["word"] for one in entities)
    assert sum(map(len, found)) > 0
    assert servers("tags").json("/predict", {"inputs": TEXTS[0]}) == near(found[0])


@pytest.mark.parametrize("name", ["single", "multi", "value"])
def test_raw_scores_are_logits(servers: Servers, predictors: Predictors, name: str) -> None:
    (found,) = servers(name).json("/predict", {"inputs": [[TEXTS[0]]], "raw_scores": True})
    predictor = predictors[name]
    (logits,) = predictor.logits(TEXTS[:1])
    ids = predictor.engine.config.label2id
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert {ids[one["label"]]: one["score"] for one in found} == near(
        {number: float(logit) for number, logit in enumerate(logits)}
    )


@pytest.mark.parametrize(
    "inputs", [["a", "b", "c"], [["a", "b", "c"]], [[]], [], ["a", ["b"]], [["a"], "b"], 3, None, [[1]], [[["a"]]]]
)
def test_what_is_no_input_is_refused(servers: Servers, inputs: Any) -> None:
    answer = servers("single").json("/predict", {"inputs": inputs}, 422)
    assert answer.keys() == {"error", "error_type"}
    assert answer["error_type"] == "Validation"
    assert "inputs" in answer["error"]


def test_an_empty_text(servers: Servers) -> None:
    answer = servers("single").json("/predict", {"inputs": ""}, 400)
    assert answer == {"error": "Input validation error: `inputs` cannot be empty", "error_type": "Empty"}


def test_long_texts_are_cut_unless_they_may_not_be(servers: Servers, predictors: Predictors) -> None:
    long = "where is my parcel " * 40
    server = servers("single")
    (wanted,) = sorted_labels(predictors["single"], [long])
    assert server.json("/predict", {"inputs": long}) == wanted
    assert server.json("/predict", {"inputs": long, "truncate": True, "truncation_direction": "Right"}) == wanted
    answer = server.json("/predict", {"inputs": long, "truncate": False}, 422)
    tokens = len(predictors["single"].tokenizer(long)["input_ids"])
    assert answer["error"].endswith(f"`inputs` must have less than 64 tokens. Given: {tokens}")
    assert "right side only" in server.json("/predict", {"inputs": long, "truncation_direction": "Left"}, 422)["error"]
    server.json("/predict", {"inputs": "short", "truncation_direction": "Left"})


@pytest.mark.parametrize("name", ["match", "similar"])
def test_reranking(servers: Servers, predictors: Predictors, name: str) -> None:
    wanted = predictors[name].rank("where", TEXTS)
    server = servers(name)
    body = {"query": "where", "texts": TEXTS}
    assert server.json("/rerank", body) == near([{"index": one["index"], "score": one["score"]} for one in wanted])
    assert server.json("/rerank", {**body, "return_text": True}) == near(
        [{"index": one["index"], "text": one["document"], "score": one["score"]} for one in wanted]
    )


def test_what_cannot_be_reranked(servers: Servers) -> None:
    body = {"query": "where", "texts": TEXTS}
    answer = servers("single").json("/rerank", body, 424)
    assert answer["error_type"] == "Backend"
    assert "trained on single texts" in answer["error"]
    assert servers("match").json("/rerank", {"query": "where", "texts": []}, 400) == {
        "error": "`texts` cannot be empty",
        "error_type": "Empty",
    }
    assert "no raw one" in servers("match").json("/rerank", {**body, "raw_scores": True}, 422)["error"]
    servers("similar").json("/rerank", {**body, "raw_scores": True})


def test_info(servers: Servers, predictors: Predictors) -> None:
    info = servers("multi").get("/info").json()
    config = predictors["multi"].engine.config
    assert info["model_id"] == "runs/multi"
    assert info["served_model_name"] == "multi"
    assert info["model_type"]["classifier"]["label2id"] == config.label2id
    assert info["max_input_length"] == 64
    assert info["max_client_batch_size"] == 1024
    assert info["thresholds"] == config.thresholds
    assert info["problem_type"] == "multi_label_classification"
    assert "reranker" in servers("similar").get("/info").json()["model_type"]
    assert "token_classifier" in servers("tags").get("/info").json()["model_type"]
