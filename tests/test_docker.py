"""What the Dockerfiles do is what the package can do; they are not built here."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from enct5.cli import app
from enct5.model.loading import load_tokenizer
from helpers.bare import bare_command
from helpers.graphs import write_graph
from helpers.paths import ROOT
from helpers.serving import Process

FILES = ["runtime", "full"]
Base = Callable[..., Path]


def instructions(name: str) -> dict[str, list[str]]:
    """The arguments of every instruction, by its name."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "docker" / f"{name}.Dockerfile").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            instruction, _, arguments = line.partition(" ")
            found.setdefault(instruction, []).append(arguments)
    return found


def started(name: str) -> list[str]:
    """The command that a container runs."""
    own = instructions(name)
    return [word for part in ("ENTRYPOINT", "CMD") for word in json.loads(own[part][0])]


def extras_of(name: str) -> list[str]:
    (line,) = (line for line in instructions(name)["RUN"] if line.startswith("pip install"))
    return re.search(r"\.\[([\w,]+)\]", line)[1].split(",")  # type: ignore[index]


def parsed(words: list[str]) -> Any:
    """A command's options, as they are given."""
    program, command, *arguments = words
    assert program == "enct5"
    return get_command(app).commands[command].make_context(command, arguments).params  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_and_installed_is_there(name: str) -> None:
    tomllib = pytest.importorskip("tomllib", reason="part of Python from 3.11 on")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    copied = {file for line in instructions(name)["COPY"] for file in line.split()[:-1]}
    kept = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert copied == kept
    assert {project["readme"], *project["license-files"], "src", "pyproject.toml", "constraints.txt"} == copied
    assert all((ROOT / file).exists() for file in copied)
    assert set(extras_of(name)) <= set(project["optional-dependencies"])
    version = re.fullmatch(r"python:(3\.\d+)-slim", instructions(name)["FROM"][0])
    assert version is not None
    assert int(version[1].split(".")[1]) >= int(project["requires-python"].partition("3.")[2])


def test_the_containers_commands_are_commands() -> None:
    params = parsed(started("runtime"))
    assert (params["models"], params["host"]) == (["/model"], "0.0.0.0")
    assert [str(params["port"])] == instructions("runtime")["EXPOSE"] == instructions("full")["EXPOSE"]
    assert started("full") == ["enct5", "--help"]


@pytest.mark.parametrize("name", FILES)
def test_the_commands_of_the_comments_are_commands(name: str) -> None:
    text = (ROOT / "docker" / f"{name}.Dockerfile").read_text(encoding="utf-8")
    lines = re.findall(r"^#   (.+)$", text, flags=re.MULTILINE)
    assert f"docker build -f docker/{name}.Dockerfile -t " in "\n".join(lines)
    for words in map(shlex.split, lines):
        if words[0] == "enct5":
            assert parsed(words)["out"] == Path("intents-onnx")
        elif words[1] == "run" and name == "full":
            assert parsed(words[words.index("enct5") :])["out"] == "work/runs/tickets"


@pytest.mark.slow
def test_the_slim_container_serves_with_its_extras_alone_and_is_healthy(t5_folder: Base, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs the extra [onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra [runtime]")
    pytest.importorskip("uvicorn", reason="needs the extra [serve]")
    write_graph(tmp_path / "model", load_tokenizer(str(t5_folder())), external=False)
    _, command, _, *options = started("runtime")
    arguments = (command, tmp_path / "model", *options, "--port", 0)
    server = Process(command=bare_command(extras_of("runtime"), *arguments))
    try:
        status, _, body = server.ask("POST", "/v1/predict", {"texts": ["yes"]})
        assert status == 200
        assert json.loads(body)["results"][0]["label"].startswith("LABEL_")
        _, *check = json.loads(instructions("runtime")["HEALTHCHECK"][0].removeprefix("CMD "))
        (default,) = instructions("runtime")["EXPOSE"]
        assert f":{default}/" in check[-1]
        for port, healthy in ((server.port, True), (9, False)):
            asked = [sys.executable, *check[:-1], check[-1].replace(default, str(port))]
            assert (subprocess.run(asked, capture_output=True, check=False).returncode == 0) == healthy
    finally:
        server.process.kill()
        server.process.communicate()
