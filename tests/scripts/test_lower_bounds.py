"""Every dependency has a lower bound, which `make test-oldest` installs, and a version that `make test` installs."""

import re

import pytest
from packaging.version import Version

from helpers.paths import ROOT


def test_every_dependency_has_a_tested_version_in_its_range() -> None:
    tomllib = pytest.importorskip("tomllib", reason="part of Python from 3.11 on")
    from lower_bounds import lower_bounds

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = dict(pin.split("==") for pin in lower_bounds(project))
    tested = dict(re.findall(r"^([\w-]+)==([\d.]+)", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE))
    assert {name.lower() for name in bounds} == {name.lower() for name in tested}
    versions = {name.lower(): Version(version) for name, version in tested.items()}
    assert [name for name, bound in bounds.items() if Version(bound) > versions[name.lower()]] == []


def test_a_dependency_without_a_lower_bound_is_refused() -> None:
    from lower_bounds import lower_bounds

    extras = {"dev": ["me[x]", "b>=2,<3"]}
    assert lower_bounds({"name": "me", "dependencies": ["a>=1.0"], "optional-dependencies": extras}) == [
        "a==1.0",
        "b==2",
    ]
    with pytest.raises(SystemExit, match=r"'a<2' in pyproject\.toml"):
        lower_bounds({"name": "me", "dependencies": ["a<2"], "optional-dependencies": {}})
