"""Cohere's, Jina's and vLLM's `/rerank`."""

from collections.abc import Callable
from typing import Any

import pytest

from enct5.inference.predictor import Predictor
from helpers.serving import TEXTS, Asked, near

pytestmark = pytest.mark.usefixtures("one_thread")

Servers = Callable[[str], Asked]
Predictors = dict[str, Predictor]
BODY = {"query": "where", "documents": TEXTS}


@pytest.mark.parametrize("name", ["match", "similar"])
@pytest.mark.parametrize(("path", "has_documents"), [("/rerank", True), ("/v1/rerank", True), ("/v2/rerank", False)])
def test_documents_are_ranked_as_the_predictor_ranks_them(
    servers: Servers, predictors: Predictors, name: str, path: str, has_documents: bool
) -> None:
    wanted = predictors[name].rank("where", TEXTS)
    answer = servers(name).json(path, {**BODY, "model": name})
    for one, right in zip(answer["results"], wanted, strict=True):
        assert one["index"] == right["index"]
        assert one["relevance_score"] == near(right["score"])
        assert one.get("document") == ({"text": right["document"]} if has_documents else None)
    assert answer["model"] == name
    assert answer["usage"]["prompt_tokens"] == answer["meta"]["tokens"]["input_tokens"] > 0


@pytest.mark.parametrize(("top_n", "count"), [(2, 2), (0, 3), (None, 3), (9, 3)])
def test_the_best(servers: Servers, top_n: int | None, count: int) -> None:
    server = servers("match")
    every = server.json("/v2/rerank", BODY)["results"]
    assert server.json("/v2/rerank", {**BODY, "top_n": top_n})["results"] == near(every[:count])


def test_documents_on_request(servers: Servers) -> None:
    server = servers("match")
    assert "document" in server.json("/v2/rerank", {**BODY, "return_documents": True})["results"][0]
    assert "document" not in server.json("/v1/rerank", {**BODY, "return_documents": False})["results"][0]


def test_texts_as_objects(servers: Servers) -> None:
    server = servers("match")
    body = {"query": {"text": "where"}, "documents": [{"text": text, "id": 3} for text in TEXTS]}
    wanted = server.json("/v1/rerank", BODY)["results"]
    assert server.json("/v1/rerank", {**body, "rank_fields": ["text"]})["results"] == near(wanted)


@pytest.mark.parametrize(
    ("name", "change", "status", "said"),
    [
        ("match", {"documents": []}, 400, "empty"),
        ("match", {"documents": [3]}, 422, "documents.0"),
        ("match", {"rank_fields": ["title"]}, 422, "rank"),
        ("match", {"max_tokens_per_doc": 8}, 422, "64 tokens"),
        ("match", {"top_n": -1}, 422, "top_n"),
        ("match", {"model": "rerank-v3.5"}, 404, "no model"),
        ("single", {}, 424, "pairs"),
    ],
)
def test_mistakes(servers: Servers, name: str, change: dict[str, Any], status: int, said: str) -> None:
    answer = servers(name).json("/v2/rerank", {**BODY, **change}, status)
    assert said in answer["message"]
    assert answer["error"]["code"] == status


def test_a_limit_that_changes_nothing_is_taken(servers: Servers) -> None:
    servers("match").json("/v2/rerank", {**BODY, "max_tokens_per_doc": 4096})
