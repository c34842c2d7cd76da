"""Labels that are likely wrong: those that were changed are found, and where none can be doubted it is said why."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import enct5
from enct5.checking import suspicious_labels
from enct5.checking.suspicious_labels import Suspicions
from enct5.tasks.labelled import LabelledTexts
from enct5.tasks.registry import find_task
from helpers.checked import kinds, messages_with
from helpers.tables import write_rows


def labelled(rows: list[dict[str, Any]]) -> LabelledTexts:
    return LabelledTexts([row["text"] for row in rows], [row["label"] for row in rows], range(len(rows)))


def found_in(rows: LabelledTexts, task: str = "single", tokens: int = 10) -> Suspicions:
    return suspicious_labels.find(rows, np.full(len(rows), tokens), list(range(len(rows))), find_task(task))


@pytest.fixture
def cleanlab() -> None:
    pytest.importorskip("cleanlab", reason="needs cleanlab (the `check` extra)")


@pytest.mark.usefixtures("cleanlab")
def test_changed_classes_are_found() -> None:
    rows = messages_with({}, 90)
    right = {number: rows[number - 1]["label"] for number in (11, 42)}
    wrong = {11: "refund", 42: "delivery"}
    assert all(wrong[number] != right[number] for number in wrong)
    found = found_in(labelled(messages_with({number: {"label": label} for number, label in wrong.items()}, 90)))
    assert set(found.places[:2]) == {10, 41}
    facts = dict(zip(found.places, found.facts, strict=True))
    for number, label in wrong.items():
        assert (facts[number - 1]["Label"], facts[number - 1]["Likelier"]) == (label, right[number])
        assert facts[number - 1]["Probability of the label"] < 0.5
    assert found.said.startswith("looked for by cleanlab with logistic regression on mean states of the bundled T5")


@pytest.mark.usefixtures("cleanlab")
def test_changed_labels_are_found_missing_or_too_many() -> None:
    rows = [
        {**row, "label": sorted({row["label"], "letter"} if row["label"] != "refund" else {row["label"]})}
        for row in messages_with({}, 90)
    ]
    with_letter = next(place for place, row in enumerate(rows) if "delivery" in row["label"])
    without = next(place for place, row in enumerate(rows) if row["label"] == ["refund"])
    rows[with_letter] = {"text": "late parcel on the road", "label": ["letter"]}
    rows[without]["label"] = ["delivery", "refund"]
    found = found_in(labelled(rows), "multi")
    facts = dict(zip(found.places, found.facts, strict=True))
    assert "with delivery" in facts[with_letter]["Likelier"]
    assert facts[with_letter]["Label"] == "letter"
    assert "without delivery" in facts[without]["Likelier"]
    assert len(found.places) < 20


@pytest.mark.usefixtures("cleanlab")
def test_a_fit_that_learns_nothing_doubts_nothing() -> None:
    random = np.random.default_rng(0)
    rows = messages_with({number: {"label": "ab"[random.integers(2)]} for number in range(1, 61)})
    found = found_in(labelled(rows))
    assert found.places == []
    assert "learns too little of the labels to doubt any (Cohen's kappa " in found.said
    lists = labelled([{**row, "label": [row["label"]]} for row in rows])
    assert "no label reaches Cohen's kappa 0.4" in found_in(lists, "multi").said


@pytest.mark.usefixtures("cleanlab")
@pytest.mark.parametrize(("task", "things"), [("single", "classes"), ("multi", "labels")])
def test_classes_of_few_texts_are_not_judged(task: str, things: str) -> None:
    rows = messages_with({number: {"label": f"name {number}"} for number in range(1, 61)})
    rows = [{**row, "label": row["label"] if task == "single" else [row["label"]]} for row in rows]
    assert found_in(labelled(rows), task).said == f"not looked for: fewer than two {things} have 5 different texts"
    rare = messages_with({2: {"label": "rare"}, 30: {"label": "rare"}})
    if task == "single":
        found = found_in(labelled(rare))
        assert {1, 29} & set(found.places) == set()
        assert found.said.endswith(" for 3 of 4 classes")


@pytest.mark.usefixtures("cleanlab")
def test_of_many_rows_a_sample_is_looked_at_and_places_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = labelled(messages_with({11: {"label": "refund"}, 42: {"label": "delivery"}}, 90))
    looked_at: list[list[str]] = []

    def judged(part: LabelledTexts) -> Suspicions:
        looked_at.append(list(part.texts))
        return Suspicions("looked for", [0, 5], [{}, {}])

    monkeypatch.setitem(suspicious_labels._JUDGES, "single", judged)
    found = found_in(rows, tokens=suspicious_labels._MOST_TOKENS // 50)
    assert len(looked_at[0]) == 90  # no more than the fit reads count
    monkeypatch.setattr(suspicious_labels, "_MOST_ROWS", 30)
    found = found_in(rows)
    assert found.said == "looked for; a sample of 30 of 90 rows"
    assert [rows.texts[place] for place in found.places] == [looked_at[1][0], looked_at[1][5]]
    monkeypatch.setattr(suspicious_labels, "_MOST_TARGETS", 60)
    assert found_in(rows).said == "looked for; a sample of 20 of 90 rows"
    monkeypatch.setattr(suspicious_labels, "_MOST_LABELS", 2)
    assert found_in(rows).said == "not looked for among more than 2 labels, where no fit is quick"


def test_numbers_and_entities_are_left_out_and_cleanlab_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = LabelledTexts(["a", "b"], [0.5, 1.5], [1, 2])
    for task in ("regression", "tokens"):
        assert found_in(numbers, task).said.startswith("not looked for in numbers and entities")
    monkeypatch.setattr(suspicious_labels, "is_installed", lambda package: False)
    found = found_in(labelled(messages_with({})))
    assert (found.said, found.places) == ("not looked for without cleanlab: pip install 'enct5[check]'", [])


def test_it_is_said_where_the_extra_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspicious_labels, "is_installed", lambda package: False)
    report = enct5.check(
        write_rows(tmp_path / "rows.jsonl", messages_with({3: {"text": "x"}, 10: {"text": "x"}})),
        text="text",
        label="label",
    )
    assert "pip install 'enct5[check]'" in report.fit
    assert kinds(report) == {"contradictions": [3, 10]}
