"""SHA-256 of a table's content: whether data is still what a run or a file of predictions began with."""

import hashlib
from typing import TYPE_CHECKING

from enct5.data.in_memory import InMemory
from enct5.data.locating import locate
from enct5.files.digests import digest

if TYPE_CHECKING:
    from datasets import Dataset

_ROWS = 1000


def digest_of_data(source: str) -> str | None:
    """SHA-256 of a table: of its files, or of all rows of a data set of the hub.

    A data set is known by neither its name nor its revision: the one stays when rows change, the other changes with a
    word in its description.

    Args:
        source: What `reading.read_table` has read, so that it is in the cache.

    Raises:
        EncT5Error: If it can no longer be loaded.
    """
    from enct5.data.hub import load_hub

    if isinstance(source, InMemory) or locate(source) is not None:
        return digest_of_files(source)
    return _digest_of_rows(load_hub(source))


def _digest_of_rows(table: "Dataset") -> str:
    found = hashlib.sha256()
    for part in table.with_format("arrow").iter(_ROWS):
        # as Python writes them, and not Arrow's bytes, which depend on where its blocks begin
        found.update(repr(part.to_pydict()).encode(errors="backslashreplace"))
    return found.hexdigest()


def digest_of_files(source: str) -> str | None:
    """SHA-256 of a file; of several, that of their digests in their order; of a table in memory, that of its rows.

    `None` for a data set of the hub.

    Args:
        source: As for `reading.read_table`.
    """
    if isinstance(source, InMemory):
        return _digest_of_rows(source.table)
    located = locate(source)
    if located is None:
        return None
    paths = located.paths
    if located.is_saved:
        paths = tuple(sorted(path for path in paths[0].rglob("*") if path.is_file()))
    digests = [str(digest(path)) for path in paths]
    return digests[0] if len(paths) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
