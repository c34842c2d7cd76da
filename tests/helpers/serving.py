"""A server in this process, and one in a process of its own."""

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from enct5.inference.predictor import Predictor
from enct5.serving.address import bound
from enct5.serving.app import app
from enct5.serving.limits import Limits
from enct5.serving.service import Service

TEXTS = ["where is my parcel", "money on the card", "a coffee on the road, and 12 late"]
PAIRS = [("where is it", "my parcel"), ("where is it", "the bank"), ("where is it", "a late card")]


class Asked(TestClient):
    """A client of the server, and what the server is made of."""

    service: Service

    def json(self, path: str, body: Any, status: int = 200, **options: Any) -> Any:
        """What is answered to a body; the status has to be as given."""
        response = self.post(path, json=body, **options)
        assert response.status_code == status, response.text
        return response.json()


@contextmanager
def asked(
    predictors: Mapping[str, Predictor],
    limits: Limits | None = None,
    origins: tuple[str, ...] = (),
    **settings: Any,
) -> Iterator[Asked]:
    """A server of models by name, warmed up."""
    service = Service([(name, f"runs/{name}", one) for name, one in predictors.items()], limits, **settings)
    with Asked(app(service, origins)) as client:
        client.service = service
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


@contextmanager
def listening(predictors: Mapping[str, Predictor], **settings: Any) -> Iterator[str]:
    """A server in a thread, on a real port; its address."""
    service = Service([(name, f"runs/{name}", one) for name, one in predictors.items()], **settings)
    at = bound("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app(service), log_config=None, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, args=([at],))
    thread.start()
    try:
        until(lambda: server.started and service.not_ready() is None)
        yield f"http://127.0.0.1:{at.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for what another thread or process is about to do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def near(value: Any) -> Any:
    """The same but for rounding: texts that run together are summed in another order."""
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-5)
    if isinstance(value, dict):
        return {name: near(one) for name, one in value.items()}
    return [near(one) for one in value] if isinstance(value, (list, tuple)) else value


class Process:
    """`enct5 serve` in a process of its own.

    Args:
        arguments: those of `enct5 serve`.
        command: what to run in its place.

    Attributes:
        port: where it listens.
    """

    def __init__(self, *arguments: object, command: list[str] | None = None) -> None:
        command = command or [sys.executable, "-m", "enct5.cli", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r":(\d+) \(API", self.said)
        assert found, self.said + self.end()[1]
        self.port = int(found[1])
        until(lambda: self.ask("GET", "/readyz")[0] == 200)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one answer, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        found = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        connection.close()
        return found

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Send a signal, if one is given, and wait; the exit status and standard error."""
        if number is not None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@contextmanager
def process(*arguments: object, command: list[str] | None = None) -> Iterator[Process]:
    """A server that is gone afterwards; arguments as for `Process`."""
    started = Process(*arguments, command=command)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()
