"""What is odd about labels of any kind: one line each, as in `data.notes`."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping

from enct5.data.cells import as_number
from enct5.data.notes import and_more, number_of, reads_as_missing
from enct5.errors import show
from enct5.text.normal_form import normal_form

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def odd_names(counts: Mapping[str, int]) -> list[str]:
    """Notes on names that may mean the same, and on names that may mean none."""
    notes = []
    absent = sorted(name for name in counts if reads_as_missing(name))
    alike = defaultdict(list)
    for name in counts.keys() - absent:
        alike[_meaning(name)].append(name)
    groups = sorted(
        " = ".join(f"{_shown(name)} ({counts[name]})" for name in sorted(names))
        for names in alike.values()
        if len(names) > 1
    )
    if groups:
        notes.append(
            f"labels differ only in case, blanks, unseen characters, Unicode form or how a number is written: "
            f"{and_more(groups)}; write them alike if they mean the same"
        )
    broken = sorted(name for name in counts if _CONTROL.search(name))
    if broken:
        notes.append(
            f"{number_of(len(broken), 'label')} with line breaks or other control characters: "
            f"{and_more([_shown(name) for name in broken])}; is a quote in the file closed too late?"
        )
    if absent:
        listed = and_more([f"{show(name)} ({counts[name]})" for name in absent])
        notes.append(
            f"{number_of(sum(counts[name] for name in absent), 'label')} read like missing values: {listed}; remove "
            "those rows, unless that is what to learn"
        )
    return notes


def _meaning(name: str) -> object:
    seen = "".join(character for character in name if unicodedata.category(character) != "Cf")
    number = as_number(seen)
    return normal_form(seen) if number is None else number


def _shown(name: str) -> str:
    """A name between backticks; where it is not plain, with what the eye does not see."""
    return (
        show(name)
        if name.isascii() and " ".join(name.split()) == name
        else f"`{name.encode('unicode_escape').decode()}`"
    )


def without_evaluation(counts: Mapping[str, int], evaluated: Mapping[str, int], counted: str) -> list[str]:
    """A note on labels that the evaluation says nothing about.

    Args:
        counts: The labels, and how often each occurs in all.
        evaluated: How often each occurs in the evaluation.
        counted: What they count.
    """
    absent = [name for name in counts if not evaluated.get(name)]
    if not absent:
        return []
    listed = and_more([f"{show(name)} ({counts[name]})" for name in absent])
    return [
        f"{len(absent)} of {number_of(len(counts), 'label')} {'is' if len(absent) == 1 else 'are'} not among the "
        f"evaluation's {counted}, so no figure is about {listed}; add rows, raise --eval-fraction, or give a file with "
        "--eval"
    ]
