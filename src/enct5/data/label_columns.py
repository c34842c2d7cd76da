"""Labels that are spread over columns or hidden in objects, made a list of names a row; and tags made BIO ones."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from enct5.data.cells import BRACKETS, as_number, is_missing, read_lists
from enct5.errors import EncT5Error, show

_YES, _NO = {"1", "1.0", "true", "yes", "x", "y", "t"}, {"0", "0.0", "false", "no", "n", "f"}
_PREFIXED = re.compile(r"O|[BIESLU]-.+")
_UNDERSCORED = re.compile(r"O|[BIESLU]_.+")


def names_of_columns(columns: Mapping[str, Sequence[Any]], source: str) -> tuple[list[Any], str]:
    """The label values of several columns: the names of those that are 1 in a row, or the numbers of all.

    Args:
        columns: The columns, by their names.
        source: Where they come from, for messages.

    Returns:
        A list a row, and what it is in words.

    Raises:
        EncT5Error: If a column holds something else.
    """
    marks = {name: [_mark(value) for value in values] for name, values in columns.items()}
    wrong = [(name, row) for name, found in marks.items() for row, mark in enumerate(found) if mark is None]
    if wrong and (numbers := _numbers(columns)) is not None:
        return numbers, f"{len(columns)} numbers a row"
    if wrong:
        name, row = wrong[0]
        raise EncT5Error(
            f"column {show(name)} of {source}, row {row + 1}: {show(columns[name][row])} is neither 1 (the text "
            "the label) nor 0; several --label columns are one for each label, or numbers of which some have a fraction"
        )
    for name, found in marks.items():
        if False in found and "" in found:  # blank beside 0 is not known, beside 1 alone it is no
            raise EncT5Error(
                f"column {show(name)} of {source} lacks its 0 or 1 in row {found.index('') + 1}; fill it in or remove "
                "the row"
            )
    rows = zip(*marks.values(), strict=True)
    return [[name for name, mark in zip(marks, row, strict=True) if mark is True] for row in rows], "a column a label"


def _mark(value: Any) -> bool | str | None:
    """Whether a cell says yes or no; empty for a blank one, `None` for what says neither."""
    if is_missing(value):
        return ""
    text = str(value).strip().lower()
    return True if text in _YES else False if text in _NO else None


def _numbers(columns: Mapping[str, Sequence[Any]]) -> list[Any] | None:
    rows = [[as_number(value) for value in row] for row in zip(*columns.values(), strict=True)]
    if any(number is None for row in rows for number in row):
        return None
    return rows if any(number % 1 for row in rows for number in row if number is not None) else None


def read_objects(values: Sequence[Any]) -> Sequence[Any]:
    """Read objects and lists that CSV holds as text, blank fields and plain labels beside them; else as they are."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    if not texts or len(texts) < sum(not is_missing(value) for value in values):
        return values
    if all(text.lstrip()[:1] in BRACKETS for text in texts):
        lists = read_lists(texts)
        found = iter(lists if lists is not texts else [_object(text) for text in texts])
        read = [next(found) if isinstance(value, str) and value.strip() else None for value in values]
        held = [one for one, value in zip(read, values, strict=True) if isinstance(value, str) and value.strip()]
        return read if all(isinstance(one, list | dict) for one in held) else values
    choices = [_object(text) if text.lstrip().startswith("{") else None for text in texts]
    if any(isinstance(one, dict) and set(one) == {"choices"} for one in choices):
        found = iter(text if one is None else one for text, one in zip(texts, choices, strict=True))
        return [next(found) if isinstance(value, str) and value.strip() else None for value in values]
    return values


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def lists_of_objects(values: Sequence[Any], column: str) -> tuple[Sequence[Any], str | None]:
    """Lists of names, from objects of choices, or from those that say of each label whether a text has it.

    Returns:
        The lists (other values as they were), and what the objects were.

    Raises:
        EncT5Error: If an object says of a label something else than 1 or 0.
    """
    objects = [value for value in values if isinstance(value, dict)]
    if objects and all(set(value) == {"choices"} and isinstance(value["choices"], list) for value in objects):
        lists = [value["choices"] if isinstance(value, dict) else value for value in values]
        return [
            [value] if isinstance(value, str) else value for value in lists
        ], "choices, as in exports of Label Studio"
    if not objects or any(not isinstance(value, dict) and not is_missing(value) for value in values):
        return values, None
    if any(isinstance(said, str | list | dict) for value in objects for said in value.values()):
        return values, None
    lists = []
    for row, value in enumerate(values, 1):
        said = {name: _mark(given) for name, given in value.items()} if isinstance(value, dict) else {}
        if wrong := [name for name, mark in said.items() if mark is None]:
            raise EncT5Error(
                f"column {show(column)}, row {row}: {show(wrong[0])} is {show(value[wrong[0]])}, neither 1 (the text "
                "has the label) nor 0; decide, and write so"
            )
        lists.append([name for name, mark in said.items() if mark is True])
    return lists, "labels that are 1 in an object, as spaCy's categories"


def bio_tags(values: Sequence[Any], texts: Sequence[Any], column: str) -> tuple[Sequence[Any], str | None]:
    """Tags of words as BIO ones, from such with an underscore or without a prefix.

    Args:
        values: The label column.
        texts: The words of each row; where they are no lists of as many words as there are tags, nothing is read.
        column: The column's name, for messages.

    Returns:
        The tags (other values as they were), and how they were written.

    Raises:
        EncT5Error: If they are numbers, whose names are not known.
    """
    pairs = list(zip(values, texts, strict=True))
    if not all(isinstance(v, list) and isinstance(t, list) and len(v) == len(t) for v, t in pairs):
        return values, None
    tags = {tag for value in values for tag in value if not isinstance(tag, list | dict)}
    if tags and all(isinstance(tag, int) and not isinstance(tag, bool) for tag in tags):
        raise EncT5Error(
            f"column {show(column)} holds numbers of tags ({show(values[0])}) without the names of these; write "
            'the names, as ["O", "B-place"], or save the data set of `datasets`, which knows them, as Parquet'
        )
    if (
        not tags
        or "O" not in tags
        or not all(isinstance(tag, str) for tag in tags)
        or all(map(_PREFIXED.fullmatch, tags))
    ):
        return values, None
    if all(map(_UNDERSCORED.fullmatch, tags)):
        return [[tag.replace("_", "-", 1) if tag != "O" else tag for tag in value] for value in values], "with `_`"
    if any(_PREFIXED.fullmatch(tag) and tag != "O" for tag in tags):
        return values, None
    said = "without a prefix: neighbouring words of the same tag are one entity"
    return [["O" if tag == "O" else f"I-{tag}" for tag in value] for value in values], said
