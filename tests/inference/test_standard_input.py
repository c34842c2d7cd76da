"""Predictions from standard input, and to standard output."""

import csv
import io
from pathlib import Path

import pytest

from enct5.data import locating
from enct5.data.reading import read_table
from enct5.errors import EncT5Error
from enct5.inference import prediction_file
from enct5.inference.prediction_file import predict_table
from helpers.command import feed
from helpers.echo import Echo
from helpers.tables import TEXTS, write


@pytest.fixture(autouse=True)
def new_stream() -> None:
    """A process has one standard input, and keeps what came by it."""
    locating._kept.cache_clear()


def test_without_an_output_csv_goes_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = write(tmp_path / "in.csv", {"text": TEXTS})
    predict_table(Echo(), str(given), None, None)
    written = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(written.out, newline="")))
    assert [row["text"] for row in rows] == TEXTS
    assert [row["label"] for row in rows] == [f"<{text}>" for text in TEXTS]
    assert written.err.splitlines() == [
        "note: 2.4% of the characters of 14 texts are unknown to the model's tokenizer, most often 🙂 ä 我"
    ]


@pytest.mark.parametrize("trained_with", [("text",), ("message",), ()])
def test_every_line_of_standard_input_is_a_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained_with: tuple[str, ...]
) -> None:
    feed(monkeypatch, 'erste, "Zeile"\r\n\nü  \nlast'.encode())
    predict_table(Echo(text=trained_with), "-", None, tmp_path / "out.csv")
    table = read_table(str(tmp_path / "out.csv"))
    assert table.column_names == ["text", "label", "score"]
    assert table["text"][:] == ['erste, "Zeile"', "", "ü  ", "last"]
    assert table["label"][:] == ['<erste, "Zeile">', "<>", "<ü  >", "<last>"]


def test_lines_are_no_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b"one text\n")
    with pytest.raises(EncT5Error, match="the model was trained on `question` and `answer`; give it pairs of texts"):
        predict_table(Echo(text=("question", "answer")), "-", None, None)


def test_a_byte_order_mark_is_no_part_of_the_first_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 1)
    feed(monkeypatch, "\ufeffa\n\ufeffb\n".encode())
    predict_table(Echo(), "-", None, None)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert [(row["text"], row["label"]) for row in rows] == [("a", "<a>"), ("\ufeffb", "<\ufeffb>")]


def test_some_lines_make_no_frame_without_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(prediction_file, "write_csv", lambda frame, file, header: written.append(len(frame)))
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 2)
    feed(monkeypatch, b"a\nb\nc\n")
    predict_table(Echo(), "-", None, None)
    assert written == [2, 1]


def test_no_lines_give_the_column_names_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(monkeypatch, b"")
    predict_table(Echo(), "-", None, None)
    assert capsys.readouterr().out == "text,label,score\n"


def test_lines_that_are_not_utf8_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b"good\nb\xe4d\n")
    with pytest.raises(EncT5Error, match="standard input is not UTF-8"):
        predict_table(Echo(), "-", None, None)
    # as Python reads it in the locale C
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"good\nb\xe4d\n"), "utf-8", "surrogateescape"))
    with pytest.raises(EncT5Error, match="standard input is not UTF-8"):
        predict_table(Echo(), "-", None, None)


def test_standard_input_is_a_table_where_a_column_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(monkeypatch, b"id,words\n1,parcels\n2,invoice\n")
    predict_table(Echo(), "-", ("words",), None)
    assert capsys.readouterr().out == "id,words,label,score\n1,parcels,<parcels>,1.0\n2,invoice,<invoice>,1.0\n"


def test_a_header_of_one_column_is_no_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    feed(monkeypatch, b"text\nparcels\ninvoice\n")
    predict_table(Echo(), "-", ("text",), None)
    assert capsys.readouterr().out == "text,label,score\nparcels,<parcels>,1.0\ninvoice,<invoice>,1.0\n"


def test_a_column_that_standard_input_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b"id,words\n1,parcels\n2,invoice\n")
    with pytest.raises(EncT5Error, match=r"no column `text` in - \(columns: id, words\)"):
        predict_table(Echo(), "-", ("text",), None)
