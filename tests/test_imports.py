"""`import enct5` in a new process brings in nothing heavy and leaves everything as it was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Prints, as JSON, what an import loads, what it asks the system for (Python's audit events), and what it changes.
CODE = """
import json, locale, logging, os, random, signal, sys, threading, warnings

def state():
    loggers = {name: logging.getLogger(name) for name in sorted(logging.root.manager.loggerDict)}
    return {
        "logging": repr([(name, item.level, item.handlers, item.filters) for name, item in loggers.items()]),
        "root logger": repr((logging.root.level, logging.root.handlers, logging.root.manager.disable)),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "warnings": repr((warnings.filters, warnings.showwarning)),
        "random": repr(random.getstate()),
        "signals": repr([signal.getsignal(number) for number in sorted(signal.valid_signals())]),
        "hooks": repr((sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook)),
        "streams": repr((sys.stdin, sys.stdout, sys.stderr)),
        "locale": locale.setlocale(locale.LC_ALL),
        "threads": threading.active_count(),
        "path": list(sys.path),
        "finders": [type(finder).__name__ for finder in sys.meta_path if not isinstance(finder, type)],
    }

events = []

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or event.startswith(("socket.", "subprocess.", "os.", "shutil.", "tempfile.", "urllib.", "ctypes.")):
        if event not in ("os.listdir", "os.scandir"):  # how Python looks for modules
            events.append(f"{event} {arguments}")

loaded, before = set(sys.modules), state()
sys.addaudithook(watch)
exec(sys.argv[1])
done, after = list(events), state()
print(json.dumps({
    "modules": sorted(
        name for name in set(sys.modules) - loaded if name.partition(".")[0] not in sys.stdlib_module_names
    ),
    "events": done,
    "changed": {key: after[key] for key in before if after[key] != before[key]},
}))
"""


def imported(statement: str, folder: Path) -> dict:
    # -B: Python itself would write byte code.
    command = [sys.executable, "-B", "-c", CODE, statement]
    run = subprocess.run(command, cwd=folder, env={**os.environ}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    (line,) = run.stdout.splitlines()
    return json.loads(line)


def test_an_import_loads_small_modules_and_adds_one_finder(tmp_path: Path) -> None:
    found = imported("import enct5", tmp_path)
    small = ["enct5", "enct5.errors", "enct5.extras", "enct5.model", "enct5.model.registration", "enct5.version"]
    assert found["modules"] == small
    assert found["events"] == []
    assert found["changed"].pop("finders")[0] == "_RegisterAfterImport"
    assert found["changed"] == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statement", "seen"),
    [
        ("import logging; logging.getLogger('x').setLevel(10)", "logging"),
        ("logging.basicConfig()", "root logger"),
        ("os.environ['X'] = '1'", "environment"),
        ("warnings.simplefilter('ignore')", "warnings"),
        ("random.seed(1)", "random"),
        ("signal.signal(signal.SIGINT, signal.SIG_DFL)", "signals"),
        ("open('file', 'w').close()", "open ('file'"),
        ("os.mkdir('folder')", "os.mkdir"),
        ("import socket; socket.socket().close()", "socket."),
        ("import yaml", "yaml"),
    ],
)
def test_what_an_import_must_not_do_would_be_seen(statement: str, seen: str, tmp_path: Path) -> None:
    found = imported(statement, tmp_path)
    assert any(item.startswith(seen) for item in [*found["modules"], *found["events"], *found["changed"]])


@pytest.mark.parametrize("module", ["enct5.cli", "enct5.errors", "enct5.assets"])
def test_help_does_not_wait_for_torch(module: str, tmp_path: Path) -> None:
    found = imported(f"import {module}", tmp_path)
    heavy = {"torch", "transformers", "huggingface_hub", "numpy", "pydantic", "datasets", "pandas", "sklearn"}
    assert heavy & {name.partition(".")[0] for name in found["modules"]} == set()
