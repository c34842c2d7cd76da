"""What is read for a check is what training reads, without the rows that it would refuse, by their numbers."""

from pathlib import Path

import pytest

from enct5.checking.table import read
from enct5.errors import EncT5Error
from enct5.runs import settings_of
from enct5.training.data import read_rows
from helpers.checked import checked, messages_with
from helpers.runs import messages
from helpers.tables import write_rows


def test_rows_are_read_as_for_training_in_their_order(tmp_path: Path) -> None:
    rows = messages(40)
    table = checked(tmp_path, rows)
    assert table.rows == list(range(40))
    assert table.labelled.texts == [row["text"] for row in rows]
    assert table.labelled.values == [row["label"] for row in rows]
    assert table.refusal is None
    wanted = read_rows(settings_of(str(tmp_path / "rows.jsonl"), None, None, text="text", label="label"))
    assert table.read.split.train.texts == wanted.split.train.texts
    assert table.read.notes == wanted.notes


def test_rows_without_text_or_label_are_left_out_and_training_refuses_them(tmp_path: Path) -> None:
    table = checked(tmp_path, messages_with({3: {"text": None}, 7: {"label": ""}, 9: {"label": None}}))
    assert (table.without_text, table.without_label) == ([2], [6, 8])
    assert table.rows == [row for row in range(60) if row not in (2, 6, 8)]
    assert len(table.labelled) == 57
    with pytest.raises(EncT5Error) as refused:
        read_rows(settings_of(str(tmp_path / "rows.jsonl"), None, None, text="text", label="label"))
    assert str(table.refusal) == str(refused.value).replace(str(tmp_path / "rows.jsonl"), "rows.jsonl")


def test_rows_that_an_annotator_rejected_are_left_out(tmp_path: Path) -> None:
    rows = [{**row, "answer": "reject" if number in (1, 4) else "accept"} for number, row in enumerate(messages(30))]
    rows[6]["text"] = None
    table = checked(tmp_path, rows)
    assert (table.rejected, table.without_text) == ([1, 4], [6])
    assert table.rows == [row for row in range(30) if row not in (1, 4, 6)]


def test_the_first_thing_to_mend_is_told_where_the_rest_is_refused_too(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": None}, {"text": "c", "label": "x"}]
    with pytest.raises(
        EncT5Error, match=r"column `label` of rows.jsonl lacks the label in 1 of 3 rows \(first: row 2\)"
    ):
        checked(tmp_path, rows)
    with pytest.raises(EncT5Error, match="lacks the text in 2 of 2 rows"):
        checked(tmp_path, [{"text": None, "label": "x"}] * 2)


@pytest.mark.parametrize(
    ("settings", "label", "why"),
    [
        ({}, "late", "`label` holds one class a row"),
        ({}, ["late", "wet"], "`label` holds any number of labels a row"),
        ({"task": "single"}, "late", "as --task says"),
        ({"label_separator": "+"}, "late+wet", "as --label-separator says"),
        ({}, 0.25, "`label` holds numbers"),
    ],
)
def test_it_is_said_what_tells_the_task(tmp_path: Path, settings: dict[str, str], label: object, why: str) -> None:
    others = {float: 0.5, str: "dry", list: ["wet"]}[type(label)]
    rows = [{"text": f"text {row}", "label": label if row % 2 else others} for row in range(24)]
    assert checked(tmp_path, rows, **settings).why == why


def test_delimiters_and_encodings_are_the_users(tmp_path: Path) -> None:
    for name in ("data.csv", "held.csv"):
        text = "".join(f"größer {row}|{'ab'[row % 2]}\n" for row in range(20))
        (tmp_path / name).write_bytes(f"text|label\n{text}".encode("cp1252"))
    given = {"text": "text", "label": "label", "delimiter": "|", "encoding": "cp1252"}
    table = read(settings_of(str(tmp_path / "data.csv"), None, str(tmp_path / "held.csv"), **given))
    assert table.labelled.texts[0] == "größer 0"
    assert table.evaluation is not None
    assert len(table.evaluation) == 20
    assert (table.source, table.config.eval) == ("data.csv", "held.csv")


def test_tables_of_a_program_are_taken_as_for_training() -> None:
    texts = [f"text {row}" for row in range(20)]
    table = read(settings_of(texts, ["a", "b"] * 10, (texts[:4], ["a", "b"] * 2)))
    assert table.labelled.texts == texts
    assert table.evaluation is not None
    assert table.evaluation.texts == texts[:4]


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from enct5.checking import table
    from enct5.data import reading

    read_files: list[str] = []

    def counted(source: str, *options: object) -> object:
        read_files.append(str(source))
        return reading.read_table(source, *options)

    source = write_rows(tmp_path / "rows.jsonl", messages_with({3: {"text": None}}))
    monkeypatch.setattr(table, "read_table", counted)
    read(settings_of(source, None, None, text="text", label="label"))
    assert read_files == [source]
