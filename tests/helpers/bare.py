"""Python as it is after `pip install enct5` or `enct5[EXTRA]`: what the other extras bring is not to be found."""

import subprocess
import sys
from collections.abc import Sequence

from enct5.extras import PACKAGES

_OF_ONE_OPTION = ("cleanlab", "openpyxl", "optuna", "peft", "polars")
_HIDE = """
import importlib.machinery, sys
find = importlib.machinery.PathFinder.find_spec
hidden = {hidden!r}
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name.partition(".")[0] in hidden else find(name, path, target)
)
"""


def bare(extras: Sequence[str], code: str) -> list[str]:
    """The command that runs code where only these extras are."""
    everything = {*(package for own in PACKAGES.values() for package in own), *_OF_ONE_OPTION}
    hidden = sorted(everything - {package for extra in extras for package in PACKAGES[extra]})
    return [sys.executable, "-c", _HIDE.format(hidden=hidden) + code]


def bare_command(extras: Sequence[str], *arguments: object) -> list[str]:
    """The `enct5` command likewise."""
    return bare(extras, f"sys.argv = {['enct5', *map(str, arguments)]!r}\nfrom enct5.cli import main\nmain()\n")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run it."""
    return subprocess.run(command, capture_output=True, text=True, check=False)
