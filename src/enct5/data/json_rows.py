"""JSON and JSON lines."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from enct5.data import annotation_exports
from enct5.data.data_file import DataFile
from enct5.data.json_shapes import rows_of
from enct5.errors import EncT5Error, show
from enct5.text.surrogates import check_unicode

_LINES = (".jsonl", ".ndjson", ".jl", ".jsonlines")
_HALF_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")  # half of a surrogate pair, or of one that is whole


Objects = Callable[[], Iterator[dict[str, Any]]]


def read_json(file: DataFile) -> Objects:
    """The rows of a file of JSON or JSON lines, each time from the first on."""
    file.refuse_options("JSON", "delimiter")
    _ = file.encoding  # which is told first
    whole = _whole(file)
    if whole is None:
        file.refuse_part("a file of JSON lines")
        form = annotation_exports.form_of_row(next(_parsed_lines(file), (0, None, ""))[1])
        if form is not None:
            file.said.append(f"as an export of {form.tool}")
        return lambda: _checked(_parsed_lines(file), file, form)
    rows, form = rows_of(whole, file)
    halves = "\\ud800" if _has_half_escapes(file) else ""
    return lambda: _checked(((place, row, halves) for place, row in enumerate(rows, 1)), file, form, "item")


def _whole(file: DataFile) -> Any:
    """What a file holds in one piece: a list, or an object that is no line of many; `None` for lines."""
    with file.open_text("\n") as text:
        filled = ((number, line) for number, line in enumerate(text, 1) if line.strip())
        number, line = next(filled, (1, ""))
        if line.lstrip().startswith("["):
            # a list a line is one, too: spaCy's examples
            rest = text.read()
            if rest.strip() and _is_json(line) and _is_json(rest.lstrip().partition("\n")[0]):
                return None
            return _parse(line + rest, number, file)
        if not line.lstrip().startswith("{"):
            return None
        follows = next(filled, None)
        if _is_json(line):
            is_line = follows is not None or file.name.lower().endswith(_LINES)
            return None if is_line else _parse(line, number, file)
        rest = "" if follows is None else follows[1] + text.read()
    return _parse(line + rest, number, file) if _is_json(line + rest) else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _has_half_escapes(file: DataFile) -> bool:
    with file.open_text() as text:
        return any(_HALF_ESCAPE.search(line) for line in text)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, whose keys differ, for `json.loads`: of two alike it would keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"one object has two keys {next(name for name in names if names.count(name) > 1)}")
    return found


def _parse(text: str, number: int, file: DataFile) -> Any:
    """What a line, or all from one on, holds."""
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        raise EncT5Error(
            f"{file.source}, line {number + error.lineno - 1} is not JSON ({error.msg} at column {error.colno}); "
            "expected one object a line, or one list of objects"
        ) from error
    except (ValueError, RecursionError) as error:  # a key twice, a number of thousands of digits, deep nesting
        raise EncT5Error(f"{file.source}, from line {number} on: {show(error, 200)}; correct or remove it") from error


def _parsed_lines(file: DataFile) -> Iterator[tuple[int, Any, str]]:
    """The lines that are not empty: their number, what they hold, and their text."""
    # only "\n" ends a JSON line: str.splitlines would also split texts at rarer line separators
    with file.open_text("\n") as text:
        for number, line in enumerate(text, 1):
            if line.strip():
                yield number, _parse(line.removesuffix("\n"), number, file), line


def _checked(
    parsed: Iterator[tuple[int, Any, str]], file: DataFile, form: annotation_exports.Form | None, kind: str = "line"
) -> Iterator[dict[str, Any]]:
    for place, found, text in parsed:
        row = found if form is None else form.flat(found)
        if not isinstance(row, dict) or not row:  # a table without columns has no rows either
            raise EncT5Error(
                f"{file.source}, {kind} {place} is {show(found)}, not an object with columns; "
                'expected {"column": value, ...}'
            )
        if _HALF_ESCAPE.search(text):
            _check_row(row, file.source, kind, place)
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
