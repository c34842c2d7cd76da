"""What a user should know about their data: one line each, which a run says, its report and its model card show.

A note tells how many rows it is about, the first of them, and what to do. It holds no texts, because the card holds
none. Rows are numbered from 1, without a header.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from enct5.data.cells import as_number, is_missing
from enct5.errors import EncT5Error

Keys: TypeAlias = Sequence[int] | npt.NDArray[np.int64]
_MOST_LISTED = 5
# As tables write an absent value, that of another type among them.
_ABSENT = {"na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "(null)", "-", "--", "?"}


def line(note: str) -> str:
    """How a run says a note; those that begin with `warning: ` weigh more."""
    return note if note.startswith("warning: ") else f"note: {note}"


def in_rows(rows: Sequence[int]) -> str:
    """Say in how many rows something was found, and where to look.

    Args:
        rows: Their places in the table, from 0, at least one.

    Returns:
        Such as "3 rows (2, 5, 9)"; of many rows the first.
    """
    listed = ", ".join(str(row + 1) for row in rows[:_MOST_LISTED]) + (", ..." if len(rows) > _MOST_LISTED else "")
    return f"{len(rows)} rows ({listed})" if len(rows) > 1 else f"row {listed}"


def and_more(parts: Sequence[str]) -> str:
    """The first few of some parts, and how many more there are."""
    more = f" and {len(parts) - _MOST_LISTED} more" if len(parts) > _MOST_LISTED else ""
    return ", ".join(parts[:_MOST_LISTED]) + more


def number_of(count: int, thing: str) -> str:
    """A number with what it counts."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def reads_as_missing(value: object) -> bool:
    """Whether a cell is empty, or a word for that."""
    return is_missing(value) or value == "None" or str(value).strip().lower() in _ABSENT


def blank_texts(texts: Sequence[Any], source: str) -> list[str]:
    """A note on texts (one of a pair, all words of a list) without any character but blanks.

    Args:
        texts: The texts.
        source: Where they come from, for the error.

    Raises:
        EncT5Error: If there are no others.
    """
    blank = [row for row, text in enumerate(texts) if is_blank(text)]
    if blank and len(blank) == len(texts):
        raise EncT5Error(
            f"{source}: the text is blank in {in_rows(blank)}, which is all; name the column that holds the texts"
        )
    return [f"the text is blank in {in_rows(blank)}; fill it in or remove what has no text"] if blank else []


def numbers_as_texts(texts: Sequence[Any]) -> list[str]:
    """A note where all texts are numbers, as in a column of ids; pairs and lists of words are not looked at."""
    if not texts or not all(isinstance(text, str) and as_number(text) is not None for text in texts):
        return []
    return [f"all {len(texts)} texts are numbers; if these are ids, name the column that holds the texts"]


def is_blank(text: Any) -> bool:
    """Whether a text, one of a pair, or all words of a list have no character but blanks."""
    if isinstance(text, tuple):
        return any(map(is_blank, text))
    return not any(word.strip() for word in ([text] if isinstance(text, str) else text))


def repeated_texts(keys: Keys, values: Sequence[Any], written: Keys) -> list[str]:
    """Notes on texts that come several times, and on those of them that have different labels.

    Args:
        keys: What rows of the same text have in common.
        values: Their label values.
        written: The places of the rows whose text is not blank.
    """
    repeated = copies_of(keys, written)
    if not repeated:
        return []
    (first, second, *_), copies = repeated[0], sum(len(rows) - 1 for rows in repeated)
    notes = [
        f"{copies} of {len(keys)} rows repeat the text of an earlier one (row {second + 1} that of row {first + 1}, "
        "for example; case, repeated blanks and Unicode form do not count); remove them, unless they are to weigh more"
    ]
    other = [(rows[0], found[0]) for rows in repeated if (found := differing(rows, values))]
    if other:
        pairs = and_more([f"{one + 1} and {two + 1}" for one, two in other])
        notes.append(
            f"{number_of(len(other), 'repeated text')} with different labels (rows {pairs}); correct them: no model "
            "can be right about all"
        )
    return notes


def copies_of(keys: Keys, written: Keys) -> list[list[int]]:
    """The rows of each text that comes several times, that which comes first first.

    Args:
        keys: What rows of the same text have in common.
        written: The places of the rows whose text is not blank, ascending.
    """
    written = np.asarray(written, dtype=np.int64)
    own = np.asarray(keys)[written]
    order = np.argsort(own, kind="stable")
    is_same = own[order[1:]] == own[order[:-1]]
    # a run of equal keys begins where the next key is equal, and the one before was not
    steps = np.diff(np.concatenate([[False], is_same, [False]]).astype(np.int8))
    begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) + 1
    return sorted(written[order[begin:end]].tolist() for begin, end in zip(begins, ends, strict=True))


def differing(rows: Sequence[int], values: Sequence[Any]) -> list[int]:
    """Those of some rows whose label values are others than that of the first."""
    return [row for row in rows if _meaning(values[row]) != _meaning(values[rows[0]])]


def _meaning(value: Any) -> object:
    """What two labels of one text have to share: names in any order, but numbers target by target."""
    names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return frozenset(value) if names else repr(value)
