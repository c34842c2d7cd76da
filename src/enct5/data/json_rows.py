"""JSON and JSON lines."""

import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.data.tables import lines, table_of
from enct5.errors import EncT5Error, show
from enct5.text.surrogates import check_unicode

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


_HALF_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")  # half of a surrogate pair, or of one that is whole


def read_json(path: Path, source: str, rows: int | None) -> Iterator["Dataset"]:
    """Tables of a file of JSON or JSON lines, of so many rows; None for one."""
    for _ in lines(path, source):
        pass
    objects = _json_rows(path, source)
    while part := list(islice(objects, rows)):
        yield _table_of_objects(part, source)


def _table_of_objects(objects: list[dict[str, Any]], source: str) -> "Dataset":
    import pyarrow as pa

    names = dict.fromkeys(name for row in objects for name in row)
    columns, encoded = {}, set()
    try:
        for name in names:
            values = [row.get(name) for row in objects]
            columns[name] = _exactly(values)
            if columns[name] is None:
                # not as `Json` of datasets, which reads the text "1" as a number and rounds numbers
                columns[name] = pa.array([None if v is None else json.dumps(v, ensure_ascii=False) for v in values])
                encoded.add(name)
        table = table_of(pa.table(columns), source)
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
    return array if same else None


def _decoded(encoded: set[str], batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """A part of a table, the columns that are held as JSON decoded."""
    return {
        name: [None if value is None else json.loads(value) for value in values] if name in encoded else values
        for name, values in batch.items()
    }


def _json_parts(path: Path) -> Iterator[tuple[int, str]]:
    """The whole of a file that holds a list, or its lines that are not empty, each with its line number."""
    # only "\n" ends a JSON line: str.splitlines would also split texts at rarer line separators
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        filled = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        first = next(filled, None)
        if first is None:
            return
        number, line = first
        if line.lstrip().startswith("["):
            yield number, line + file.read()
            return
        yield number, line.removesuffix("\n")
        yield from ((number, line.removesuffix("\n")) for number, line in filled)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, whose keys differ, for `json.loads`: of two alike it would keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"one object has two keys {next(name for name in names if names.count(name) > 1)}")
    return found


def _json_rows(path: Path, source: str) -> Iterator[dict[str, Any]]:
    first = None
    for number, part in _json_parts(path):
        first = first or number
        try:
            parsed = json.loads(part, object_pairs_hook=unique_keys)
        except json.JSONDecodeError as error:
            raise EncT5Error(
                f"{source}, line {number + error.lineno - 1} is not JSON ({error.msg} at column {error.colno}); "
                "expected one object a line, or one list of objects"
            ) from error
        except (ValueError, RecursionError) as error:  # a key twice, a number of thousands of digits, deep nesting
            raise EncT5Error(f"{source}, from line {number} on: {show(error, 200)}; correct or remove it") from error
        whole = isinstance(parsed, list) and number == first
        kind = "item" if whole else "line"
        for place, row in enumerate(parsed, 1) if whole else [(number, parsed)]:
            if not isinstance(row, dict) or not row:  # a table without columns has no rows either
                raise EncT5Error(
                    f"{source}, {kind} {place} is {show(row)}, not an object with columns; "
                    'expected {"column": value, ...}'
                )
            if _HALF_ESCAPE.search(part):
                _check_row(row, source, kind, place)
            yield row


def _check_row(row: dict[str, Any], source: str, kind: str, place: int) -> None:
    """Refuse half a surrogate pair in a row's texts and names, which no table takes."""
    for name, value in row.items():
        shown = show(name.encode(errors="backslashreplace").decode())
        held = [name, value]
        while held:  # a stack: lists may be nested deeper than functions
            part = held.pop()
            if isinstance(part, str):
                check_unicode(part, f"{source}, column {shown}, {kind}", place)
            elif isinstance(part, list | dict):
                held += [*part, *part.values()] if isinstance(part, dict) else part
