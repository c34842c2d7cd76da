"""A delimiter is what alone fits all rows, a file's own word or the user's; where several fit, it is asked for."""

import logging
from pathlib import Path

import pytest

from enct5.data.data_file import ReadOptions
from enct5.data.reading import read_table
from enct5.errors import EncT5Error

ROWS = [["text", "label"], ["late, again", "bad"], ["fine", "good"]]


def write(path: Path, rows: list[list[str]], delimiter: str) -> str:
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.tab", "a.psv", "a.txt"])
@pytest.mark.parametrize(("delimiter", "said"), [(";", "`;`"), ("|", "`|`"), ("\t", "a tab")])
def test_a_delimiter_is_found_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, delimiter: str, said: str
) -> None:
    caplog.set_level(logging.INFO, logger="enct5")
    source = write(tmp_path / name, ROWS, delimiter)
    assert read_table(source).to_dict() == {"text": ["late, again", "fine"], "label": ["bad", "good"]}
    is_default = delimiter == "\t" and name in ("a.tsv", "a.tab")
    assert caplog.messages == ([] if is_default else [f"{source}: read with {said} between fields"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_quoted_fields_hold_any_other(tmp_path: Path, delimiter: str) -> None:
    source = write(tmp_path / "a.csv", [["text", "label"], ['"a;b,c|d\te\n""f"""', "x"], ['"g"', "y"]], delimiter)
    assert read_table(source)["text"][:] == ['a;b,c|d\te\n"f"', "g"]


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
def test_a_line_that_names_the_delimiter(tmp_path: Path, line: str) -> None:
    """Which is no row: lines and rows of messages count as in the file."""
    path = tmp_path / "a.csv"
    path.write_text(f'{line}\ntext;label\n"a, b";x\nc,d;y\n')
    assert read_table(str(path)).to_dict() == {"text": ["a, b", "c,d"], "label": ["x", "y"]}
    path.write_text(f'{line}\ntext;label\na;x\n"b;y\n')
    with pytest.raises(EncT5Error, match=r"line 4: the quote before `b;y` is never closed"):
        read_table(str(path))
    with pytest.raises(EncT5Error, match=r"says `.*(sep|SEP)=;.*`, not --delimiter `,`; leave the option out"):
        read_table(str(path), ReadOptions(delimiter=","))


def test_where_several_fit_it_is_asked_for(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", [["a;b", "c"], ["1;2", "3"]], ",")
    with pytest.raises(EncT5Error, match=r"can be separated by `,` and `;` alike; say by which with --delimiter"):
        read_table(source)
    assert read_table(source, ReadOptions(delimiter=","))[0] == {"a;b": "1;2", "c": "3"}
    assert read_table(source, ReadOptions(delimiter=";"))[0] == {"a": "1", "b,c": "2,3"}


def test_the_name_of_one_column_may_hold_a_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("which; and why\nlate\nagain\n")
    assert read_table(str(path))["which; and why"][:] == ["late", "again"]


@pytest.mark.parametrize(("given", "meant"), [(";", ";"), ("semicolon", ";"), ("Tab", "\t"), ("\\t", "\t"), ("~", "~")])
def test_the_users_word(tmp_path: Path, given: str, meant: str) -> None:
    source = write(tmp_path / "a.csv", ROWS, meant)
    assert read_table(source, ReadOptions(delimiter=given))["label"][:] == ["bad", "good"]


@pytest.mark.parametrize("given", ["", ";;", '"', "\n"])
def test_a_delimiter_that_is_none(tmp_path: Path, given: str) -> None:
    source = write(tmp_path / "a.csv", ROWS, ";")
    with pytest.raises(EncT5Error, match=r"--delimiter is .*; give one character, as `;`, or `tab`"):
        read_table(source, ReadOptions(delimiter=given))


def test_a_wrong_word_of_the_users(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", ROWS, ";")
    with pytest.raises(EncT5Error, match=r"row 2 .* has 2 fields, the header has 1"):
        read_table(source, ReadOptions(delimiter=","))


def test_options_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n')
    with pytest.raises(EncT5Error, match=r"--delimiter is for files of text whose fields it separates, and .* is JSON"):
        read_table(str(path), ReadOptions(delimiter=";"))
