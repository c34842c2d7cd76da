"""Names on the hub: `owner/name@revision`, as its own addresses have it, and the token that they are read with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from enct5.errors import EncT5Error, show

# Not a setting of a run, which is written to files: what was given for the work within a block.
_token: ContextVar[str | bool | None] = ContextVar("token", default=None)


@contextmanager
def hub_token(token: str | bool | None) -> Iterator[None]:
    """Read from the hub with this token within the block; None for that of `HF_TOKEN` or `hf auth login`."""
    before = _token.set(token)
    try:
        yield
    finally:
        _token.reset(before)


def split_revision(source: str | os.PathLike[str]) -> tuple[str, str | None]:
    """A source's name on the hub and its branch, tag or commit, if it names one; a path here has none."""
    source = os.fspath(source)
    if "@" not in source or os.path.exists(os.path.expanduser(source)):
        return source, None
    name, _, revision = source.partition("@")
    return name, revision


def with_revision(name: str, revision: str | None) -> str:
    """A name on the hub with its revision, where there is one that it does not have already."""
    return name if revision is None or split_revision(name)[1] is not None else f"{name}@{revision}"


def on_hub(source: str, revision: str | None = None, token: str | bool | None = None) -> tuple[str, dict[str, Any]]:
    """What the hub's libraries are told of a source.

    Args:
        source: a path, or a name on the hub.
        revision: its branch, tag or commit, where the name has none.
        token: access token; default: that of the block (`hub_token`).

    Returns:
        The plain name, and `revision` and `token` as far as there are any.

    Raises:
        EncT5Error: for two revisions.
    """
    name, named = split_revision(source)
    if named is not None and revision not in (None, named):
        raise EncT5Error(
            f"{source} names a revision, and `revision` (--revision) is {show(revision)}; leave out one of them"
        )
    told = {"revision": named or revision, "token": _token.get() if token is None else token}
    return name, {key: value for key, value in told.items() if value is not None}
