"""Copies, contradictions, leakage: found by the rows' own numbers, and shown with what they are copies of."""

from pathlib import Path

from enct5.checking import copies, near_duplicates
from enct5.checking.report import Finding
from helpers.checked import checked, kinds, messages_with
from helpers.tables import write_rows

LONG = "the green chair that I ordered for my mother has not arrived yet"


def everywhere(table: object) -> list[int]:
    return list(range(len(table.labelled)))  # type: ignore[attr-defined]


def test_copies_with_one_label_and_with_several_are_told_apart(tmp_path: Path) -> None:
    changes = {
        4: {"text": "Late  parcel", "label": "delivery"},
        6: {"text": None},  # numbers stay those of the file
        20: {"text": "late parcel", "label": "delivery"},
        30: {"text": "odd one", "label": "delivery"},
        41: {"text": "Odd one", "label": "refund"},
        42: {"text": "odd one", "label": "refund"},
        51: {"text": "LATE PARCEL", "label": "delivery"},
    }
    table = checked(tmp_path, messages_with(changes))
    contradictions, duplicates = copies.repeated(table, everywhere(table))
    assert (contradictions.kind, contradictions.rows) == ("contradictions", [30, 41, 42])
    assert contradictions.said.startswith("warning: 1 repeated text with different labels, in 3 rows (30, 41, 42); ")
    assert [(one["Row"], one["Label"], one["Copy of row"]) for one in contradictions.records] == [
        (30, "delivery", ""),
        (41, "refund", 30),
        (42, "refund", 30),
    ]
    assert (duplicates.kind, duplicates.rows) == ("duplicates", [20, 51])
    assert duplicates.said.startswith("2 rows (20, 51) repeat text and label of an earlier one ")
    assert [(one["Row"], one["Text"]) for one in duplicates.records] == [
        (4, "Late  parcel"),
        (20, "late parcel"),
        (51, "LATE PARCEL"),
    ]
    assert [table.rows[place] + 1 for place in copies.superfluous(table, everywhere(table))] == [20, 51]


def test_nothing_is_said_of_texts_that_differ(tmp_path: Path) -> None:
    table = checked(tmp_path, messages_with({}))
    assert copies.repeated(table, everywhere(table)) == []
    assert copies.leaked(table, everywhere(table)) == []


def test_near_duplicates_are_shown_beside_what_they_repeat(tmp_path: Path) -> None:
    changes = {8: {"text": LONG, "label": "delivery"}, 33: {"text": LONG + "!", "label": "refund"}}
    table = checked(tmp_path, messages_with(changes))
    found = [one for one in copies.nearly_repeated(table, everywhere(table)) if 33 in one.rows]
    (record,) = (one for one in found[0].records if one["Row"] == 33)
    assert (record["Like row"], record["Label"], record["Label there"]) == (8, "refund", "delivery")
    assert (record["Text"], record["Text there"]) == (LONG + "!", LONG)
    assert near_duplicates.ALIKE_FROM <= record["Cosine"] < 1


def test_a_limit_is_told(tmp_path: Path, monkeypatch) -> None:
    table = checked(tmp_path, messages_with({}))
    monkeypatch.setattr(near_duplicates, "_MOST_CHARACTERS", 60)
    notes = [one.said for one in copies.nearly_repeated(table, everywhere(table)) if one.kind == "note"]
    assert len(notes) == 1
    assert notes[0].startswith("near-duplicates are looked for among the first ")
    assert " of 60 different texts" in notes[0]


def test_texts_that_are_in_both_files_are_told_with_their_labels(tmp_path: Path) -> None:
    rows = messages_with({5: {"text": LONG, "label": "delivery"}, 9: {"text": "quite another", "label": "refund"}})
    held = [
        {"text": LONG.upper(), "label": "refund"},
        {"text": "Quite another", "label": "refund"},
        {"text": LONG + "!", "label": "delivery"},
        {"text": "nobody has said this before", "label": "delivery"},
        {"text": "  ", "label": "delivery"},
    ]
    table = checked(tmp_path, rows, eval=write_rows(tmp_path / "held.jsonl", held))
    exact, near = copies.leaked(table, everywhere(table))
    assert kinds([exact, near]) == {"leakage": [5, 9], "near_leakage": [5]}
    assert exact.said == (
        "warning: 2 of the 5 texts of held.jsonl are in rows.jsonl, too, in 2 rows (5, 9); figures on them are too "
        "good: evaluate on others"
    )
    assert [(one["Row"], one["Label"], one["Label there"]) for one in exact.records] == [
        (5, "delivery", "refund"),
        (9, "refund", "refund"),
    ]
    assert [one["Text there"] for one in near.records] == [LONG + "!"]
    assert "too, but for little (cosine 0.9 or more" in near.said


def test_lists_of_words_and_pairs_are_compared_as_they_are_read(tmp_path: Path) -> None:
    rows = [{"text": f"question {row}", "reply": f"answer {row}", "label": "ab"[row % 2]} for row in range(20)]
    rows[12] |= {"text": "question 2", "reply": "Answer  2", "label": "a"}
    table = checked(tmp_path, rows, text=("text", "reply"))
    (found,) = copies.repeated(table, everywhere(table))
    assert (found.kind, found.rows) == ("duplicates", [13])
    assert found.records[0]["Text"] == "question 2 | answer 2"
    tagged = [{"text": ["w", str(row)], "label": ["O", "B-x"]} for row in range(20)]
    tagged[7] = {"text": ["w", "3"], "label": ["B-x", "O"]}
    table = checked(tmp_path, tagged)
    (found,) = copies.repeated(table, everywhere(table))
    assert (found.kind, found.rows) == ("contradictions", [4, 8])
    assert [one["Label"] for one in found.records] == ["1-2 x", "0-1 x"]


def test_findings_hold_no_texts(tmp_path: Path) -> None:
    held = write_rows(tmp_path / "held.jsonl", [{"text": LONG, "label": "refund"}])
    rows = messages_with({5: {"text": LONG}, 9: {"text": LONG, "label": "refund"}, 10: {"text": LONG + "!"}})
    table = checked(tmp_path, rows, eval=held)
    found: list[Finding] = [
        *copies.repeated(table, everywhere(table)),
        *copies.nearly_repeated(table, everywhere(table)),
        *copies.leaked(table, everywhere(table)),
    ]
    assert {"contradictions", "near_duplicates", "leakage"} <= kinds(found).keys()
    assert not any("green chair" in one.said for one in found)
