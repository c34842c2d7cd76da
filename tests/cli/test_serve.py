"""`enct5 serve` refuses before it loads anything."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from enct5 import errors
from helpers.command import Ended

Command = Callable[..., Ended]


def test_without_the_extra_one_line_names_it(enct5: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "is_installed", lambda package: package != "uvicorn")
    ended = enct5("serve", "runs/x")
    assert ended == (2, "", "enct5: `enct5 serve` needs uvicorn, which is not installed: pip install 'enct5[serve]'\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a/x", "b/x"], "enct5: `b/x`: each model needs a name of its own; write NAME=b/x\n"),
        (["=b/x"], "enct5: `=b/x`: each model needs a name of its own; write NAME=b/x\n"),
        (["x="], "enct5: `x=`: each model needs a name of its own; write NAME=MODEL\n"),
        (
            ["x", "--max-batch", "9", "--max-queued", "8"],
            "enct5: a request may have 9 texts (--max-batch), but only 8 may wait (--max-queued)\n",
        ),
        (["x", "--api-key", ""], "enct5: the key (--api-key, ENCT5_API_KEY) is empty, not ASCII, or has blanks"),
        (["x", "--api-key", "ключ"], "enct5: the key (--api-key, ENCT5_API_KEY) is empty, not ASCII, or has blanks"),
        (["x", "--host", "192.0.2.1"], "enct5: cannot serve at 192.0.2.1 port 8080: "),
        (["x", "--port", "70000"], "enct5: "),
    ],
)
def test_mistakes_are_told_before_torch_is_loaded(arguments: list[str], said: str) -> None:
    from helpers.without_torch import run_command

    ended = run_command("serve", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(said)
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken() -> None:
    from helpers.without_torch import run_command

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_command("serve", "x", "--port", port)
    assert ended.returncode == 2
    assert ended.stderr == f"enct5: cannot serve at 127.0.0.1 port {port}: Address already in use; choose another\n"


def test_no_model(enct5: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = enct5("serve", tmp_path / "empty", "--port", 0)
    assert ended.status == 2
    assert ended.err.startswith(f"enct5: {tmp_path / 'empty'} holds no config.json, so it is no checkpoint")
    assert ended.err.count("\n") == 1
