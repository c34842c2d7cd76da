"""The tests have the folders of the package, and share what several need by `helpers/` only."""

import ast
import re
from pathlib import Path

import pytest

from helpers.paths import ROOT

TESTS = ROOT / "tests"
LONGEST = 400


def imported(file: Path) -> set[str]:
    """Every part of every name that a file imports from."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules |= {f"{node.module}.{name.name}" for name in node.names}
    return {part for module in modules for part in module.split(".")}


@pytest.mark.parametrize("file", sorted(TESTS.rglob("*.py")), ids=lambda file: str(file.relative_to(TESTS)))
def test_no_test_imports_another_and_none_is_too_long_to_read(file: Path) -> None:
    tests = {path.stem for path in TESTS.rglob("test_*.py")} | {"conftest"}
    assert imported(file) & tests == set()
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_folders_are_those_of_the_package() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} - {Path("scripts")}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / "src" / "enct5" / folder).is_dir()] == []


def test_make_test_fast_names_what_there_is() -> None:
    named = re.findall(r"\btests/[\w/.]+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
