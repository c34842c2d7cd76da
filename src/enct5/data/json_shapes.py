"""JSON in one piece: a list of rows, rows under a key, columns as pandas writes them, a labelling tool's export."""

from collections.abc import Iterator
from typing import Any

from enct5.data import annotation_exports
from enct5.data.annotation_exports import Form
from enct5.data.data_file import DataFile
from enct5.errors import EncT5Error, show, unknown


def rows_of(found: Any, file: DataFile) -> tuple[list[Any], Form | None]:
    """The rows of a list or an object, and what makes plain rows of them where they are those of a labelling tool.

    Args:
        found: What the file holds.
        file: The file, which is told how it is read.

    Raises:
        EncT5Error: If an object may hold rows in several places, or in none.
    """
    rows = found if isinstance(found, list) else _rows_of_object(found, file)
    if annotation_exports.is_pair(rows):  # one example of spaCy's
        rows = [rows]
    if rows and annotation_exports.is_label_studio(rows[0]):
        file.said.append("as an export of Label Studio")
        return annotation_exports.label_studio(rows, file.source), None
    form = annotation_exports.form_of_row(rows[0]) if rows else None
    if form is not None:
        file.said.append(f"as an export of {form.tool}")
    return rows, form


def _rows_of_object(found: dict[str, Any], file: DataFile) -> list[Any]:
    places = dict(_lists_of_rows(found))
    if {"schema", "data"} <= found.keys():  # pandas' description of the columns
        places.pop("schema.fields", None)
    if file.part is not None:
        if file.part not in places:
            raise unknown("list of rows", file.part, places, str(file.path))
        return places[file.part]
    if "annotations" in places and set(found) == {"classes", "annotations"}:
        return [row for row in places["annotations"] if row is not None]  # texts that were passed over
    if len(places) > 1:
        named = next(iter(places))
        raise EncT5Error(
            f"{file.source} holds {len(places)} lists of rows ({', '.join(list(places)[:20])}); name one, as in "
            f"`{file.source}:{named}`"
        )
    if places:
        ((key, rows),) = places.items()
        file.said.append(f"from the rows under {show(key)}")
        return rows
    columns = _of_columns(found, file)
    return [found] if columns is None else columns


def _lists_of_rows(found: dict[str, Any], way: str = "") -> Iterator[tuple[str, list[Any]]]:
    """The lists of objects within objects, by their dotted paths; what a row itself holds is not looked at."""
    for key, value in found.items():
        if isinstance(value, dict):
            yield from _lists_of_rows(value, f"{way}{key}.")
        elif isinstance(value, list) and value and _are_rows(value):
            yield f"{way}{key}", value


def _are_rows(values: list[Any]) -> bool:
    if all(isinstance(value, dict) for value in values):
        return not all({"start", "end"} <= value.keys() for value in values)  # the spans of one row
    return all(value is None or annotation_exports.is_pair(value) for value in values)


def _of_columns(found: dict[str, Any], file: DataFile) -> list[dict[str, Any]] | None:
    """Rows of what pandas writes column by column, or row by row by name; `None` for anything else."""
    names, cells = found.get("columns"), found.get("data")
    if isinstance(names, list) and isinstance(cells, list) and all(isinstance(name, str) for name in names):
        wrong = [
            row for row, values in enumerate(cells, 1) if not isinstance(values, list) or len(values) != len(names)
        ]
        if wrong:
            raise EncT5Error(f"{file.source}: row {wrong[0]} of `data` has not as many values as there are `columns`")
        file.said.append("by `columns` and `data`")
        return [dict(zip(names, values, strict=True)) for values in cells]
    values = list(found.values())
    if len(values) > 1 and all(isinstance(column, list) for column in values):
        if len(set(map(len, values))) > 1:
            lengths = ", ".join(f"{show(name)} {len(column)}" for name, column in list(found.items())[:20])
            raise EncT5Error(
                f"{file.source} holds columns of different lengths ({lengths}); give as many values in each"
            )
        file.said.append("column by column")
        return [dict(zip(found, row, strict=True)) for row in zip(*values, strict=True)]
    if not values or not all(isinstance(column, dict) and column for column in values):
        return None
    inner = list(values[0])
    if any(column.keys() != values[0].keys() for column in values):
        return None
    numbered = [all(str(key).isdecimal() for key in keys) for keys in (found, inner)]
    if numbered == [False, True]:
        file.said.append("column by column")
        return [{name: column[row] for name, column in found.items()} for row in inner]
    if numbered == [True, False]:
        file.said.append("row by row, without their numbers")
        return values
    raise EncT5Error(
        f"{file.source} holds objects within an object, whose keys do not tell rows from columns; give a list of "
        'objects, a row each (orient="records" in pandas)'
    )
