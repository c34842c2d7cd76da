"""What a classifier is given as `y`, and how it is told to a training run."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from enct5.errors import EncT5Error
from enct5.estimators.targets import read_targets

MATRIX = np.array([[1, 0, 1], [0, 0, 0], [0, 0, 1]])
LISTED = [["0", "2"], [], ["2"]]


@pytest.mark.parametrize(
    ("y", "classes", "labels"),
    [
        (["b", "a", "b"], ["a", "b"], ["b", "a", "b"]),
        (np.array([10, 9, 10]), [9, 10], ["10", "9", "10"]),
        ([True, False], [False, True], ["True", "False"]),
        (np.array([1.0, 2.0, 1.0]), [1.0, 2.0], ["1.0", "2.0", "1.0"]),
        ([1, 2.0], [1.0, 2.0], ["1.0", "2.0"]),
        (pd.Series(["x", "y"], dtype="category", index=[5, 5]), ["x", "y"], ["x", "y"]),
        (pd.Series([3, 4], dtype="Int64"), [3, 4], ["3", "4"]),
        (np.array(["x", "y"], dtype=object), ["x", "y"], ["x", "y"]),
    ],
)
def test_one_class_a_row(y: Any, classes: list[Any], labels: list[str]) -> None:
    targets, found = read_targets(y)
    assert (targets.kind, targets.task, targets.named) == ("single", "single", True)
    assert repr(targets.classes.tolist()) == repr(classes)
    assert found == labels
    assert [targets.classes[place] for place in targets.columns(labels)] == list(y)


@pytest.mark.parametrize("y", [MATRIX, MATRIX.tolist(), MATRIX.astype(bool), sparse.csr_matrix(MATRIX), MATRIX * 1.0])
def test_a_matrix_has_a_column_a_label(y: Any) -> None:
    targets, found = read_targets(y)
    assert (targets.kind, targets.task, targets.named) == ("indicator", "multi", False)
    assert targets.classes.tolist() == [0, 1, 2]
    assert found == LISTED
    np.testing.assert_array_equal(targets.matrix(found), MATRIX)


def test_columns_of_a_table_are_the_labels() -> None:
    targets, found = read_targets(pd.DataFrame(MATRIX, columns=["wet", "cold", "dark"]))
    assert (targets.kind, targets.named) == ("indicator", True)
    assert targets.classes.tolist() == ["wet", "cold", "dark"]
    assert found == [["wet", "dark"], [], ["dark"]]


@pytest.mark.parametrize(
    ("y", "classes", "labels"),
    [
        ([["b", "a"], [], ("a",)], ["a", "b"], [["b", "a"], [], ["a"]]),
        ([{"a"}, {"b"}], ["a", "b"], [["a"], ["b"]]),
        (pd.Series([["a"], ["b", "c"]]), ["a", "b", "c"], [["a"], ["b", "c"]]),
        ([[10, 9], [9]], [9, 10], [["10", "9"], ["9"]]),
        (np.array([["a"], ["b", "c"]], dtype=object), ["a", "b", "c"], [["a"], ["b", "c"]]),
    ],
)
def test_lists_of_labels(y: Any, classes: list[Any], labels: list[list[str]]) -> None:
    targets, found = read_targets(y)
    assert (targets.kind, targets.task) == ("lists", "multi")
    assert repr(targets.classes.tolist()) == repr(classes)
    assert found == labels


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", None, "b"], r"y lacks the label of 1 of 3 rows \(first: row 2\)"),
        (np.array([1.0, np.nan]), r"y lacks the label of 1 of 2 rows \(first: row 2\)"),
        (["a", 1, True], r"y has classes of several types \(bool, int, str\); make them all of one"),
        (np.array(["a", 1], dtype=object), r"y has classes of several types \(int, str\); make them all of one"),
        (["a", " a"], "y has several classes that are called `a`"),
        ([[0, 2, 1], [1, 0, 0]], "y is a matrix with `2` in it; give one of 0 and 1"),
        ([["a"], None], "y, row 2: `None` is no list of labels"),
        ([["a"], "b"], "y, row 2: `'b'` is no list of labels"),
        ([["a"], [None]], r"y, row 2: `\[None\]` is no list of labels"),
        ("abc", r"y is `'abc'` \(str\); give a list"),
        (None, r"y is `None` \(NoneType\); give a list"),
    ],
)
def test_what_is_no_target_is_refused(y: Any, message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        read_targets(y)


def test_numbers_with_fractions_are_no_classes() -> None:
    with pytest.raises(ValueError, match="continuous"):
        read_targets([0.5, 1.5, 2.5])
