"""`enct5 check`: what it shows and writes, and how it ends."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from enct5.checking import suspicious_labels
from helpers.checked import messages_with
from helpers.command import Ended
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")

COLUMNS = ("--text", "text", "--label", "label")


@pytest.fixture(autouse=True)
def without_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspicious_labels, "is_installed", lambda package: False)
    monkeypatch.setenv("COLUMNS", "200")


def test_figures_labels_and_findings_are_shown_and_files_written(enct5: Callable[..., Ended], tmp_path: Path) -> None:
    rows = messages_with({4: {"text": "[b]odd[/b]", "label": "refund"}, 9: {"text": "[B]odd[/b]", "label": "delivery"}})
    source = write_rows(tmp_path / "rows.jsonl", rows)
    page, copy = tmp_path / "page.html", tmp_path / "copy.csv"
    status, shown, err = enct5("check", source, *COLUMNS, "--html", page, "--fix", copy)
    assert (status, err) == (0, "")
    assert re.search(r"task +single-label classification.*`label` holds one class a row", shown)
    assert re.search(r"rows +60\b", shown)
    assert re.search(r"│ refund +│ 20 +│ 33\.3% │", shown)
    assert "warning: 1 repeated text with different labels, in 2 rows (4, 9); correct them" in shown
    assert f"\npage: {page}\ncleaned copy: {copy}, 60 of 60 rows: " in shown
    assert "task:" not in shown  # what training logs of the same is not said twice
    assert "[b]odd[/b]" in page.read_text(encoding="utf-8")
    assert '[b]odd[/b],refund,"same text, other label"' in copy.read_text(encoding="utf-8")


def test_what_training_refuses_is_shown_and_refused_last(enct5: Callable[..., Ended], tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", messages_with({4: {"text": None}, 9: {"label": None}}))
    status, shown, err = enct5("check", source, *COLUMNS, "--fix", tmp_path / "copy.jsonl")
    assert status == 2
    assert "warning: no text in row 4, which training refuses" in shown
    assert "warning: no label in row 9, which training refuses" in shown
    assert err == (
        "enct5: column `text` of rows.jsonl lacks the text in 1 of 60 rows (first: row 4); fill it in or remove "
        "the rows\n"
    )
    assert enct5("check", tmp_path / "copy.jsonl", *COLUMNS).status == 0


def test_many_labels_are_told_in_one_line(enct5: Callable[..., Ended], tmp_path: Path) -> None:
    rows = [{"text": f"text {row}", "label": f"name {row % 40}"} for row in range(100)]
    status, shown, _ = enct5("check", write_rows(tmp_path / "rows.jsonl", rows), *COLUMNS)
    assert status == 0
    assert re.search(r"texts a label +2 to 3, of 40 labels", shown)
    assert "│" not in shown


def test_evaluation_texts_are_held_against_the_data(enct5: Callable[..., Ended], tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", messages_with({}))
    held = write_rows(tmp_path / "held.jsonl", [*messages_with({})[:3], {"text": "new", "label": "privacy"}])
    status, _, err = enct5("check", source, *COLUMNS, "--eval", held)
    assert status == 2
    assert "held.jsonl has labels that the model is not trained on in 1 of 4 rows" in err
    status, shown, _ = enct5("check", source, *COLUMNS, "--eval", held, "--skip-unknown-labels")
    assert status == 0
    assert "warning: 3 of the 3 texts of held.jsonl are in rows.jsonl, too, in 3 rows (1, 2, 3)" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.csv", *COLUMNS], "no file `nothing.csv`"),
        (["good.csv", "--text", "txt", "--label", "label"], "no column `txt` in good.csv; did you mean `text`?"),
        (["few.csv", *COLUMNS], "cannot hold out 10% of 3 rows"),
        (["good.csv", *COLUMNS, "--fix", "good.csv"], "good.csv is there already; choose another file"),
        (["good.csv", *COLUMNS, "--html", "empty"], "cannot write empty: it is a folder; name a file to write"),
        (["good.csv", *COLUMNS, "--base", "bert"], "bert is a checkpoint of type 'bert'; EncT5 is built from T5"),
        (["good.csv", *COLUMNS, "--max-length", "1"], "Input should be greater than or equal to 2 (given: `1`)"),
        (["good.csv", "--text", "text"], "Missing option '--label'"),
    ],
)
def test_mistakes_end_with_one_line(
    enct5: Callable[..., Ended], place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(place)
    before = sorted(path.name for path in place.iterdir())
    status, _, err = enct5("check", *arguments)
    assert status == 2
    assert err.startswith("enct5: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(path.name for path in place.iterdir()) == before
