"""Which models are served, by the names that requests use, and the key that requests show."""

from collections.abc import Sequence
from pathlib import Path

from enct5.errors import EncT5Error


def checked_key(key: str | None) -> str | None:
    """The key that requests have to show, if there is one.

    Raises:
        EncT5Error: for one that no header can carry.
    """
    if key is not None and not (key.isascii() and key.strip() == key and key):
        raise EncT5Error("the key (--api-key, ENCT5_API_KEY) is empty, not ASCII, or has blanks at its ends")
    return key


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
