"""Print the oldest version of everything that pyproject.toml depends on, as constraints for pip."""

import re
import sys
from itertools import chain
from pathlib import Path

import tomllib


def lower_bounds(project: dict) -> list[str]:
    """One pin a dependency, extras included, at the lower bound of its range."""
    pins = []
    for dependency in chain(project["dependencies"], *project["optional-dependencies"].values()):
        if dependency.startswith(f"{project['name']}["):
            continue  # names other extras, whose dependencies are in the list
        bound = re.fullmatch(r"([\w-]+)(?:\[[\w,]+\])?>=([\d.]+)(,<\d+)?", dependency)
        if bound is None:
            sys.exit(f"{dependency!r} in pyproject.toml is not `name>=version` or `name>=version,<version`")
        pins.append(f"{bound[1]}=={bound[2]}")
    return pins


if __name__ == "__main__":
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    print(*lower_bounds(pyproject["project"]), sep="\n")
