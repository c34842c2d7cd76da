"""`enct5 serve` as a process: signals, slow clients, too many at once."""

import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from enct5.inference.predictor import Predictor
from helpers.serving import TEXTS, near, process

pytestmark = pytest.mark.slow

BATCH = {"texts": ["where is my parcel " * 20] * 64}


def test_sigterm_fails_no_request(served_folders: dict[str, Path]) -> None:
    """Also not the one that is read when the signal comes: each is answered, and then the process ends well."""
    with process(served_folders["single"], "--port", 0, "--drain-delay", 1) as server:

        def ask_until_told(_: int) -> list[tuple[int, bool]]:
            answers = []
            while not answers or not answers[-1][1]:
                status, headers, body = server.ask("POST", "/v1/predict", BATCH)
                assert len(json.loads(body)["results"]) == 64
                answers.append((status, headers.get("connection") == "close"))
            return answers

        with ThreadPoolExecutor(8) as clients:
            asked = [clients.submit(ask_until_told, number) for number in range(8)]
            server.ask("POST", "/v1/predict", BATCH)
            server.process.send_signal(signal.SIGTERM)
            answers = [answer for one in asked for answer in one.result()]
        assert {status for status, _ in answers} == {200}
        assert sum(told for _, told in answers) == 8
        assert server.end() == (0, "")


def test_it_is_not_ready_while_it_drains(served_folders: dict[str, Path]) -> None:
    with process(served_folders["single"], "--port", 0, "--drain-delay", 30) as server:
        server.process.send_signal(signal.SIGTERM)
        status, headers, body = server.ask("GET", "/readyz")
        while status == 200:  # the signal is on its way
            status, headers, body = server.ask("GET", "/readyz")
        assert (status, json.loads(body)["error"]) == (503, "shutting down")
        assert headers["connection"] == "close"
        assert server.ask("GET", "/livez")[0] == 200
        assert server.ask("POST", "/v1/predict", {"texts": TEXTS})[0] == 200
        server.end(signal.SIGTERM)  # a second one does not wait


def test_a_killed_server_leaves_its_port(served_folders: dict[str, Path]) -> None:
    with process(served_folders["single"], "--port", 0) as server:
        port = server.port
        with socket.create_connection(("127.0.0.1", port)):
            assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
    with process(served_folders["single"], "--port", port) as server:
        _, _, body = server.ask("POST", "/v1/predict", {"texts": TEXTS})
        wanted = Predictor.from_pretrained(served_folders["single"]).predict(TEXTS)
        assert json.loads(body)["results"] == near(wanted)


def test_too_many_at_once_are_refused_and_the_others_answered(served_folders: dict[str, Path]) -> None:
    with process(served_folders["single"], "--port", 0, "--max-queued", 64, "--max-batch", 64) as server:

        def ask(_: int) -> Any:
            status, headers, body = server.ask("POST", "/v1/predict", BATCH)
            return status, headers.get("retry-after"), len(json.loads(body).get("results", ()))

        answers: list[Any] = []
        with ThreadPoolExecutor(16) as clients:
            while {status for status, _, _ in answers} != {200, 429}:
                answers += clients.map(ask, range(64))
        assert all(
            (results == 64) if status == 200 else (status == 429 and int(after) >= 1)
            for status, after, results in answers
        )
        assert server.ask("POST", "/v1/predict", BATCH)[0] == 200


def test_a_body_that_does_not_come_is_not_waited_for(served_folders: dict[str, Path]) -> None:
    with process(served_folders["single"], "--port", 0, "--timeout", 1) as server:
        slow = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        slow.sendall(
            b'POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"te'
        )
        answer = b""
        while part := slow.recv(4096):
            answer += part
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"was not here within 1 s" in answer


def test_what_is_no_http_is_no_fault_of_the_server(served_folders: dict[str, Path]) -> None:
    with process(served_folders["single"], "--port", 0) as server:
        for garbage in (
            b"\x00\x01\x02\r\n\r\n",
            b"GET \xff HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        ):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            connection.sendall(garbage + b"\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
        status, errors = server.end(signal.SIGTERM)
        assert (status, "Traceback" in errors) == (0, False)
