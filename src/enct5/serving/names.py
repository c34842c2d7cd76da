"""Which models are served, by the names that requests use."""

from collections.abc import Sequence
from pathlib import Path

from enct5.errors import EncT5Error


def names_of(models: Sequence[str]) -> dict[str, str]:
    """Names and sources of `[NAME=]MODEL` arguments; without a name it is the folder's, or the last part of a hub id.

    Raises:
        EncT5Error: for two of one name.
    """
    named: dict[str, str] = {}
    for argument in models:
        name, equals, source = argument.partition("=")
        if not equals or "/" in name or Path(argument).exists():
            source = argument
            path = Path(argument)
            name = path.resolve().name if path.exists() else path.name.partition("@")[0]
        if not name or not source or name in named:
            raise EncT5Error(f"`{argument}`: each model needs a name of its own; write NAME={source or 'MODEL'}")
        named[name] = source
    return named
