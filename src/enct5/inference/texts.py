"""The texts that a `Predictor` is given: lists, generators and columns, one kind at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from enct5.data.columns import check_columns, read_texts
from enct5.data.in_memory import in_memory
from enct5.errors import EncT5Error, show
from enct5.model.trained_on import TrainedOn
from enct5.tasks.base import Task
from enct5.text.surrogates import check_unicode

Text = str | tuple[str, str] | list[str]


def texts_of(table: Any, columns: Sequence[str], task: Task) -> Sequence[Any]:
    """The texts, or pairs of texts, of a table that a program holds.

    Raises:
        EncT5Error: If it has no such columns, or they hold something else than texts.
    """
    source = in_memory(table, only=columns)
    if len(source.table.column_names) < len(columns):  # told with all the names that there are
        source = in_memory(table)
    read = check_columns(source.table, source, columns, None, takes_words=task.inputs.takes_words)
    return read_texts(read, columns)


def checked(texts: Iterable[Text], task: Task, trained: TrainedOn | None) -> Iterator[Text]:
    """The texts, one by one, as long as the model takes them and they are all of one kind.

    Args:
        texts: texts or pairs, or for tokens texts or lists of words.
        task: what the model predicts.
        trained: what it was trained on, if it says so: single texts or pairs.

    Raises:
        EncT5Error: for what it does not take.
    """
    first_is_plain: bool | None = None
    for number, text in enumerate(items(texts), start=1):
        if task.inputs.takes_words and isinstance(text, np.ndarray):  # as pandas reads lists from Parquet
            text = text.tolist()
        plain = task.inputs.is_plain(text)
        if plain is None:
            raise EncT5Error(f"text {number} is {show(repr(text))}; give {task.inputs.accepts}")
        if first_is_plain not in (None, plain):
            raise EncT5Error(f"text {number}: texts and {task.inputs.other_kind} are mixed; give one kind at a time")
        if first_is_plain is None and trained is not None and not task.inputs.takes_words:
            trained.check_pairs(not plain)
        first_is_plain = plain
        for part in [text] if isinstance(text, str) else text:
            check_unicode(part, "text", number)
        yield text


def items(texts: Iterable[Any]) -> Iterator[Any]:
    """What a list, generator or column of texts holds, one by one; a table's or dictionary's names are no texts."""
    if isinstance(texts, str):
        raise EncT5Error(f"{show(texts)} is one text; give a list of texts")
    kind = type(texts).__name__
    if any(hasattr(type(texts), name) for name in ("columns", "column_names")):
        raise EncT5Error(f"a {kind} is no list of texts; name its column of texts, as in `table['text']`")
    if isinstance(texts, (bytes, bytearray, Mapping, Set)):
        raise EncT5Error(f"{show(repr(texts))} is a {kind}; give a list of texts, so that they have an order")
    try:
        return iter(texts)
    except TypeError:
        raise EncT5Error(f"{show(repr(texts))} is a {kind}; give a list of texts") from None
