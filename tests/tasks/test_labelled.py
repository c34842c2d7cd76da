"""Label columns: the task they pose, their values, and those that pose none."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset as Table

from enct5.data.columns import check_columns
from enct5.data.reading import read_table
from enct5.data.split import text_keys
from enct5.errors import EncT5Error
from enct5.tasks.labelled import LabelledTexts, infer_task, label_values
from enct5.tasks.registry import TASKS
from helpers.tables import Objects


def column(values: list[Any], name: str = "label") -> Table:
    """A table of one column."""
    return Table.from_dict({name: values})


@pytest.mark.parametrize(
    ("values", "separator", "task", "expected"),
    [
        (["a", "b"], None, "single", ["a", "b"]),
        ([0, 1], None, "single", ["0", "1"]),
        ([True, False], None, "single", ["True", "False"]),
        (["01", "2"], None, "single", ["01", "2"]),
        (["1.0", "2.0"], None, "single", ["1.0", "2.0"]),
        (["a ", " b"], None, "single", ["a", "b"]),
        (["1.5", "b", "c"], None, "single", ["1.5", "b", "c"]),
        (["1.5", "2"], None, "regression", [1.5, 2.0]),
        ([" .5", "-1e-3 "], None, "regression", [0.5, -0.001]),
        ([1.0, 2.0], None, "single", ["1.0", "2.0"]),
        ([1, "1", 1.0], None, "single", ["1", "1", "1.0"]),
        ([1.5, 2], None, "regression", [1.5, 2.0]),
        (["12.5%", "3 %"], None, "regression", [12.5, 3.0]),
        (["10%", "20%"], None, "single", ["10%", "20%"]),
        ([Decimal("1.50"), Decimal("2")], None, "regression", [1.5, 2.0]),
        ([Decimal("1"), Decimal("2")], None, "single", ["1", "2"]),
        ([[0.5, 1.0], [2.0, 3.0]], None, "regression", [[0.5, 1.0], [2.0, 3.0]]),
        ([[0.5], [2.0]], None, "regression", [0.5, 2.0]),
        ([["a", "b", "a"], []], None, "multi", [["a", "b"], []]),
        ([[" a", "b "], ["b"]], None, "multi", [["a", "b"], ["b"]]),
        ([[1, 2], [3]], None, "multi", [["1", "2"], ["3"]]),
        ([[1, 2.5], [3, 4]], None, "regression", [[1.0, 2.5], [3.0, 4.0]]),
        (['["a", "b"]', "[]"], None, "multi", [["a", "b"], []]),
        (["['a', \"b'c\"]", "[]"], None, "multi", [["a", "b'c"], []]),
        (["('a', 'b')", "('a',)"], None, "multi", [["a", "b"], ["a"]]),
        (["{'b', 'a'}", "{'a'}"], None, "multi", [["a", "b"], ["a"]]),
        (["[a]", "[b]"], None, "single", ["[a]", "[b]"]),
        (["a; b;", "", "b"], ";", "multi", [["a", "b"], [], ["b"]]),
    ],
)
def test_task_and_values(values: list[Any], separator: str | None, task: str, expected: list[Any]) -> None:
    """The label column alone tells the task; naming that task gives the same."""
    table = Objects({"label": values})
    found = infer_task(table, "label", separator=separator)
    assert found is TASKS[task]
    assert infer_task(table, "label", task, separator) is found
    assert label_values(table, "label", found, separator) == expected


def test_tags_and_entities_are_told_from_other_lists() -> None:
    """Lists of BIO tags and lists of spans mean tagging; their texts are checked with them."""
    spans = [[{"start": 0, "end": 1, "label": "x"}], []]
    for values in ([["B-loc", "O"], ["O"]], spans, [json.dumps(value) for value in spans]):
        assert infer_task(column(values), "label") is TASKS["tokens"]
    table = Table.from_dict({"words": [["a", "b"], ["c"]], "tags": [["B-x", "O"], ["O"]], "text": ["a b", "c"]})
    check_columns(table, "a.jsonl", ["words"], "tags", takes_words=True)
    (first, second) = label_values(table, "tags", TASKS["tokens"], text=["words"])
    assert ([(s.start, s.end, s.label) for s in first.spans], second.spans) == ([(0, 1, "x")], [])
    with pytest.raises(EncT5Error, match="row 1: 2 tags for a text in one piece"):
        label_values(table, "tags", TASKS["tokens"], text=["text"])
    with pytest.raises(EncT5Error, match=r"column `words`, row 1: .* is a list, not a text"):
        label_values(table, "tags", TASKS["multi"], text=["words"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([["a"], ["b", None]], "row 2: `None` is not a word but of type NoneType"),
        ([["a"], "b"], "row 2: texts and lists of words are mixed"),
    ],
)
def test_bad_words_name_the_row(tmp_path: Path, words: list[Any], message: str) -> None:
    """A list of words holds words only."""
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"words": value}) + "\n" for value in words))
    with pytest.raises(EncT5Error, match=message):
        check_columns(read_table(str(path)), "a.jsonl", ["words"], None, takes_words=True)


def test_forced_tasks() -> None:
    """Numbers may be classes and classes that are numbers may be targets."""
    assert infer_task(column([0.5, 1.5]), "label", "single_label_classification").alias == "single"
    assert label_values(column([0.5, 1.5]), "label", TASKS["single"]) == ["0.5", "1.5"]
    assert label_values(column(["1", "2"]), "label", infer_task(column(["1", "2"]), "label", "regression")) == [1, 2]


@pytest.mark.parametrize(
    ("values", "task", "separator", "message"),
    [
        (["a", float("nan")], "single", None, "row 2: `nan` is not a label"),
        ([["a"], [" "]], "multi", None, r"row 2: `\[' '\]` is not a list of label names"),
        ([["a"], [float("nan")]], "multi", None, "row 2: .* is not a list of label names"),
        (["['a' 'b']", "['a']"], "multi", None, r"row 1: .* is not a list of labels; write each row as a list, such"),
        ([[{"start": 0, "end": 1, "label": "x"}], [{"start": 1, "end": 1, "label": "x"}]], "auto", None, "row 2: "),
        (["a", "b"], "poetry", None, r"no task `poetry` \(tasks: "),
        (["1", "good"], "regression", None, "column `label`, row 2: `good` is not a number; .*--task single"),
        (["1", "inf"], "regression", None, "row 2: `inf` is not a number"),
        (["10%", "0.1"], "regression", None, "row 1: `10%` is not a number"),
        ([1.5, float("nan")], "auto", None, "not in row 2: `nan` is not a number"),
        ([[1.0, 2.0], [3.0]], "auto", None, r"row 2: `\[3.0\]` is not 2 numbers; give as many in each row"),
        (["a", "b"], "multi", None, "row 1: `a` is not a list of labels; .*--label-separator"),
        ([["a"], ["b"]], "single", None, r"row 1: `\['a'\]` is not one label; use --task multi"),
        (["a", ""], "single", None, "row 2: `` is not a label; fill it in or remove the row"),
        ([["a"], [None]], "multi", None, r"row 2: `\[None\]` is not a list of label names"),
        (["a", "b"], "single", ";", "--label-separator `;` goes with --task multi, not single"),
        (["1", "2"], "regression", ";", "--label-separator `;` goes with --task multi, not regression"),
        ([["a"], ["b"]], "auto", ";", "leave out --label-separator, the labels are lists"),
        ([1, 2], "auto", ";", "row 1: `1` is not a list of labels"),
        (["a", "b"], "auto", "", "the label separator is empty"),
    ],
)
def test_labels_that_fit_no_task(values: list[Any], task: str, separator: str | None, message: str) -> None:
    """What cannot be learned is refused with the row and the way out."""
    table = Objects({"label": values})
    with pytest.raises(EncT5Error, match=message):
        label_values(table, "label", infer_task(table, "label", task, separator), separator)


def test_a_surprising_choice_comes_with_its_reason() -> None:
    """Naming the task settles it, without a note."""
    table = column(list(range(40)))
    said: list[str] = []
    assert infer_task(table, "label", note=said.append) is TASKS["regression"]
    assert said == [
        "column `label` is read as numbers, as 40 of its 40 values differ; --task single reads them as classes"
    ]
    assert infer_task(table, "label", "single", note=said.append) is TASKS["single"]
    assert len(said) == 1


def test_lists_that_cannot_be_read_are_classes_only_where_it_is_said() -> None:
    table = column(["['a' 'b']", "['a']"])  # as NumPy writes them
    with pytest.raises(EncT5Error, match=r"such as `\['a' 'b'\]`; write lists as"):
        infer_task(table, "label")
    found = infer_task(table, "label", "single")
    assert label_values(table, "label", found) == ["['a' 'b']", "['a']"]


def test_label_values_do_not_hang_on_the_blanks_around_them() -> None:
    """With every way to write labels."""
    for values, task, separator in (
        ([" a", "b "], "single", None),
        ([[" a"], ["b "]], "multi", None),
        ([" a ;", "; b"], "multi", ";"),
    ):
        assert TASKS[task].label_names(label_values(column(values), "label", TASKS[task], separator)) == ["a", "b"]


def test_texts_labels_and_keys_are_selected_together() -> None:
    labelled = LabelledTexts(["a", "A", "b"], ["x", "y", "z"], text_keys(["a", "A", "b"]))
    assert labelled.keys[0] == labelled.keys[1] != labelled.keys[2]
    chosen = labelled.select(np.array([2, 0]))
    assert (chosen.texts, chosen.values) == (["b", "a"], ["z", "x"])
    assert chosen.keys.tolist() == [labelled.keys[2], labelled.keys[0]]
    assert (len(chosen), len(labelled)) == (2, 3)


def test_label_names_and_class_counts() -> None:
    """Both follow the task."""
    assert TASKS["single"].label_names(["10", "9", "10"]) == ["9", "10"]
    assert TASKS["single"].class_counts(["10", "9", "10"]) == {"9": 1, "10": 2}
