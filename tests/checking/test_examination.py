"""A check from Python: one report of all that is found, which is what training would say."""

from pathlib import Path
from typing import Any

import pytest

import enct5
from enct5.checking import suspicious_labels
from enct5.errors import EncT5Error
from enct5.runs import settings_of
from enct5.training.data import read_rows
from helpers.checked import kinds, messages_with
from helpers.html import Page
from helpers.runs import messages
from helpers.tables import write_rows

LONG = "the green chair that I ordered for my mother has not arrived yet"


@pytest.fixture(autouse=True)
def without_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspicious_labels, "is_installed", lambda package: False)


def report_on(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> enct5.checking.Report:
    return enct5.check(write_rows(folder / "rows.jsonl", rows), **({"text": "text", "label": "label"} | settings))


def test_data_without_faults_has_no_findings(tmp_path: Path) -> None:
    report = report_on(tmp_path, messages_with({}))
    assert kinds(report) == {}
    assert (report.refusal, report.copy) == (None, None)
    assert report.counts == {"Café Ärger": 20, "delivery": 20, "refund": 20}
    assert (report.rows, report.counted, report.source) == (60, "texts", "rows.jsonl")
    assert report.evaluation == "6 rows held out of rows.jsonl (stratified, seed 42)"
    assert "nothing odd was found" in str(report)
    assert "texts a label: Café Ärger 20, delivery 20, refund 20" in str(report)


def test_lengths_are_those_of_whole_texts(tmp_path: Path) -> None:
    rows = messages_with({5: {"text": "money " * 600}, 9: {"text": "a"}})
    report = report_on(tmp_path, rows, max_length=512)
    assert report.lengths["characters"]["longest"] == 3600
    assert report.lengths["tokens"]["longest"] == 601
    assert kinds(report) == {"long_texts": [5]}
    (found,) = (one for one in report.findings if one.kind == "long_texts")
    assert found.said == "row 5 of more than 512 tokens would be cut (--max-length)"
    assert [one["Tokens"] for one in found.records] == [601]
    assert "long_texts" not in kinds(report_on(tmp_path, rows))  # read in windows


def test_all_kinds_are_found_at_once_the_gravest_first(tmp_path: Path) -> None:
    changes: dict[int, dict[str, Any]] = {
        1: {"text": LONG, "label": "delivery"},
        2: {"text": None},
        3: {"label": None},
        4: {"text": " "},
        5: {"text": LONG + "!", "label": "delivery"},
        6: {"text": LONG, "label": "delivery"},
        7: {"text": "odd", "label": "delivery"},
        8: {"text": "odd", "label": "refund"},
    }
    held = write_rows(
        tmp_path / "held.jsonl", [{"text": LONG, "label": "delivery"}, {"text": "new", "label": "refund"}]
    )
    report = report_on(
        tmp_path, messages_with(changes), eval=held, html=tmp_path / "page.html", fix=tmp_path / "fixed.csv"
    )
    found = kinds(report)
    near = found.pop("near_duplicates")
    assert 5 in near
    assert found == {
        "no_text": [2],
        "no_label": [3],
        "blank_texts": [4],
        "contradictions": [7, 8],
        "duplicates": [6],
        "leakage": [1],
    }
    assert report.refusal == (
        "column `text` of rows.jsonl lacks the text in 1 of 60 rows (first: row 2); fill it in or remove the rows"
    )
    assert f"training refuses this data: {report.refusal}" in str(report)
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "Training refuses this data" in page.html
    assert report.copy is not None
    assert report.copy.startswith("56 of 60 rows: without 3 that lack text or label and 1 that repeat an earlier one; ")
    assert (tmp_path / "fixed.csv").exists()
    # the copy is what training takes
    assert (
        len(read_rows(settings_of(str(tmp_path / "fixed.csv"), None, None, text="text", label="label")).targets[0]) > 40
    )


def test_what_training_notes_is_said_in_its_words_and_nothing_twice(tmp_path: Path) -> None:
    rows = messages_with({5: {"label": "Refund"}, 6: {"text": LONG}, 7: {"text": LONG}, 8: {"text": "  "}})
    report = report_on(tmp_path, rows)
    noted = read_rows(settings_of(str(tmp_path / "rows.jsonl"), None, None, text="text", label="label")).notes
    told = {one.said for one in report.findings}
    alike = [note for note in noted if "differ only in case" in note]
    assert len(alike) == 1
    assert alike[0] in told
    for once in ("blank in row 8", "repeat"):
        assert len([said for said in told if once in said]) == 1, once


def test_texts_that_the_base_does_not_know_are_refused_as_by_training(tmp_path: Path, t5_folder: Any) -> None:
    rows = [{"text": f"これは{row}番目の文です" * 2, "label": "ab"[row % 2]} for row in range(20)]
    base = str(t5_folder())
    report = report_on(tmp_path, rows, base=base)
    assert report.refusal is not None
    assert "are unknown to the tokenizer of" in report.refusal
    assert report_on(tmp_path, rows, base=base, allow_unknown=True).refusal is None
    evaluated = report_on(
        tmp_path,
        messages(30),
        base=base,
        eval=write_rows(tmp_path / "held.jsonl", [{"text": "これは文です", "label": "refund"}]),
    )
    assert evaluated.refusal is not None
    assert "of the evaluation texts are unknown" in evaluated.refusal


def test_tables_and_texts_of_a_program_are_checked_as_for_training() -> None:
    texts = [f"message {row} of a program" for row in range(19)] + ["Message 3 of a program"]
    report = enct5.check(texts, ["a", "b"] * 10)
    assert kinds(report)["duplicates"] == [20]
    pairs = enct5.check(
        {"q": texts, "a": texts, "same": [row / 20 for row in range(20)]}, text=("q", "a"), label="same"
    )
    assert kinds(pairs)["contradictions"] == [4, 20]
    assert pairs.counts == {}
    assert "numbers" in pairs.why


def test_entities_are_counted_and_long_texts_read_in_windows(tmp_path: Path) -> None:
    rows = [
        {
            "text": f"{'Anna ' * (1 + 200 * (row == 3))}went home {row}",
            "label": [{"start": 0, "end": 4, "label": "person"}],
        }
        for row in range(20)
    ]
    report = report_on(tmp_path, rows, max_length=64)
    assert (report.counts, report.counted) == ({"person": 20}, "entities")
    said = [one.said for one in report.findings if one.kind == "long_texts"]
    assert said == ["row 4 of more than 64 tokens would be read in overlapping windows (--max-length)"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "lable"}, "no column `lable` in rows.jsonl"),
        ({"epoch": 3}, "did you mean `epochs`"),
        ({"base": "nowhere/at/all"}, "there is no folder nowhere/at/all"),
        ({"tasks": {"a": "label"}, "label": ""}, "a check looks at one label column"),
        ({"fix": "rows.doc"}, "its name must end in"),
        ({"html": "nowhere/page.html"}, "the folder nowhere does not exist"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EncT5Error, match=message) as told:
        report_on(tmp_path, messages(30), **settings)
    assert "\n" not in str(told.value)
