"""What a classifier learns, as scikit-learn has it and as a training run does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from enct5.data.in_memory import is_table, values_of
from enct5.errors import EncT5Error, show

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Targets:
    """The classes of a classifier.

    Attributes:
        classes: They, in ascending order; of an indicator matrix its columns.
        names: What the model calls them.
        kind: "single" (one a text), "indicator" (a matrix of zeros and ones, a column a label), or "lists" (of labels).
        named: Whether the names mean anything, other than those of an array's columns.
    """

    classes: Array
    names: list[str]
    kind: str
    named: bool = True

    @property
    def task(self) -> str:
        """The kind of task."""
        return "single" if self.kind == "single" else "multi"

    def columns(self, names: Sequence[str]) -> list[int]:
        """The places among the classes of what a model calls so."""
        places = {name: place for place, name in enumerate(self.names)}
        return [places[name] for name in names]

    def matrix(self, rows: Sequence[Sequence[str]]) -> Array:
        """Lists of names as zeros and ones, `(rows, classes)`."""
        found = np.zeros((len(rows), len(self.names)), dtype=int)
        for row, names in enumerate(rows):
            found[row, self.columns(names)] = 1
        return found


def read_targets(y: Any) -> tuple[Targets, list[Any]]:
    """The classes of `y`, and the labels of every row by name.

    Args:
        y: One class a row; or a matrix of zeros and ones, or a table whose columns are the labels; or lists of labels.

    Raises:
        EncT5Error: For labels that are absent, or that have one name.
        ValueError: For numbers that are no classes.
    """
    if sparse.issparse(y):
        y = y.toarray()
    if is_table(y):
        return _of_matrix(np.asarray(y.to_numpy()), np.asarray(list(y.columns)))
    if not isinstance(y, np.ndarray):
        rows = values_of(y, "y")
        if any(isinstance(row, list) for row in rows):
            lengths = {len(row) if isinstance(row, list) else 0 for row in rows}
            if len(lengths) > 1 or any(isinstance(item, str) for row in rows for item in row):
                return _of_lists(rows)
            y = np.asarray(rows)
    elif y.dtype == object and y.ndim == 1 and any(isinstance(row, (list, tuple, set)) for row in y):
        return _of_lists(values_of(y, "y"))
    array = np.asarray(y)
    if array.dtype.kind == "U" and array.ndim == 1 and not all(isinstance(one, str) for one in y):
        array = np.asarray(y, dtype=object)  # numbers beside texts, which NumPy would make texts
    if array.ndim == 2 and array.shape[1] > 1:
        return _of_matrix(array, None)
    return _of_classes(column_or_1d(array, warn=True))


def _of_classes(y: Array) -> tuple[Targets, list[str]]:
    if (absent := pd.isna(y)).any():
        raise EncT5Error(f"y lacks the label of {absent.sum()} of {len(y)} rows (first: row {absent.argmax() + 1})")
    try:
        check_classification_targets(y)
        targets = _named(np.unique(y), "single")
    except TypeError as error:  # what has no order
        kinds = ", ".join(sorted({type(one).__name__ for one in y.tolist()}))
        raise EncT5Error(f"y has classes of several types ({kinds}); make them all of one") from error
    return targets, [targets.names[place] for place in np.searchsorted(targets.classes, y)]


def _of_matrix(y: Array, columns: Array | None) -> tuple[Targets, list[list[str]]]:
    if not np.isin(y, [0, 1]).all():
        wrong = y[~np.isin(y, [0, 1])][0]
        raise EncT5Error(
            f"y is a matrix with {show(wrong)} in it; give one of 0 and 1, a column a label, or one class a row"
        )
    targets = _named(np.arange(y.shape[1]) if columns is None else columns, "indicator", named=columns is not None)
    return targets, [[targets.names[place] for place in np.flatnonzero(row)] for row in y.astype(int)]


def _of_lists(rows: list[Any]) -> tuple[Targets, list[list[str]]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or any(isinstance(item, (list, dict)) or pd.isna(item) for item in row):
            raise EncT5Error(
                f"y, row {number}: {show(repr(row))} is no list of labels; give one in each row, such as []"
            )
    classes = {item for row in rows for item in row}
    targets = _named(np.array(sorted(classes, key=lambda item: (str(type(item)), item)), dtype=object), "lists")
    names = dict(zip(targets.classes.tolist(), targets.names, strict=True))
    return targets, [[names[item] for item in row] for row in rows]


def _named(classes: Array, kind: str, named: bool = True) -> Targets:
    names = [str(one).strip() for one in classes.tolist()]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise EncT5Error(f"y has several classes that are called {show(twice)}; give each its own name")
    return Targets(classes, names, kind, named)
