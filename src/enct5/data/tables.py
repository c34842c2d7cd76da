"""What the readers of every format share: tables of named columns, chunk by chunk."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from enct5.errors import EncT5Error, show
from enct5.files import scratch

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

# Batches of a file, each time from its first row on; so many rows at a time, or as it suits the format.
Batches = Callable[[int | None], Iterator["pa.RecordBatch"]]
ROWS = 4096  # of a text format that are held as Python's objects at a time


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
        return Dataset(table, fingerprint=uuid4().hex)  # by itself it would make one of all rows
    except Exception as error:  # datasets raises whatever wrong metadata of its own lead to
        raise EncT5Error(
            f"cannot make a table of {source}: {show(error, 200)}; save it again with columns of texts, numbers or "
            "lists of them, and without metadata"
        ) from error


def tables(batches: Iterable["pa.RecordBatch"], source: str, rows: int | None) -> Iterator["Dataset"]:
    """Batches of any size as tables of `rows` rows, or as one, which lies in a file where it is large."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    if rows is None:
        batches = iter(batches)
        if (first := next(batches, None)) is not None:
            yield table_of(scratch.table_of(chain([first], batches)), source)
        return
    for batch in batches:
        held.append(batch)
        while sum(map(len, held)) >= rows:
            table = pa.Table.from_batches(held)
            yield table_of(table.slice(0, rows), source)
            held = table.slice(rows).to_batches()
    if held:
        yield table_of(pa.Table.from_batches(held), source)


def text_batch(rows: Iterable[Sequence[Any]], names: Sequence[str]) -> "pa.RecordBatch":
    """Rows of texts, or of lists of them, as a batch."""
    import pyarrow as pa

    columns = [list(values) for values in zip(*rows, strict=True)]
    kinds = [pa.list_(pa.string()) if isinstance(values[0], list) else pa.string() for values in columns]
    return pa.record_batch([pa.array(v, kind) for v, kind in zip(columns, kinds, strict=True)], list(names))


def joined(parts: Sequence[tuple[str, Batches]], rows: int | None) -> Iterator["pa.RecordBatch"]:
    """The batches of several files that have the same columns, one file after another.

    Raises:
        EncT5Error: If a file has other columns than the first.
    """
    schema = None
    for source, batches in parts:
        for batch in batches(rows):
            if schema is None:
                schema, first = batch.schema, source
            if set(batch.schema.names) != set(schema.names):
                odd = sorted(set(batch.schema.names) ^ set(schema.names))
                raise EncT5Error(
                    f"{source} and {first} have different columns ({', '.join(map(show, odd[:20]))} in one of them "
                    "only); give files with the same columns"
                )
            yield _as_first(batch, schema, source, first)


def _as_first(batch: "pa.RecordBatch", schema: "pa.Schema", source: str, first: str) -> "pa.RecordBatch":
    if batch.schema.names == schema.names and batch.schema.types == schema.types:
        return batch if batch.schema.metadata == schema.metadata else batch.replace_schema_metadata(schema.metadata)
    batch = batch.select(schema.names)
    for name in schema.names:
        one, other = batch.schema.field(name).type, schema.field(name).type
        if one != other:
            raise EncT5Error(
                f"column {show(name)} of {source} is of type {one}, in {first} of type {other}; save them alike"
            )
    return batch.replace_schema_metadata(schema.metadata)
