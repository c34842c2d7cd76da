"""Rows to evaluate on with labels that a model does not know: counted and refused, or left out and told."""

from typing import Any

import pytest

from enct5.errors import EncT5Error
from enct5.tasks.entities import Entities, Span
from enct5.tasks.labelled import LabelledTexts
from enct5.tasks.registry import TASKS
from enct5.tasks.unknown_labels import known_rows

CASES: list[tuple[str, list[Any], list[str]]] = [
    ("single", ["late", "rude", "lost", "late"], ["late", "rude"]),
    ("multi", [["late"], [], ["late", "lost"], ["rude"]], ["late", "rude"]),
    (
        "tokens",
        [Entities([Span(0, 1, name)]) for name in ("late", "rude", "lost", "late")],
        ["O", "B-late", "I-late", "B-rude", "I-rude"],
    ),
]


def rows(values: list[Any]) -> LabelledTexts:
    return LabelledTexts(list("abcd")[: len(values)], values, range(len(values)))


@pytest.mark.parametrize(("task", "values", "names"), CASES)
def test_they_are_named_or_left_out(task: str, values: list[Any], names: list[str]) -> None:
    with pytest.raises(EncT5Error) as caught:
        known_rows(rows(values), TASKS[task], names, "eval.csv", skip=False)
    assert str(caught.value) == (
        "eval.csv has labels that the model is not trained on in 1 of 4 rows (first: row 3): `lost` (1); correct them, "
        "or train on them, or leave those rows out (--skip-unknown-labels)"
    )
    kept, notes = known_rows(rows(values), TASKS[task], names, "eval.csv", skip=True)
    assert (kept.texts, kept.values) == (["a", "b", "d"], [values[0], values[1], values[3]])
    assert notes == [
        "eval.csv has labels that the model is not trained on in 1 of 4 rows (first: row 3): `lost` (1); they are left "
        "out, and no figure is about them"
    ]


def test_a_mistyped_label_is_told() -> None:
    with pytest.raises(EncT5Error, match="`Late` \\(2\\); did you mean `late`\\? correct them"):
        known_rows(rows(["Late", "Late"]), TASKS["single"], ["late", "rude"], "eval.csv", skip=False)
    with pytest.raises(EncT5Error, match="no other row is left"):
        known_rows(rows(["Late", "Late"]), TASKS["single"], ["late", "rude"], "eval.csv", skip=True)


def test_numbers_have_no_labels() -> None:
    given = rows([1.5, 2.5])
    assert known_rows(given, TASKS["regression"], ["value"], "eval.csv", skip=False) == (given, [])
