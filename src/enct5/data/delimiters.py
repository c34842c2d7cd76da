"""What separates the fields of a text file: its own `sep=` line, the user's word, or what alone fits all rows."""

import csv
import re
from collections.abc import Callable
from typing import IO, NamedTuple

from enct5.errors import EncT5Error, show

CANDIDATES = (",", ";", "\t", "|")
_SAID = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # a line that Excel writes and reads
_BY_NAME = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


class Delimiter(NamedTuple):
    """A delimiter.

    Attributes:
        character: What it is.
        skipped: Lines before the column names.
    """

    character: str
    skipped: int = 0


def in_words(delimiter: str) -> str:
    """A delimiter as a message names it."""
    return "a tab" if delimiter == "\t" else show(delimiter)


def named(delimiter: str) -> str:
    """A delimiter that a user has named.

    Raises:
        EncT5Error: If it is none.
    """
    found = _BY_NAME.get(delimiter.lower(), delimiter)
    if len(found) != 1 or found in '"\r\n\0':
        raise EncT5Error(f"--delimiter is {show(repr(delimiter))}; give one character, as `;`, or `tab`")
    return found


def detect(opened: Callable[[], IO[str]], source: str, default: str, wanted: str | None) -> Delimiter:
    """Tell what separates fields.

    Args:
        opened: Opens the text, line ends as they are.
        source: What messages call it.
        default: The delimiter that its name promises.
        wanted: That of the user.

    Raises:
        EncT5Error: If several fit all rows, or the file says another than the user.
    """
    with opened() as file:
        first = file.readline(1 << 16)
    said = _SAID.fullmatch(first)
    if said is not None and wanted not in (None, said[1]):
        raise EncT5Error(f"{source} says {show(first)}, not --delimiter {in_words(str(wanted))}; leave the option out")
    if said is not None or wanted is not None:
        return Delimiter(str(wanted or (said and said[1])), int(said is not None))
    found = [one for one in CANDIDATES if _fields(opened, one) > 1]
    if found in ([], [default]):
        return Delimiter(default)
    fitting = [one for one in found if fits(opened, one)]
    if "\t" in fitting:  # which texts do not hold
        return Delimiter("\t")
    if len(fitting) > 1:
        alike = " and ".join(map(in_words, fitting))
        raise EncT5Error(f"the rows of {source} can be separated by {alike} alike; say by which with --delimiter")
    if fitting:
        return Delimiter(fitting[0])
    return Delimiter(default if default in found or fits(opened, default) else found[0])


def _fields(opened: Callable[[], IO[str]], delimiter: str) -> int:
    """Fields of the first row; 0 where it cannot be read so."""
    try:
        with opened() as file:
            return len(next(filter(None, csv.reader(file, delimiter=delimiter, strict=True)), []))
    except csv.Error:
        return 0


def fits(opened: Callable[[], IO[str]], delimiter: str) -> bool:
    """Whether there are rows, and all have as many fields as the column names."""
    try:
        with opened() as file:
            rows = filter(None, csv.reader(file, delimiter=delimiter, strict=True))
            width = len(next(rows, []))
            some = False
            for row in rows:
                some = True
                if len(row) != width:
                    return False
            return some
    except csv.Error:
        return False
