"""Tables whose columns hold any values of JSON, whatever types are mixed."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from enct5.data.tables import table_of
from enct5.errors import EncT5Error, show
from enct5.files import scratch

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


def table_of_objects(objects: Sequence[Mapping[str, Any]], source: str) -> "Dataset":
    """Rows as a table; what a row lacks is null."""
    import pyarrow as pa

    names = dict.fromkeys(name for row in objects for name in row)
    return _table(pa.table({}), {name: [row.get(name) for row in objects] for name in names}, set(), source)


def table_of_parts(parts: Iterable[list[Any]], source: str) -> "Dataset | None":
    """The rows of lists as `table_of_objects` has them together, a list at a time in memory.

    Returns:
        The table; None where there is no row, or the columns of all rows together may be others than the first list's.
    """
    parts = iter(parts)
    first, second = next(parts, []), next(parts, [])
    if not second:
        return None if not first else table_of_objects(first, source)
    try:
        return table_of(scratch.table_of(_like_the_first(chain([first, second], parts), source)), source)
    except _OtherColumnsError:
        return None


class _OtherColumnsError(Exception):
    """Rows of a part have other columns than those before."""


def _like_the_first(parts: Iterable[list[Any]], source: str) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    schema: pa.Schema | None = None
    for part in parts:
        table = table_of_objects(part, source)
        content = table.with_format("arrow")[:].replace_schema_metadata(None)
        schema = schema or content.schema
        if encoded_columns(table) or not set(content.column_names) <= set(schema.names):
            raise _OtherColumnsError
        arrays = []
        for name, kind in zip(schema.names, schema.types, strict=True):
            column = content.column(name) if name in content.column_names else pa.nulls(len(content), kind)
            if column.type not in (kind, pa.null()):
                raise _OtherColumnsError
            arrays.append(column.cast(kind))
        yield from pa.table(arrays, schema=schema).combine_chunks().to_batches()


def with_columns(table: "Dataset", columns: Mapping[str, Sequence[Any]], source: str) -> "Dataset":
    """A table with more columns, or others in the place of its own."""
    content = table.with_format("arrow")[:].replace_schema_metadata(None)
    return _table(content, columns, encoded_columns(table), source)


def _table(content: "pa.Table", columns: Mapping[str, Sequence[Any]], encoded: set[str], source: str) -> "Dataset":
    import pyarrow as pa

    arrays: dict[str, Any] = {name: content.column(name) for name in content.column_names}
    encoded = encoded - columns.keys()
    try:
        for name, values in columns.items():
            array = _exactly(list(values))
            if array is None:
                # not as `Json` of datasets, which reads the text "1" as a number and rounds numbers
                array = pa.array(
                    [None if v is None else json.dumps(v, ensure_ascii=False) for v in values], pa.string()
                )
                encoded.add(name)
            arrays[name] = array
        table = table_of(pa.table(arrays), source)
    except (pa.ArrowException, RecursionError) as error:
        raise EncT5Error(f"cannot make a table of {source}: {show(error, 200)}") from error
    return table.with_transform(partial(_decoded, encoded)) if encoded else table


def _exactly(values: list[Any]) -> "pa.Array | None":
    """The values as Arrow has them; None where a table would change them, or has no type for all of them."""
    import pyarrow as pa
    from datasets import Dataset

    try:
        array = pa.array(values)
        same = Dataset(pa.table({"": array}))[""][:] == values
    except (
        pa.ArrowException,
        OverflowError,
        ValueError,
    ):  # the last: older Arrow cuts keys at NUL, which may equal then
        return None
    # 1 and 1.0 are equal, and yet the names of two classes
    return array if same and ("double" not in str(array.type) or repr(array.to_pylist()) == repr(values)) else None


def _decoded(encoded: set[str], batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """A part of a table, the columns that are held as JSON decoded."""
    return {
        name: [None if value is None else json.loads(value) for value in values] if name in encoded else values
        for name, values in batch.items()
    }


def encoded_columns(table: "Dataset") -> set[str]:
    """The columns of a table that are held as JSON."""
    transform = table.format["format_kwargs"].get("transform")
    return set(transform.args[0]) if isinstance(transform, partial) and transform.func is _decoded else set()
