"""Columns that are named are made of what a table holds; rows that an annotator rejected are left out."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from enct5.data.any_values import table_of_objects
from enct5.data.columns import check_columns
from enct5.data.reading import read_table
from enct5.data.shaping import with_labels, with_texts
from enct5.errors import EncT5Error
from enct5.tasks.labelled import infer_task


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="enct5")
    return caplog


def labels(rows: list[dict[str, Any]], label: str, text: str = "text", separator: str | None = None) -> list[Any]:
    table, _ = with_labels(table_of(rows), [text], label, separator, "a.jsonl")
    return list(table[label][:])


def table_of(rows: list[dict[str, Any]]) -> Dataset:
    return table_of_objects(rows, "a.jsonl")


def test_dotted_paths() -> None:
    """Of any depth; names with a dot of their own count first, and rows may lack a part of the way."""
    rows = [
        {"data": {"text": "a", "deep": {"er": 1}}, "meta": {"label": "x"}, "v.1": {"y": "b"}},
        {"data": {"text": "c"}, "meta": None, "v.1": {"y": "d"}},
    ]
    table = with_texts(table_of(rows), ["data.text", "v.1.y"], "a.jsonl")
    assert (table["data.text"][:], table["v.1.y"][:]) == (["a", "c"], ["b", "d"])
    assert labels(rows, "meta.label", "data.text") == ["x", None]
    assert labels(rows, "data.deep.er", "data.text") == [1, None]
    with pytest.raises(EncT5Error, match=r"no column `text` .*; it is within objects: name it `data.text`"):
        check_columns(table_of(rows), "a.jsonl", ["text"], None)
    with pytest.raises(EncT5Error, match=r"no column `data.txt`"):
        check_columns(with_texts(table_of(rows), ["data.txt"], "a.jsonl"), "a.jsonl", ["data.txt"], None)


@pytest.mark.parametrize(("yes", "no"), [(1, 0), ("1", "0"), (True, False), ("TRUE", "FALSE"), (1.0, 0.0), ("x", "")])
def test_a_column_for_each_label(yes: Any, no: Any, said: pytest.LogCaptureFixture) -> None:
    rows = [
        {"text": "a", "late": yes, "rude": no},
        {"text": "b", "late": yes, "rude": yes},
        {"text": "c", "late": no, "rude": no},
    ]
    assert labels(rows, "late, rude") == [["late"], ["late", "rude"], []]
    assert said.messages == ["a.jsonl: labels are read from 2 columns, a column a label"]


def test_numbers_in_several_columns_are_targets() -> None:
    rows = [{"text": "a", "late": "0.5", "rude": 0}, {"text": "b", "late": 1, "rude": 0.25}]
    assert labels(rows, "late,rude") == [[0.5, 0], [1, 0.25]]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (-1, "column `rude` of a.jsonl, row 1: `-1` is neither 1 .* nor 0"),
        (3, "row 1: `3` is neither"),
        ("maybe", "row 1: `maybe` is neither"),
        ("", "column `rude` of a.jsonl lacks its 0 or 1 in row 1; fill it in"),
        (None, "column `rude` of a.jsonl lacks its 0 or 1 in row 1; fill it in"),
    ],
)
def test_what_is_no_mark_is_named(cell: Any, message: str) -> None:
    rows = [{"text": "a", "late": 1, "rude": cell}, {"text": "b", "late": 1, "rude": 0}]
    with pytest.raises(EncT5Error, match=message):
        labels(rows, "late,rude")


def test_objects_of_categories(said: pytest.LogCaptureFixture) -> None:
    """As spaCy has them; null and what is absent is no label."""
    rows = [
        {"text": "a", "cats": {"late": 1.0, "rude": 0.0}},
        {"text": "b", "cats": None},
        {"text": "c", "cats": {"rude": True}},
    ]
    assert labels(rows, "cats") == [["late"], [], ["rude"]]
    assert said.messages == ["a.jsonl: column `cats` holds labels that are 1 in an object, as spaCy's categories"]
    with pytest.raises(EncT5Error, match=r"column `cats`, row 1: `late` is `0.7`, neither 1"):
        labels([{"text": "a", "cats": {"late": 0.7}}], "cats")
    csv = [{"text": "a", "cats": '{"late": 1, "rude": 0}'}, {"text": "b", "cats": ""}]
    assert labels(csv, "cats") == [["late"], []]


def test_absent_lists_are_no_labels_and_told() -> None:
    for rows in (
        [{"text": "a", "tags": ["x"]}, {"text": "b", "tags": None}, {"text": "c"}],
        [{"text": "a", "tags": '["x"]'}, {"text": "b", "tags": ""}, {"text": "c", "tags": " "}],
    ):
        table, notes = with_labels(table_of(rows), ["text"], "tags", None, "a.jsonl")
        assert table["tags"][:] == [["x"], [], []]
        assert notes == ["labels are absent from 2 rows (2, 3), which counts as none"]
        check_columns(table, "a.jsonl", ["text"], "tags")
    rows = [{"text": "a", "tags": "x;y"}, {"text": "b", "tags": None}]
    table, notes = with_labels(table_of(rows), ["text"], "tags", ";", "a.jsonl")
    assert (table["tags"][:], len(notes)) == (["x;y", ""], 1)


def test_absent_values_that_are_no_labels_stay_absent() -> None:
    """Of single labels, and of lists of numbers to predict."""
    for values in (["x", None], [[0.5, 1.5], None]):
        assert labels([{"text": "a", "label": value} for value in values], "label") == values


SPANS = [{"start": 0, "end": 4, "label": "who"}, {"start": 10, "end": 14, "label": "where"}]


@pytest.mark.parametrize(
    ("spans", "tool"),
    [
        (SPANS, None),
        ([[0, 4, "who"], [10, 14, "where"]], "doccano and spaCy"),
        ([["who", 0, 4], ["where", 10, 14]], "Argilla"),
        (
            [{"id": 3, "start_offset": s["start"], "end_offset": s["end"], "label": s["label"]} for s in SPANS],
            "doccano",
        ),
        ([{"start": s["start"], "end": s["end"], "labels": [s["label"]]} for s in SPANS], "Label Studio"),
        ([{"start": float(s["start"]), "end": float(s["end"]), "entity_group": s["label"]} for s in SPANS], None),
        ([{"begin": s["start"], "end": s["end"], "type": s["label"]} for s in SPANS], None),
        ([*SPANS, SPANS[0]], None),
        ({"entities": [[0, 4, "who"], [10, 14, "where"]]}, "doccano and spaCy"),
        ("[[0, 4, 'who'], [10, 14, 'where']]", "doccano and spaCy"),
        ("[(0, 4, 'who'), (10, 14, 'where')]", "doccano and spaCy"),
        (json.dumps(SPANS), None),
    ],
)
def test_spans_of_every_tool(spans: Any, tool: str | None, said: pytest.LogCaptureFixture) -> None:
    found = labels([{"text": "Anna is in Ulm", "found": spans}], "found")
    assert found == [SPANS]
    assert said.messages == ([f"a.jsonl: column `found` holds entities, as in exports of {tool}"] if tool else [])
    table, _ = with_labels(table_of([{"text": "Anna is in Ulm", "found": spans}]), ["text"], "found", None, "a.jsonl")
    assert infer_task(table, "found").alias == "tokens"


def test_spans_named_twice_are_told_and_their_own_text_stays() -> None:
    spans = [SPANS[0] | {"text": "Anna"}, SPANS[0] | {"text": "Anna"}]
    table, notes = with_labels(table_of([{"text": "Anna", "found": spans}]), ["text"], "found", None, "a.jsonl")
    assert table["found"][:] == [[SPANS[0] | {"text": "Anna"}]]
    assert notes == ["an entity is named more than once in row 1, and counts once"]
    with pytest.raises(EncT5Error, match=r"row 1: .* has 2 labels; a word can have one label only"):
        labels([{"text": "Anna", "found": [{"start": 0, "end": 4, "labels": ["who", "what"]}]}], "found")


@pytest.mark.parametrize(
    ("tags", "wanted", "written"),
    [
        (["B-who", "I-who", "O", "B-where"], ["B-who", "I-who", "O", "B-where"], None),
        (["B_who", "I_who", "O", "B_where"], ["B-who", "I-who", "O", "B-where"], "tags with `_`"),
        (["who", "who", "O", "where"], ["I-who", "I-who", "O", "I-where"], "tags without a prefix: neighbouring"),
        (["B-who", "who", "O", "O"], ["B-who", "who", "O", "O"], None),
        (["NOUN", "NOUN", "VERB", "NOUN"], ["NOUN", "NOUN", "VERB", "NOUN"], None),
    ],
)
def test_tags_of_words(tags: list[str], wanted: list[str], written: str | None, said: pytest.LogCaptureFixture) -> None:
    assert labels([{"words": ["Anna", "Roth", "visits", "Ulm"], "tags": tags}], "tags", "words") == [wanted]
    assert [written in line for line in said.messages] == ([True] if written else [])
    assert labels([{"words": "no words", "tags": tags}], "tags", "words") == [tags]


def test_numbers_of_tags_are_refused_with_the_remedy() -> None:
    with pytest.raises(EncT5Error, match=r"numbers of tags \(`\[1, 0\]`\) without the names of these; write the names"):
        labels([{"words": ["Anna", "ran"], "tags": [1, 0]}], "tags", "words")


@pytest.mark.parametrize("values", [["{'choices': 1}", "(a)"], ["[a", "b]"], ["{", "["], ["a", "b"], [1, 2], ["", "a"]])
def test_other_labels_stay_as_they_are(values: list[Any], said: pytest.LogCaptureFixture) -> None:
    table = table_of([{"text": "t", "label": value} for value in values])
    assert with_labels(table, ["text"], "label", None, "a.jsonl") == (table, [])
    assert said.messages == []


def test_rows_that_an_annotator_rejected_are_left_out_and_told() -> None:
    """Only where the column is no text and no label, and holds nothing but answers."""
    rows = {"text": list("abcd"), "label": list("xyxy"), "answer": ["accept", "reject", "accept", "ignore"]}
    table, notes = with_labels(Dataset.from_dict(rows), ["text"], "label", None, "a.jsonl")
    assert (table["text"][:], table["label"][:]) == (["a", "c"], ["x", "x"])
    assert notes == ["2 rows (2, 4) whose `answer` is reject or ignore are left out; what follows numbers the rest"]
    for answers in (["accept", "reject", "accept", "no idea"], ["accept"] * 4, [None, "accept", "reject", "accept"]):
        kept, _ = with_labels(Dataset.from_dict(rows | {"answer": answers}), ["text"], "label", None, "a.jsonl")
        assert len(kept) == 4
    assert len(with_labels(Dataset.from_dict(rows), ["text"], "answer", None, "a.jsonl")[0]) == 4


def test_a_column_of_entities_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Anna", "entities": [[0, 4, "who"]]}\n')
    with pytest.raises(EncT5Error, match=r"no column `label` .*\(columns: text, entities\); `entities` holds entities"):
        check_columns(read_table(str(tmp_path / "a.jsonl")), "a.jsonl", ["text"], "label")
