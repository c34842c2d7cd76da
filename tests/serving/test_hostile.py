"""Whatever is sent, the answer is JSON of the route's dialect, and never a fault of the server."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enct5.serving.routes import endpoints
from helpers.serving import Asked

pytestmark = pytest.mark.usefixtures("one_thread")

Servers = Callable[[str], Asked]

# One path of those that do the same.
PATHS = ("/v1/predict", "/v1/rank", "/predict", "/rerank", "/v1/rerank", "/v2/rerank", "/classify", "/score")
ENDPOINTS = {one.path: one for one in endpoints() if one.path in (*PATHS, "/v2/models/{model}/infer")}
ODD = ["", "\x00", "\ufeff", "</s>", "<pad> <extra_id_0>", "e\u0301\u0301", "\u202e", "\u200d", " "]
TEXTS = st.text(max_size=20) | st.sampled_from(ODD)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([2**63, -1, 0, 1e308])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)


def bodies(path: str) -> st.SearchStrategy[Any]:
    """Bodies of a route's fields, each as the example has it, a text, texts, or anything."""
    example = ENDPOINTS[path].example
    fields = sorted({name for answer in ENDPOINTS[path].answers for name in answer.body.model_fields} | {"unknown"})
    texts = st.lists(TEXTS, max_size=3)

    def value(name: str) -> st.SearchStrategy[Any]:
        plausible = TEXTS | texts | st.lists(texts, max_size=3) | VALUES
        return st.just(example[name]) | plausible if name in example else plausible

    required = [name for name in fields if name in example]
    optional = [name for name in fields if name not in example]
    return st.fixed_dictionaries(
        {name: value(name) for name in required}, optional={name: value(name) for name in optional}
    )


def address(path: str, model: str) -> str:
    return path.replace("{model}", model).replace("{version}", "1")


def check(server: Asked, path: str, content: bytes, **headers: str) -> None:
    response = server.post(path, content=content, headers={"Content-Type": "application/json", **headers})
    assert response.status_code < 500, response.text
    answer = json.loads(response.content)  # which is Unicode
    if response.status_code == 200:
        json.dumps(answer, allow_nan=False)
    else:
        error = answer["error"]
        message = error if isinstance(error, str) else error["message"]
        assert 0 < len(message) < 500
        assert "\n" not in message
        assert "Traceback" not in message
        assert answer.keys() in ({"error"}, {"error", "error_type"}, {"error", "message"})


@pytest.mark.parametrize("model", ["single", "tags", "match"])
@pytest.mark.parametrize("path", list(ENDPOINTS))
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_fields_of_any_value(servers: Servers, path: str, model: str, data: st.DataObject) -> None:
    content = json.dumps(data.draw(bodies(path))).encode()
    check(servers(model), address(path, model), content)


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(list(ENDPOINTS)), content=st.binary(max_size=60) | VALUES.map(json.dumps).map(str.encode))
def test_any_bytes(servers: Servers, path: str, content: bytes) -> None:
    check(servers("single"), address(path, "single"), content)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "name"),
    [
        (path, name)
        for path, endpoint in ENDPOINTS.items()
        for name in sorted({name for answer in endpoint.answers for name in answer.body.model_fields})
        if name in endpoint.example or name == "outputs"
    ],
)
def test_a_hundred_thousand_texts_are_refused_at_once(servers: Servers, path: str, name: str) -> None:
    server = servers("match")
    many = ["a"] * 100_000
    for value in (many, [[one] for one in many], [many], [1] * 100_000, [{"text": "a"}] * 100_000):
        content = json.dumps({**ENDPOINTS[path].example, name: value}).encode()
        response = server.post(address(path, "match"), content=content, headers={"Content-Type": "application/json"})
        assert 400 <= response.status_code < 500
        assert len(response.content) < 2000


@pytest.mark.slow
def test_requests_made_of_the_api_description(all_served: Asked) -> None:
    """By schemathesis: what it allows and what it does not."""
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
    schema = schemathesis.openapi.from_dict(all_served.get("/openapi.json").json())

    for operation in schema.get_all_operations():
        found = operation.ok()

        @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=found.as_strategy())
        def ask(case: Any) -> None:
            arguments = case.as_transport_kwargs(base_url="http://testserver")
            response = all_served.request(
                arguments["method"],
                arguments["url"],
                params=arguments.get("params"),
                headers=arguments.get("headers"),
                json=arguments.get("json"),
            )
            assert response.status_code < 500, response.text
            assert "Traceback" not in response.text

        ask()
