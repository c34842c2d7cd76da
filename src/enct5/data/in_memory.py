"""Tables that a program holds: frames of pandas and polars, data sets, Arrow's tables, columns and rows of Python's.

Values stay what they are: whole numbers do not become floats, nor absent ones NaN; what no table takes is refused.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from enct5.data.any_values import with_columns
from enct5.data.tables import check_names, table_of
from enct5.errors import EncT5Error, show
from enct5.extras import need
from enct5.text.surrogates import check_unicode

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_PLAIN = (str, int, float, bool, type(None))
_TAKEN = (
    "a DataFrame of pandas or polars, a Dataset, a table of Arrow, a dictionary of columns, or a list of dictionaries"
)


class InMemory(str):
    """What stands for a source's name and brings its table along, so that it goes wherever a file's name goes.

    Attributes:
        table: The rows.
    """

    table: "Dataset"

    def __new__(cls, name: str, table: "Dataset") -> "InMemory":
        """A name with its table."""
        source = super().__new__(cls, name)
        source.table = table
        return source

    def chunks(self, rows: int | None) -> Iterator["Dataset"]:
        """Tables of so many rows, the last of fewer; None for one."""
        count = len(self.table)
        return (
            self.table.select(range(start, min(count, start + (rows or count))))
            for start in range(0, count, rows or count or 1)
        )

    def __getnewargs__(self) -> tuple[str, "Dataset"]:  # type: ignore[override]
        return str(self), self.table


def in_memory(data: Any, purpose: str = "", only: Sequence[str] | None = None) -> InMemory:
    """Take a table as it is held.

    Args:
        data: A DataFrame of pandas or polars, a `datasets.Dataset`, whatever else Arrow takes for a table, a dictionary
            of columns, or a list of dictionaries, one a row.
        purpose: What it is for, behind its name.
        only: The columns that are wanted; those that are not there are left out, too.

    Returns:
        The table, its index left out. A data set that knows its name on the hub has that.

    Raises:
        EncT5Error: For anything else, or a value that no table takes.
    """
    need("data", "a table")
    name = _name(data) + purpose
    if only is not None and is_table(data):
        data = _selected(data, only)
    return InMemory(name, _table(data, name))


def is_table(data: object) -> bool:
    """Whether a value is meant as a table: it has columns, or is a dictionary."""
    return isinstance(data, Mapping) or any(hasattr(type(data), name) for name in ("columns", "column_names"))


def values_of(column: Any, where: str) -> list[Any]:
    """The values of a list, array, Series or other column as plain ones of Python; sets in it become lists.

    Args:
        column: The column.
        where: What it is, for messages.

    Raises:
        EncT5Error: If it is no column, or has half of a surrogate pair in it.
    """
    if isinstance(column, (str, bytes, Mapping, Set)) or is_table(column):
        raise EncT5Error(
            f"{where} is {show(repr(column))} ({type(column).__name__}); give a list, an array or a Series"
        )
    array = _arrow(column)
    column = column if array is None else array
    if hasattr(column, "__array__") and not isinstance(column, Iterable):
        column = np.asarray(column)
    for way in ("to_pylist", "to_list", "tolist"):  # of Arrow, of Series, of arrays and tensors
        if hasattr(column, way):
            column = getattr(column, way)()
            break
    try:
        return [_plain(value, where, row) for row, value in enumerate(column, 1)]
    except TypeError:
        raise EncT5Error(f"{where} is {show(repr(column))} ({type(column).__name__}); give a list of values") from None


def _name(data: Any) -> str:
    from datasets import Dataset

    if isinstance(data, Dataset):
        of = data.info.dataset_name
        return f"{of}:{data.split}" if of and data.split else "Dataset"
    kind = type(data).__name__
    return kind if not isinstance(data, (Mapping, Sequence)) and is_table(data) else "data in memory"


def _selected(data: Any, only: Sequence[str]) -> Any:
    """A table of some columns: others may hold what no table takes."""
    if isinstance(data, Mapping):
        return {name: data[name] for name in only if name in data}
    if hasattr(data, "select_columns"):  # of `datasets`
        return data.select_columns([name for name in only if name in data.column_names])
    names = data.column_names if hasattr(data, "column_names") else data.columns
    known = [name for name in names if str(name) in only]
    return data.select(known) if hasattr(data, "select") else data[known]


def _table(data: Any, name: str) -> "Dataset":
    import pandas as pd
    import pyarrow as pa
    from datasets import Dataset, DatasetDict, IterableDatasetDict

    if isinstance(data, Dataset):
        if data.format["type"] == "custom":
            raise EncT5Error(f"{name} has a transform, which is not applied here; apply it by `map`")
        return data.with_format(None)
    if isinstance(data, pd.DataFrame):
        names = [str(column) for column in data.columns]
        return _of_columns({place: data.iloc[:, place] for place in range(len(names))}, names, name)
    if hasattr(data, "__arrow_c_stream__"):
        try:
            table = pa.table(data)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise _refused(data) from error
        return _of_columns(dict(enumerate(table.columns)), table.column_names, name)
    if isinstance(data, Mapping) and not isinstance(data, (DatasetDict, IterableDatasetDict)):
        names = [_column_name(column, name) for column in data]
        return _of_columns(dict(enumerate(data.values())), names, name)
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        names = [_column_name(column, name) for column in dict.fromkeys(key for row in data for key in row)]
        return _of_columns({place: [row.get(of) for row in data] for place, of in enumerate(names)}, names, name)
    raise _refused(data)


def _refused(data: Any) -> EncT5Error:
    kind, remedy = type(data).__name__, ""
    if kind in ("DatasetDict", "IterableDatasetDict"):
        remedy = f"; name one of its splits, as in `data[{next(iter(data), 'train')!r}]`"
    elif hasattr(data, "collect"):
        remedy = "; call its `collect`"
    elif kind == "IterableDataset":
        remedy = "; give `list(data)`, or load it without streaming"
    return EncT5Error(f"{show(repr(data))} ({kind}) is no table; give {_TAKEN}{remedy}")


def _column_name(name: object, source: str) -> str:
    if not isinstance(name, str):
        raise EncT5Error(f"{source} has a column named {show(repr(name))} ({type(name).__name__}); name it by a text")
    return name


def _of_columns(columns: Mapping[int, Any], names: Sequence[str], source: str) -> "Dataset":
    """A table of columns by place; the simple ones are taken as Arrow has them, the others value by value."""
    import pyarrow as pa

    check_names(list(names), source)
    arrays, others = {}, {}
    for place, column in columns.items():
        array = _arrow(column)
        if array is not None and _is_simple(array.type):
            arrays[names[place]] = array
        else:
            where = f"column {show(names[place])} of {source}"
            others[names[place]] = values_of(column, where)
    lengths = {name: len(values) for name, values in (arrays | others).items()}
    if len(set(lengths.values())) > 1:
        (first, one), *rest = lengths.items()
        second, other = next((name, length) for name, length in rest if length != one)
        raise EncT5Error(f"{source}: column {show(first)} has {one} values, {show(second)} has {other}; give as many")
    table = table_of(pa.table(arrays), source)
    if not others:
        return table
    try:
        return with_columns(table, others, source).select_columns(list(names))
    except TypeError as error:  # of JSON
        name, value = next((name, value) for name, values in others.items() for value in values if not _is_plain(value))
        raise EncT5Error(
            f"column {show(name)} of {source} holds {show(repr(value))} of type {type(value).__name__}, which a table "
            "cannot; leave the column out, or give texts, numbers, dates, or lists of them"
        ) from error


def _arrow(column: Any) -> "pa.Array | pa.ChunkedArray | None":
    """A column of Arrow's or of one of pandas' types as Arrow has it, NaN of pandas as null; None for any other."""
    import pandas as pd
    import pyarrow as pa

    if isinstance(column, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        try:
            column = None if column.dtype == object else pa.array(column, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError):
            return None
        if isinstance(getattr(column, "type", None), pa.BaseExtensionType):  # periods as numbers, say
            return None
    return column if isinstance(column, (pa.Array, pa.ChunkedArray)) else None


def _is_simple(kind: "pa.DataType") -> bool:
    """Whether a table can have a column of this type as it is."""
    import pyarrow as pa

    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_integer)
    return any(check(kind) for check in (*checks, pa.types.is_floating))


def _plain(value: Any, where: str, row: int) -> Any:
    import pandas as pd

    if isinstance(value, str):
        check_unicode(value, f"{where}, row", row)
        return str.__str__(value)  # of a subclass, such as NumPy's
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {name: _plain(item, where, row) for name, item in value.items()}
    if isinstance(value, Set):
        return sorted((_plain(item, where, row) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [_plain(item, where, row) for item in value]
    if hasattr(value, "tolist"):  # numbers and arrays of NumPy, tensors
        found = value.tolist()
        return found if type(found) is type(value) else _plain(found, where, row)
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, dict)):
        return all(map(_is_plain, [*value, *value.values()] if isinstance(value, dict) else value))
    return type(value) in _PLAIN
