"""JSON in one piece: rows where they are, columns as pandas writes them, and the exports of labelling tools."""

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from enct5.data.columns import rejected
from enct5.data.reading import read_table
from enct5.errors import EncT5Error

ROWS = [{"text": "late", "label": "bad"}, {"text": "fine", "label": "good"}]


def write(path: Path, content: Any) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"version": 1, "data": ROWS}, "from the rows under `data`"),
        ({"a": {"b": {"c": ROWS}}, "d": 1}, "from the rows under `a.b.c`"),
        (pd.DataFrame(ROWS).to_json(), "column by column"),
        (pd.DataFrame(ROWS).to_json(orient="index"), "row by row, without their numbers"),
        (pd.DataFrame(ROWS).to_json(orient="split"), "by `columns` and `data`"),
        (pd.DataFrame(ROWS).to_json(orient="table", index=False), "from the rows under `data`"),
        ({"text": ["late", "fine"], "label": ["bad", "good"]}, "column by column"),
        (json.dumps({"data": ROWS}, indent=2), "from the rows under `data`"),
    ],
)
def test_where_rows_are(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: Any, said: str) -> None:
    caplog.set_level(logging.INFO, logger="enct5")
    source = write(tmp_path / "a.json", content)
    table = read_table(source).select_columns(["text", "label"])
    assert table.to_list() == ROWS
    assert caplog.messages == [f"{source}: read {said}"]


def test_one_of_several_lists(tmp_path: Path) -> None:
    source = write(tmp_path / "a.json", {"train": ROWS, "test": ROWS[:1]})
    with pytest.raises(EncT5Error, match=r"holds 2 lists of rows \(train, test\); name one, as in `.*a.json:train`"):
        read_table(source)
    assert len(read_table(f"{source}:test")) == 1
    with pytest.raises(EncT5Error, match=r"no list of rows `tests` in .*; did you mean `test`"):
        read_table(f"{source}:tests")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"columns": ["text"], "data": [["a"], ["b", "c"]]}, "row 2 of `data` has not as many values as"),
        ({"text": ["a", "b"], "label": ["c"]}, r"columns of different lengths \(`text` 2, `label` 1\)"),
        ({"x": {"a": 1, "b": 2}, "y": {"a": 3, "b": 4}}, "whose keys do not tell rows from columns"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        read_table(write(tmp_path / "a.json", content))


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_one_row_stays_one_row(tmp_path: Path, name: str) -> None:
    row = {"text": "Anna", "entities": [{"start": 0, "end": 4, "label": "who"}]}
    assert read_table(write(tmp_path / name, json.dumps(row) + "\n"))[0] == row


PAIRS = [["Anna ran", {"entities": [[0, 4, "who"]]}], ["so", {"entities": []}]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", PAIRS),
        ("a.jsonl", "".join(json.dumps(pair) + "\n" for pair in PAIRS)),
        ("a.json", {"classes": ["WHO"], "annotations": [*PAIRS, None]}),
    ],
)
def test_examples_of_spacy(tmp_path: Path, name: str, content: Any) -> None:
    """In a list, a line each, and as NER Annotator has them, with texts that were passed over."""
    table = read_table(write(tmp_path / name, content))
    assert table["text"][:] == ["Anna ran", "so"]
    assert table["entities"][:] == [[[0, 4, "who"]], []]


def result(kind: str, name: str, **value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": kind, "value": value}


def task(text: str, *annotations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"text": text}, "annotations": [{"result": one, **more} for one in annotations]}


WHO = result("labels", "found", start=0, end=4, text="Anna", labels=["who"])


def test_label_studio(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Spans and choices by the names of their controls; a task that nobody answered is marked."""
    caplog.set_level(logging.INFO, logger="enct5")
    tasks = [
        task(
            "Anna ran",
            [WHO, result("choices", "mood", choices=["good"]), result("choices", "tags", choices=["a", "b"])],
        ),
        task("so", [result("choices", "mood", choices=["bad"])]),
        task("skipped", [WHO], was_cancelled=True),
        task("untouched"),
    ]
    source = write(tmp_path / "a.json", tasks)
    table = read_table(source)
    assert caplog.messages == [f"{source}: read as an export of Label Studio"]
    span = {"start": 0, "end": 4, "label": ["who"], "text": "Anna"}
    assert table["found"][:] == [[span], [], None, None]
    assert table["mood"][:] == ["good", "bad", None, None]
    assert table["tags"][:] == [["a", "b"], [], None, None]
    assert rejected(table, ["text", "mood"]) == [2, 3]


def test_annotations_that_differ_are_refused(tmp_path: Path) -> None:
    """Unless one is the ground truth, or they say the same."""
    other = result("labels", "found", start=5, end=8, text="ran", labels=["what"])
    with pytest.raises(EncT5Error, match=r"a.json, item 2 has 2 annotations that differ; mark one as the ground truth"):
        read_table(write(tmp_path / "a.json", [task("so", []), task("Anna ran", [WHO], [other])]))
    twice = task("Anna ran", [WHO], [other])
    twice["annotations"][1]["ground_truth"] = True
    for given in (twice, task("Anna ran", [other], [other])):
        assert read_table(write(tmp_path / "a.json", [given]))["found"][0][0]["start"] == 5


@pytest.mark.parametrize(
    "rows",
    [
        [
            {"fields": {"text": "late"}, "responses": {"label": [{"value": "bad", "status": "submitted"}]}},
            {"fields": {"text": "fine"}, "responses": {"label": [{"value": "good", "status": "discarded"}]}},
        ],
        [
            {"text": "late", "label.responses": ["bad"], "label.responses.status": ["submitted"]},
            {"text": "fine", "label.responses": None, "label.responses.status": None},
        ],
        [
            {"text": "late", "prediction": None, "label": "bad", "annotation": "bad", "status": "Validated"},
            {"text": "fine", "prediction": "good", "label": None, "annotation": None, "status": "Default"},
        ],
    ],
)
def test_argilla(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Of its second version as records and as a table, and of its first."""
    table = read_table(write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    assert table["text"][:] == ["late", "fine"]
    assert table["label"][:] == ["bad", None]
    assert rejected(table, ["text", "label"]) == [1]


def test_responses_that_differ_are_refused(tmp_path: Path) -> None:
    row = {"id": "r1", "fields": {"text": "late"}, "responses": {"label": [{"value": "bad"}, {"value": "good"}]}}
    with pytest.raises(EncT5Error, match="question `label`, record `r1`: 2 responses that differ; keep one of them"):
        read_table(write(tmp_path / "a.jsonl", json.dumps(row) + "\n"))
