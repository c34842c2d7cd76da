"""Hugging Face's dialect: bodies with `parameters`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from enct5.inference.predictor import Predictor
from helpers.serving import PAIRS, TEXTS, Asked, near

pytestmark = pytest.mark.usefixtures("one_thread")

Servers = Callable[[str], Asked]
Predictors = dict[str, Predictor]


@pytest.mark.parametrize("path", ["/", "/predict"])
@pytest.mark.parametrize("name", ["single", "multi"])
def test_labels_are_nested_also_for_one_text(servers: Servers, predictors: Predictors, name: str, path: str) -> None:
    wanted = predictors[name].predict(TEXTS, all_scores=True)
    assert servers(name).json(path, {"inputs": TEXTS[0], "parameters": {}}) == near(wanted[:1])
    assert servers(name).json(path, {"inputs": TEXTS, "parameters": {}}) == near(wanted)


def test_two_strings_are_two_texts(servers: Servers, predictors: Predictors) -> None:
    found = servers("single").json("/", {"inputs": TEXTS[:2], "parameters": {"top_k": 1}})
    assert found == near([[predictors["single"].predict(text)] for text in TEXTS[:2]])


def test_pairs(servers: Servers, predictors: Predictors) -> None:
    wanted = predictors["match"].predict(PAIRS, all_scores=True)
    bodies = [{"text": text, "text_pair": pair} for text, pair in PAIRS]
    assert servers("match").json("/", {"inputs": bodies[0]}) == near(wanted[:1])
    assert servers("match").json("/", {"inputs": bodies, "parameters": {}}) == near(wanted)


def test_functions_are_those_of_the_logits(servers: Servers, predictors: Predictors) -> None:
    (logits,) = predictors["single"].logits(TEXTS[:1])
    for function, wanted in (
        ("none", logits),
        ("sigmoid", 1 / (1 + np.exp(-logits))),
        ("softmax", np.exp(logits) / np.exp(logits).sum()),
    ):
        body = {"inputs": TEXTS[0], "parameters": {"function_to_apply": function}}
        (found,) = servers("single").json("/", body)
        assert [one["score"] for one in found] == near(sorted(wanted.tolist(), reverse=True))


def test_entities(servers: Servers, predictors: Predictors) -> None:
    server = servers("tags")
    wanted = [
        [
            {
                "entity_group": one["label"],
                "score": one["score"],
                "word": one["text"],
                "start": one["start"],
                "end": one["end"],
            }
            for one in record["entities"]
        ]
        for record in predictors["tags"].predict(TEXTS)
    ]
    assert sum(map(len, wanted)) > 0
    assert server.json("/", {"inputs": TEXTS[0], "parameters": {}}) == near(wanted[0])
    assert server.json("/", {"inputs": TEXTS, "parameters": {"aggregation_strategy": "simple"}}) == near(wanted)
    assert server.json("/", {"inputs": TEXTS, "parameters": {"ignore_labels": ["place"]}}) == [[], [], []]


def test_cutting(servers: Servers, predictors: Predictors) -> None:
    long = "where is my parcel " * 40
    server = servers("single")
    (found,) = server.json("/", {"inputs": long, "parameters": {"truncation": True, "max_length": 9}})
    inputs = predictors["single"].tokenized([long], max_length=9)
    ((_, outputs),) = predictors["single"].run(inputs.rows)
    assert found == near(predictors["single"].decoded(inputs.outputs(outputs, 3), top_k=None)[0][1])
    assert (
        "less than 64 tokens" in server.json("/", {"inputs": long, "parameters": {"truncation": False}}, 422)["error"]
    )


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("single", {"candidate_labels": ["a"]}, "candidate_labels"),
        ("single", {"top_k": 0}, "top_k"),
        ("single", {"function_to_apply": "tanh"}, "function_to_apply"),
        ("single", {"aggregation_strategy": "simple"}, "aggregation_strategy"),
        ("tags", {"aggregation_strategy": "max"}, "whole entities"),
        ("tags", {"aggregation_strategy": "none"}, "whole entities"),
        ("tags", {"top_k": 2}, "top_k"),
        ("tags", {"stride": 3}, "windows"),
        ("tags", {"max_length": 30}, "windows"),
        ("single", 3, "parameters"),
    ],
)
def test_what_is_not_done_is_refused(servers: Servers, name: str, parameters: Any, said: str) -> None:
    answer = servers(name).json("/", {"inputs": TEXTS[0], "parameters": parameters}, 422)
    assert said in answer["error"]


def test_no_text(servers: Servers) -> None:
    assert servers("single").json("/", {"inputs": [], "parameters": {}}, 400)["error"] == "`inputs` cannot be empty"
    assert "inputs" in servers("single").json("/", {"parameters": {}}, 422)["error"]
