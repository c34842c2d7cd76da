"""What the readers of every format share: tables of named columns, chunk by chunk."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from enct5.data.mistaken_formats import by_content
from enct5.errors import EncT5Error, show

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


def no_rows(source: str) -> EncT5Error:
    """The error for a table without rows, for the caller to raise."""
    return EncT5Error(f"{source} has no rows; give a table with at least one row")


def check_names(names: Sequence[str], source: str) -> None:
    """Refuse columns that have one name, or one that would be cut."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise EncT5Error(f"{source} has {names.count(twice)} columns named {show(twice)}; give each its own name")
    # datasets cuts names there, and then finds a table without such columns
    cut = next((name for name in names if "\0" in name), None)
    if cut is not None:
        raise EncT5Error(
            f"{source} has NUL characters in its column names ({show(repr(cut))}); save it again as UTF-8, or give "
            "the column another name"
        )


def table_of(table: "pa.Table", source: str) -> "Dataset":
    """A table of Arrow's as one of datasets', without a copy."""
    from datasets import Dataset

    check_names(table.column_names, source)
    try:
        return Dataset(table)
    except Exception as error:  # datasets raises whatever wrong metadata of its own lead to
        raise EncT5Error(
            f"cannot make a table of {source}: {show(error, 200)}; save it again with columns of texts, numbers or "
            "lists of them, and without metadata"
        ) from error


def tables(batches: Iterable["pa.RecordBatch"], source: str, rows: int | None) -> Iterator["Dataset"]:
    """Batches of any size as tables of `rows` rows, or as one."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while rows is not None and sum(map(len, held)) >= rows:
            table = pa.Table.from_batches(held)
            yield table_of(table.slice(0, rows), source)
            held = table.slice(rows).to_batches()
    if held:
        yield table_of(pa.Table.from_batches(held), source)


def lines(path: Path, source: str) -> Iterator[str]:
    """The lines of a text file, which is refused where it is not UTF-8."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                raise EncT5Error(
                    f"{source} is not UTF-8 (byte {line[error.start]:#04x} at offset {offset + error.start}); "
                    f"{by_content(path) or 'save it again as UTF-8'}"
                ) from error
            offset += len(line)
