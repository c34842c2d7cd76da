"""Limits, deadlines, keys, health, figures: what every route does."""

import asyncio
import http.client
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from enct5.serving.app import app
from enct5.serving.limits import Limits
from enct5.serving.models import Admission
from enct5.serving.refusal import Kind, RefusalError
from enct5.serving.service import Service
from helpers.serving import TEXTS, Asked, asked, listening, near, until

pytestmark = pytest.mark.usefixtures("one_thread")

BODY = {"texts": ["where"]}


class Held(Predictor):
    """A predictor that runs when it may, and can be made to fail."""

    def prepare(self) -> "Held":
        self.may, self.waits, self.fails, self.rows = threading.Event(), False, "", 0
        self.may.set()
        return self

    def run(self, rows: Any) -> Any:
        self.waits = not self.may.is_set()
        assert self.may.wait(20)
        if self.fails:
            raise RuntimeError(self.fails)
        self.rows += len(rows)
        yield from super().run(rows)


@pytest.fixture
def held(served_folders: dict[str, Path]) -> Held:
    predictor = Held.from_pretrained(served_folders["single"])
    assert isinstance(predictor, Held)
    return predictor.prepare()


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_models_by_name(all_served: Asked, predictors: dict[str, Predictor]) -> None:
    answer = all_served.json("/v1/predict", {"texts": TEXTS, "model": "multi"})
    assert answer["results"] == near(predictors["multi"].predict(TEXTS))
    wanted = predictors["single"].predict(TEXTS, all_scores=True)
    assert all_served.json("/predict", {"inputs": [[text] for text in TEXTS], "model": "single"}) == near(wanted)
    assert all_served.json("/models/single/predict", {"inputs": [[text] for text in TEXTS]}) == near(wanted)
    assert all_served.json("/models/single", {"inputs": TEXTS, "parameters": {}}) == near(wanted)
    assert all_served.json("/classify", {"input": TEXTS, "model": "runs/single"})["model"] == "single"
    assert all_served.get("/models/tags/info").json()["served_model_name"] == "tags"
    assert all_served.get("/models/tags/health").status_code == 200
    listed = all_served.get("/v1/models").json()["data"]
    assert [model["id"] for model in listed] == list(predictors)
    assert [model["explains"] for model in listed] == [True, True, True, False, True, True]
    assert all_served.get("/v1/models/tags").json()["task"] == "token_classification"
    assert len(all_served.get("/v2/models").json()["models"]) == 6


def test_unknown_models_and_no_name(all_served: Asked) -> None:
    assert "several models" in all_served.json("/predict", {"inputs": "a"}, 400)["error"]
    assert "several models" in all_served.get("/info").json()["error"]
    answer = all_served.json("/v1/predict", {**BODY, "model": "singel"}, 404)
    assert "did you mean `single`" in answer["message"]
    assert all_served.json("/models/x/predict", {"inputs": "a"}, 404)["error_type"] == "NotFound"
    assert all_served.get("/v1/models/x").status_code == all_served.get("/models/x/info").status_code == 404


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"", {}, 400),
        (b'{"texts": NaN}', {}, 400),
        (b'{"texts": ["\\ud800"]}', {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 10_000, {}, 400),
        (b'{"texts": ' + b"9" * 10_000 + b"}", {}, 400),
        (b"null", {}, 422),
        (b'{"texts": "a"}', {"Content-Type": "text/plain"}, 415),
        (b'{"texts": "a"}', {"Content-Type": ""}, 415),
        (b'{"texts": "a"}', {"X-Request-Timeout": "soon"}, 400),
        (b'{"texts": "a"}', {"X-Request-Timeout": "-1"}, 400),
        (b'{"texts": "a"}', {"X-Request-Timeout": "nan"}, 400),
        (b'{"texts": "a", "top_k": 99999999999999999999999}', {}, 200),
        (b'{"texts": "\\u0000"}', {"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_bodies_that_are_none(
    servers: Callable[[str], Asked], content: bytes, headers: dict[str, str], status: int
) -> None:
    response = servers("single").post(
        "/v1/predict", content=content, headers={"Content-Type": "application/json", **headers}
    )
    assert response.status_code == status, response.text
    assert ("message" in response.json()) == (status != 200)


def test_other_paths_and_methods(servers: Callable[[str], Asked]) -> None:
    server = servers("single")
    assert server.get("/nothing").json()["error"]["type"] == "NotFoundError"
    assert server.get("/v1/predict").status_code == 405
    assert server.get("/v1/predict").json()["message"] == "GET is not for this path"
    assert server.get("/v1/predict").headers["allow"] == "POST"
    assert server.get("/v2/models/a/b/c").json().keys() == {"error"}


def test_limits(predictors: dict[str, Predictor]) -> None:
    limits = Limits(body=2000, batch=3, text=50, queued=3)
    with asked({"single": predictors["single"]}, limits) as server:
        assert server.json("/v1/predict", {"texts": ["a"] * 3})["results"]
        too_many = server.json("/predict", {"inputs": [["a"]] * 4}, 422)
        assert too_many == {"error": "batch size 4 > maximum allowed batch size 3", "error_type": "Validation"}
        assert "51 characters" in server.json("/v1/predict", {"texts": "a" * 51}, 422)["message"]
        assert server.json("/classify", {"input": "a" * 51}, 400)["error"]["type"] == "BadRequestError"
        large = server.post("/v1/predict", json={"texts": "a" * 2000})
        assert (large.status_code, large.headers["connection"]) == (413, "close")
        parts = iter([b'{"texts": "'] + [b"a" * 500] * 9)
        unsaid = server.post("/v1/predict", content=parts, headers={"Content-Type": "application/json"})
        assert unsaid.status_code == 413  # nobody said how long it would be
        assert server.service.admission.texts == 0
    with pytest.raises(EncT5Error, match="--max-queued"):
        Limits(batch=10, queued=9)


def test_a_full_queue_refuses_and_says_when_to_come_again(held: Held, others: ThreadPoolExecutor) -> None:
    with asked({"single": held}, Limits(batch=2, queued=3)) as server:
        held.may.clear()
        first = others.submit(server.json, "/v1/predict", {"texts": ["a", "b"]})
        until(lambda: server.service.admission.texts == 2)
        for path, body in (("/v1/predict", {"texts": ["c", "d"]}), ("/predict", {"inputs": [["c"], ["d"]]})):
            refused = server.post(path, json=body)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
        assert refused.json() == {"error": "Model is overloaded", "error_type": "Overloaded"}
        one_more = others.submit(server.json, "/v1/predict", BODY)
        until(lambda: server.service.admission.texts == 3)
        held.may.set()
        assert len(first.result()["results"]) == 2
        assert len(one_more.result()["results"]) == 1
        assert server.service.admission.texts == 0
        assert server.json("/v1/predict", BODY)


def test_a_full_queue_refuses_without_reading_and_the_connection_stays(held: Held, others: ThreadPoolExecutor) -> None:
    limits, headers = Limits(batch=2, queued=2), {"Content-Type": "application/json"}
    with listening({"single": held}, limits=limits) as address:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)

        def ask(content: bytes) -> http.client.HTTPResponse:
            connection.request("POST", "/v1/predict", content, headers)
            response = connection.getresponse()
            response.read()
            return response

        connection.connect()
        socket = connection.sock
        held.may.clear()
        first = others.submit(urllib.request.urlopen, _asking(address, {"texts": ["a", "b"]}))
        until(lambda: held.waits)
        refused = ask(b"[" * 100_000)
        assert refused.status == 429
        assert int(refused.getheader("retry-after")) >= 1
        held.may.set()
        assert first.result().status == 200
        assert ask(json.dumps(BODY).encode()).status == 200
        assert ask(b"[" * 100_000).status == 400
        assert connection.sock is socket
        connection.close()


def _asking(address: str, body: Any) -> urllib.request.Request:
    return urllib.request.Request(
        f"{address}/v1/predict", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )


def test_who_would_wait_for_half_the_time_is_refused_at_once() -> None:
    admission = Admission(Limits(timeout=30))
    admission.enter(1, 1, seconds=14)
    with pytest.raises(RefusalError) as refused:
        admission.enter(1, 1, seconds=16)
    assert (refused.value.kind, refused.value.retry_after) == (Kind.OVERLOADED, 16)
    with pytest.raises(RefusalError) as refused:
        admission.enter(1, 1, seconds=1000)
    assert refused.value.retry_after == 30
    assert admission.texts == 1


def test_memory_has_an_end() -> None:
    admission = Admission(Limits())
    admission.enter(1, 70_000_000, seconds=0)  # alone it may be larger
    with pytest.raises(RefusalError, match="overloaded"):
        admission.enter(1, 1, seconds=0)
    admission.leave(1, 70_000_000)
    admission.enter(1, 1, seconds=0)


def test_time_that_is_up_drops_the_text(held: Held, others: ThreadPoolExecutor) -> None:
    with asked({"single": held}) as server:
        held.may.clear()
        first = others.submit(server.json, "/v1/predict", BODY)
        until(lambda: held.waits)
        status = 408
        while status == 408:  # where the machine is so busy that the body itself comes too late
            late = server.post("/v1/predict", json={"texts": ["late"] * 5}, headers={"X-Request-Timeout": "0.05"})
            status = late.status_code
        assert status == 503
        assert "0.05 s" in late.json()["message"]
        assert server.service.admission.texts == 1
        rows = held.rows
        held.may.set()
        assert first.result()["results"]
        server.json("/v1/predict", BODY)
        assert held.rows == rows + 2
        assert b'enct5_requests_dropped_total{reason="timeout"} 1.0' in server.get("/metrics").content


def test_a_client_that_has_gone_is_dropped(held: Held) -> None:
    async def go() -> None:
        service = Service([("single", "single", held)])
        application = app(service)
        await service.start()
        while service.not_ready():
            await asyncio.sleep(0.001)
        rows = held.rows
        held.may.clear()
        messages = [{"type": "http.request", "body": json.dumps({"texts": ["a"] * 4}).encode(), "more_body": False}]
        gone = asyncio.Event()

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            pass

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/predict",
            "headers": [(b"content-type", b"application/json")],
            "query_string": b"",
            "app": application,
        }
        blocker = asyncio.ensure_future(service.models.get("single").read(["first"]))
        while not held.waits:  # else the others might be before it
            await asyncio.sleep(0.001)
        request = asyncio.ensure_future(application(scope, receive, send))
        while service.admission.texts < 5:
            await asyncio.sleep(0.001)
        gone.set()
        await request
        assert service.admission.texts == 1
        held.may.set()
        await blocker
        await service.models.get("single").read(["last"])
        assert held.rows == rows + 2
        assert b'enct5_requests_dropped_total{reason="disconnected"} 1.0' in service.metrics.text()
        await service.stop()

    asyncio.run(go())


def test_failures_are_told_without_what_they_were(held: Held, caplog: pytest.LogCaptureFixture) -> None:
    with asked({"single": held}) as server:
        held.fails = "secret"
        answer = server.json("/v1/predict", BODY, 500)
        assert answer["message"] == "internal error; the server's log tells more"
        assert "secret" in caplog.text
        assert server.get("/livez").status_code == 200
        assert server.get("/health").json() == {"error": "the last batch failed", "error_type": "Unhealthy"}
        assert server.get("/v2/health/ready").json() == {"error": "the last batch failed"}
        held.fails = ""
        until(lambda: server.get("/readyz").status_code == 200)  # it is asked again by itself
        assert server.json("/v1/predict", BODY)


def test_outputs_that_are_no_numbers(served_folders: dict[str, Path]) -> None:
    predictor = Predictor.from_pretrained(served_folders["single"])
    with asked({"single": predictor}) as server:
        with np.errstate(all="ignore"):
            predictor.model.classifier.weight.data.fill_(float("nan"))
        answer = server.json("/predict", {"inputs": "a"}, 424)
        assert answer["error_type"] == "Backend"
        assert "no numbers" in answer["error"]


def test_not_ready_before_the_models_are_warm(held: Held) -> None:
    held.may.clear()
    service = Service([("single", "single", held)])
    with Asked(app(service)) as server:
        response = server.get("/readyz")
        assert (response.status_code, response.json()["error"]) == (503, "loading")
        assert response.headers["retry-after"] == "1"
        assert server.get("/v2/health/live").status_code == server.get("/livez").status_code == 200
        held.may.set()
        until(lambda: server.get("/readyz").status_code == 200)
        service.draining = True
        assert server.get("/health").json()["error"] == "shutting down"
        answer = server.post("/v1/predict", json=BODY)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_a_key(predictors: dict[str, Predictor]) -> None:
    with asked({"single": predictors["single"]}, api_key="s3cret") as server:
        right = {"Authorization": "Bearer s3cret"}
        for headers in (
            {},
            {"Authorization": "Bearer s3cre"},
            {"Authorization": "s3cret"},
            {"Authorization": "Bearer é"},
        ):
            refused = server.post("/v1/predict", json=BODY, headers={k: v.encode() for k, v in headers.items()})
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert server.post("/predict", json={"inputs": "a"}).json()["error_type"] == "Unauthorized"
            assert server.get("/info").status_code == server.get("/v1/models").status_code == 401
        assert server.post("/v1/predict", json=BODY, headers=right).status_code == 200
        assert server.get("/info", headers=right).status_code == 200
        for path in ("/", "/docs", "/openapi.json", "/health", "/livez", "/metrics", "/v2", "/v2/health/ready"):
            assert server.get(path).status_code == 200
        assert "security" in server.get("/openapi.json").json()["paths"]["/predict"]["post"]


def test_pages_elsewhere_may_ask_only_where_they_were_named(predictors: dict[str, Predictor]) -> None:
    origin = {"Origin": "https://a.example"}
    preflight = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origins, allowed in (((), None), (("https://a.example",), "https://a.example"), (("https://b.example",), None)):
        with asked({"single": predictors["single"]}, origins=origins) as server:
            assert (
                server.post("/v1/predict", json=BODY, headers=origin).headers.get("access-control-allow-origin")
                == allowed
            )
            assert (server.options("/v1/predict", headers=preflight).status_code == 200) == (allowed is not None)


def test_figures(predictors: dict[str, Predictor]) -> None:
    with asked({"single": predictors["single"]}) as server:
        server.json("/v1/predict", {"texts": TEXTS})
        server.json("/v1/predict", {"texts": 3}, 422)
        wanted = [
            'enct5_requests_total{route="/v1/predict",status="200"} 1.0',
            'enct5_requests_total{route="/v1/predict",status="422"} 1.0',
            'enct5_request_duration_seconds_count{route="/v1/predict"} 2.0',
            'enct5_queue_texts{device="cpu"} 0.0',
            'enct5_queue_tokens{device="cpu"} 0.0',
            'enct5_batch_texts_sum{model="single"} 5.0',  # two of them to warm up
            'enct5_queue_duration_seconds_count{model="single"} 5.0',
        ]
        # a batch is counted when its texts have been answered
        until(lambda: set(wanted) <= set(server.get("/metrics").text.splitlines()))
        assert "process_resident_memory_bytes" in server.get("/metrics").text


def test_the_log_is_json_and_holds_no_text(predictors: dict[str, Predictor]) -> None:
    lines: list[str] = []
    with asked({"single": predictors["single"]}, log=lines.append) as server:
        tokens = server.json("/classify", {"input": ["hidden words"]})["usage"]["prompt_tokens"]
        server.json("/classify", {"input": 3}, 400)
    (first, second) = (json.loads(line) for line in lines)
    assert first.pop("ms") > 0
    assert first.pop("time").endswith("Z")
    assert first == {
        "client": "testclient",
        "method": "POST",
        "route": "/classify",
        "status": 200,
        "model": "single",
        "texts": 1,
        "tokens": tokens,
    }
    assert (second["status"], second["model"], second["texts"]) == (400, None, 0)
    assert "hidden" not in "".join(lines)
