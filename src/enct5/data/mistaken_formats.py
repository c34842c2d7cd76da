"""What a file is where its name says something else: for messages that refuse it."""

from collections.abc import Sequence


def by_names(names: Sequence[str]) -> str | None:
    """What the column names of a CSV or TSV file say of it, and what to do; `None` where they say nothing."""
    if names and names[0].lstrip().startswith(("{", "[")):
        return "it seems to hold JSON; name it .jsonl, or .json where it is one list"
    return None
