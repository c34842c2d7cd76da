"""The error a user's mistake raises, and the phrasing shared by its messages."""

import difflib
import importlib.util
import re
from collections.abc import Iterable

_MOST_LISTED = 20
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class EncT5Error(Exception):
    """A user's mistake: the command line prints it as one line and exits with status 2."""


class InterruptedByUserError(EncT5Error):
    """Ctrl-C: the command line prints how to go on, and exits with the status that shells give it, 130."""


def is_installed(package: str) -> bool:
    """Whether an optional dependency can be imported."""
    return importlib.util.find_spec(package) is not None


def require(package: str, extra: str, option: str) -> None:
    """Make sure that an optional dependency is installed.

    Args:
        package: What is imported.
        extra: The extra of enct5 that brings it.
        option: What the user asked for.

    Raises:
        EncT5Error: When it is not.
    """
    if not is_installed(package):
        raise EncT5Error(f"{option} needs {package}, which is not installed: pip install 'enct5[{extra}]'")


def first_line(error: BaseException) -> str:
    """The first line of an error's text (the last of a configuration error's, its reason), or its type's name."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # by name: huggingface_hub, whose class it is, need not be here
    if any(kind.__name__ == "StrictDataclassError" for kind in type(error).__mro__):
        return lines[-1].strip().removeprefix("ValueError: ").removeprefix("TypeError: ")
    return lines[0]


def show(value: object, limit: int = 60) -> str:
    """Quote a value for a one-line message.

    Args:
        value: What the user gave.
        limit: Longest text shown; the rest is cut and marked with dots.

    Returns:
        The value between backticks, line breaks written as spaces.
    """
    return f"`{shorten(value, limit)}`"


def shorten(value: object, limit: int = 60) -> str:
    """A value on one line, with dots for what is beyond the limit."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def printable(text: str) -> str:
    """A text as one line that no terminal takes for commands, its control characters as Python writes them."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Find the candidate a mistyped name most likely meant.

    Args:
        name: The name that was given.
        candidates: The names that would have been right.

    Returns:
        The most alike candidate, upper and lower case taken as equal, or None when none is alike.
    """
    lowered = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name.lower(), lowered, n=1)
    return lowered[found[0]] if found else None


def unknown(kind: str, name: str, candidates: Iterable[str], source: str | None = None) -> EncT5Error:
    """Build the error for a name that is not among the known ones.

    Args:
        kind: What is named, in the singular, such as "column"; its plural adds an s.
        name: The name that was given.
        candidates: The names that would have been right.
        source: Where the name was looked up, such as a file; left out of the message when None.

    Returns:
        The error, for the caller to raise. It proposes the nearest candidate and lists them all (the first 20).
    """
    known = list(candidates)
    guess = nearest(name, known)
    listed = ", ".join(known[:_MOST_LISTED])
    if len(known) > _MOST_LISTED:
        listed += f" and {len(known) - _MOST_LISTED} more"
    place = f" in {source}" if source else ""
    proposal = f"; did you mean `{guess}`?" if guess else ""
    return EncT5Error(f"no {kind} {show(name)}{place}{proposal} ({kind}s: {listed or 'none'})")
