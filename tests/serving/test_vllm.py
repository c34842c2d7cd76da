"""vLLM's dialect: `/classify` and `/score`."""

from collections.abc import Callable
from typing import Any

import pytest

from enct5.inference.predictor import Predictor
from helpers.serving import TEXTS, Asked, near

pytestmark = pytest.mark.usefixtures("one_thread")

Servers = Callable[[str], Asked]
Predictors = dict[str, Predictor]


@pytest.mark.parametrize("path", ["/classify", "/v1/classify"])
@pytest.mark.parametrize("name", ["single", "multi", "value"])
def test_probabilities_are_in_the_order_of_ids(servers: Servers, predictors: Predictors, name: str, path: str) -> None:
    predictor = predictors[name]
    answer = servers(name).json(path, {"input": TEXTS, "model": name})
    logits = predictor.logits(TEXTS)
    names = list(predictor.engine.config.label2id)
    for index, (one, record) in enumerate(zip(answer["data"], predictor.predict(TEXTS), strict=True)):
        assert one["index"] == index
        assert one["num_classes"] == len(names)
        assert one["probs"] == near(predictor.task.scores(logits)[index].tolist())
        assert one["label"] == (None if name == "value" else names[logits[index].argmax()])
        assert one.get("labels") == record.get("labels")
    assert answer["object"] == "list"
    assert answer["model"] == name
    assert answer["id"].startswith("classify-")
    tokens = sum(len(predictor.tokenizer(text)["input_ids"]) for text in TEXTS)
    assert answer["usage"] == {
        "prompt_tokens": tokens,
        "total_tokens": tokens,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
    }


def test_logits(servers: Servers, predictors: Predictors) -> None:
    answer = servers("single").json("/classify", {"input": TEXTS[0], "use_activation": False})
    assert answer["data"][0]["probs"] == near(predictors["single"].logits(TEXTS[:1])[0].tolist())


@pytest.mark.parametrize("name", ["match", "similar"])
@pytest.mark.parametrize(
    "sides",
    [
        {"text_1": "where", "text_2": TEXTS},
        {"data_1": ["where"] * 3, "data_2": TEXTS},
        {"queries": ["where"], "documents": TEXTS},
        {"queries": "where", "items": TEXTS},
    ],
)
@pytest.mark.parametrize("path", ["/score", "/v1/score"])
def test_scores_are_in_the_order_of_the_pairs(
    servers: Servers, predictors: Predictors, name: str, sides: dict[str, Any], path: str
) -> None:
    ranked = {one["index"]: one["score"] for one in predictors[name].rank("where", TEXTS)}
    data = servers(name).json(path, sides)["data"]
    assert data == near([{"index": index, "object": "score", "score": ranked[index]} for index in range(3)])


def test_a_long_text_is_refused_unless_it_may_be_cut(servers: Servers, predictors: Predictors) -> None:
    long = "where is my parcel " * 40
    server = servers("single")
    answer = server.json("/classify", {"input": long}, 400)
    assert "less than 64 tokens" in answer["error"]["message"]
    (found,) = server.json("/classify", {"input": long, "truncate_prompt_tokens": -1})["data"]
    assert found["probs"] == near(predictors["single"].task.scores(predictors["single"].logits([long]))[0].tolist())
    answer = server.json("/classify", {"input": long, "truncate_prompt_tokens": 9})
    assert answer["usage"]["prompt_tokens"] == 9


@pytest.mark.parametrize(
    ("name", "path", "body", "status", "kind", "said"),
    [
        ("single", "/classify", {"input": [1, 2]}, 400, "BadRequestError", "input"),
        ("single", "/classify", {"messages": []}, 400, "BadRequestError", "input"),
        ("single", "/classify", {"input": []}, 400, "BadRequestError", "empty"),
        ("single", "/classify", {"input": "a", "model": "other"}, 404, "NotFoundError", "no model `other`"),
        ("single", "/classify", {"input": "a", "truncate_prompt_tokens": 0}, 400, "BadRequestError", "is 0"),
        ("tags", "/classify", {"input": "a"}, 424, "BadRequestError", "token tagging"),
        ("match", "/classify", {"input": "a"}, 400, "BadRequestError", "pairs"),
        ("match", "/score", {"text_1": ["a", "b"], "text_2": ["c"]}, 400, "BadRequestError", "1:1, 1:N or N:N"),
        ("match", "/score", {"text_1": [], "text_2": []}, 400, "BadRequestError", "1:1, 1:N or N:N"),
        ("match", "/score", {"text_1": "a"}, 400, "BadRequestError", "text_2"),
        ("match", "/score", {"text_1": "a", "text_2": "b", "use_activation": False}, 400, "BadRequestError", "raw"),
        ("single", "/score", {"text_1": "a", "text_2": "b"}, 424, "BadRequestError", "pairs"),
    ],
)
def test_mistakes(servers: Servers, name: str, path: str, body: Any, status: int, kind: str, said: str) -> None:
    error = servers(name).json(path, body, status)["error"]
    assert (error["code"], error["type"]) == (status, kind)
    assert said in error["message"]
