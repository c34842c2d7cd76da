"""Reading tables: rows and values as they stand in the file, or one line that says what is wrong."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import datasets
import datasets.utils
import pytest
from datasets import Dataset as Table

from enct5.data import delimited
from enct5.data.columns import check_columns
from enct5.data.reading import read_table
from enct5.data.shaping import with_labels
from enct5.errors import EncT5Error


def write(folder: Path, name: str, content: str | bytes) -> str:
    """Write a file and return its path as a user would give it."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_csv_values_stay_as_written(tmp_path: Path) -> None:
    """No guessing of missing values, numbers or truth values."""
    path = write(tmp_path, "a.csv", 'text,label\nNA,01\nnull,1.0\nNone,true\n"",2024-01-01\n')
    assert read_table(path).to_dict() == {
        "text": ["NA", "null", "None", ""],
        "label": ["01", "1.0", "true", "2024-01-01"],
    }


def test_csv_keeps_quoted_texts_whole(tmp_path: Path) -> None:
    """Commas, line breaks, quotes and very long fields stay in their row; a byte order mark and CRLF do no harm."""
    long = "x" * 200_000
    path = write(tmp_path, "a.csv", f'\ufefftext,label\r\n"one, two\r\n""three""\n",a\r\n{long},b\r\nit\'s "so",c\r\n')
    table = read_table(path)
    assert table.column_names == ["text", "label"]
    assert table["text"][:] == ['one, two\r\n"three"\n', long, 'it\'s "so"']
    assert table["label"][:] == ["a", "b", "c"]


def test_csv_field_beyond_the_usual_limit(tmp_path: Path) -> None:
    """Texts beyond the csv module's usual limit are read, line breaks in them too."""
    long = "many words\n" * 200_000
    table = read_table(write(tmp_path, "a.csv", f'text,label\n"{long}",a\nshort,b\n'))
    assert table["text"][:] == [long, "short"]


def test_csv_field_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be all of the file behind an open quote is not gathered without end."""
    monkeypatch.setattr(delimited, "_LONGEST", 20)
    path = write(tmp_path, "a.csv", 'text,label\na,1\n"b,2\n' + "c,3\n" * 20)
    former = csv.field_size_limit(10)
    try:
        with pytest.raises(
            EncT5Error, match=r"begins in line 3: field larger than field limit \(20\); .* never closed"
        ):
            read_table(path)
        csv.field_size_limit(1000)
        with pytest.raises(EncT5Error, match="line 3: the quote before `b,2` is never closed"):
            read_table(path)
    finally:
        assert csv.field_size_limit(former) == 1000


@pytest.mark.parametrize("ending", ['"', '"\n', '"\n\n'])
def test_csv_may_end_in_a_quoted_line_break(tmp_path: Path, ending: str) -> None:
    """A closed quote at the end of the file is not taken for an open one."""
    assert read_table(write(tmp_path, "a.csv", 'label,text\na,"two\nlines' + ending))["text"][:] == ["two\nlines"]


def test_tsv_upper_case_extension(tmp_path: Path) -> None:
    """Tabs separate, commas do not."""
    assert read_table(write(tmp_path, "a.TSV", "text\tlabel\na,b\t1\n")).to_dict() == {"text": ["a,b"], "label": ["1"]}


@pytest.mark.parametrize(
    "content",
    [
        '{"text": "2024-01-01", "label": ["a"]}\n\n{"text": "b\u2028c", "label": []}\n',
        '\ufeff[{"text": "2024-01-01", "label": ["a"]},\n {"text": "b\u2028c", "label": []}]',
    ],
)
def test_json_lines_and_json_list(tmp_path: Path, content: str) -> None:
    """Both layouts are read under both names; dates stay text, a rare line separator ends no line."""
    for name in ("a.jsonl", "a.json"):
        table = read_table(write(tmp_path, name, content))
        assert table.to_dict() == {"text": ["2024-01-01", "b\u2028c"], "label": [["a"], []]}


def test_json_rows_may_differ(tmp_path: Path) -> None:
    """A column absent from a row is missing there; a column of mixed types does not stop the reading."""
    table = read_table(write(tmp_path, "a.jsonl", '{"a": 1, "m": 1}\n{"b": 0.5, "m": "x"}\n{"a": 2, "m": {"k": 1}}\n'))
    assert table["a"][:] == [1, None, 2]
    assert table["b"][:] == [None, 0.5, None]
    assert table["m"][:] == [1, "x", {"k": 1}]


def test_parquet_with_class_names(tmp_path: Path) -> None:
    """Class ids become their names, the hub's -1 a missing label; the order of columns stays."""
    names = datasets.ClassLabel(names=["no", "yes"])
    features = datasets.Features({"label": names, "text": datasets.Value("string"), "topics": datasets.List(names)})
    source = Table.from_dict({"label": [1, 0, -1], "text": ["a", "b", "c"], "topics": [[0, 1], [], [1]]}, features)
    source.to_parquet(str(tmp_path / "a.parquet"))
    table = read_table(str(tmp_path / "a.parquet"))
    assert table.column_names == ["label", "text", "topics"]
    assert table["label"][:] == ["yes", "no", None]
    assert table["topics"][:] == [["no", "yes"], [], ["yes"]]


def test_parquet_from_a_filtered_frame(tmp_path: Path) -> None:
    """The index that pandas saves is no column of the data."""
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"text": ["a", "b"]}, index=[3, 7]).to_parquet(tmp_path / "a.parquet")
    assert read_table(str(tmp_path / "a.parquet")).to_dict() == {"text": ["a", "b"]}


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_nothing_is_cached_or_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """A changed file gives new rows, no copy stays on disk, the terminal stays empty."""
    for value in ("first", "other"):
        content = f"text\n{value}\n" if name == "a.csv" else json.dumps({"text": value})
        table = read_table(write(tmp_path, name, content))
        assert table["text"][:] == [value]
        assert table.cache_files == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "\n\n", "a.csv is empty"),
        ("a.csv", "text,label\n", "a.csv has no rows"),
        ("a.csv", "text,label", "a.csv has no rows"),
        ("a.csv", "text,label\na,1\nb\n", r"row 3 \(the header is row 1\) has 1 field, the header has 2: `b`"),
        ("a.csv", "text,label\na,1\nb,c,2\n", "row 3 .* has 3 fields, the header has 2: `b,c,2`; .* holds `,` or"),
        ("a.tsv", "text\tlabel\nb\tc\t2\n", "row 2 .* has 3 fields, .* holds a tab or"),
        ("a.csv", "text,label,text\na,1,b\n", "has 2 columns named `text`"),
        ("a.csv", 'text,label\na,1\nb,"2\nc,3\n', r"line 3: the quote before `2` is never closed"),
        ("a.csv", 'text,label\na,1\n"b,2\nc,3\n', "line 3: the quote before `b,2` is never closed"),
        ("a.csv", 'text,label\ra,1\rb,"2\rc,3\r', "line 3: the quote before `2` is never closed"),
        ("a.csv", 'text,label\na,"2\nb,3""\n', "line 2: the quote before `2` is never closed"),
        ("a.csv", 'text,label\n"1\n2","3\n4\n', "line 3: the quote before `3` is never closed"),
        ("a.csv", 'text,label\na,1\nb,"', "line 3: the quote before `` is never closed"),
        ("a.csv", 'text,label\n\ufeff","\n', "line 2: the quote before `` is never closed"),
        (
            "a.csv",
            'text,label\nb,"2\nc,3\nd,"4"\n',
            r'line 4: `d,"4"` has more behind a quote that closes a text \(open was `2` of line 2\); write each',
        ),
        ("a.csv", 'text,label\nb,"2" c\n', r'line 2: `b,"2" c` has more behind a quote that closes a text; write each'),
        ("a.csv", "te\0xt,label\na,1\n", r"has NUL characters in its column names"),
        ("a.csv", "text,label\n".encode("utf-16"), "has no rows"),
        ("a.jsonl", b'{"text": "ok"}\n{"text": "\xff"}\n', r"byte 0xff at offset 25"),
        ("a.jsonl", "", "is empty"),
        ("a.jsonl", "\n", "has no rows"),
        ("a.json", "[]", "has no rows"),
        ("a.jsonl", '{"text": "a"}\n\n{"text": }\n', r"line 3 is not JSON \(Expecting value at column 10\)"),
        ("a.json", '[{"text": "a"},\n {"text" "b"}]', "line 2 is not JSON"),
        ("a.json", '{\n"text": a\n}', "line 1 is not JSON .*expected one object a line, or one list of objects"),
        ("a.jsonl", '{"text": "a"}\n"b"\n', "line 2 is `b`, not an object"),
        ("a.json", '[{"text": "a"}, 5]', "item 2 is `5`, not an object"),
        (
            "a.jsonl",
            '{"text": "\\ud83d\\ude00"}\n\n{"text": "ok", "more": [{"a": "cut \\uD83D"}]}\n',
            r"column `more`, line 3: `'\\ud83d'` at character 5 is half of a surrogate pair.*put U\+FFFD in its place",
        ),
        ("a.json", '[{"text": "a"}, {"text": "\\udc00"}]', "column `text`, item 2: .* at character 1 is half"),
        ("a.jsonl", '{"t\\ud800": "a"}\n', r"column `t\\ud800`, line 1: .* at character 2 is half"),
        ("a.jsonl", '{"text\\u0000": "a"}\n', "has NUL characters in its column names"),
        (
            "a.jsonl",
            '{"a": 1}\n{"text": "a", "text": "b"}\n',
            "from line 2 on: `one object has two keys text`; correct",
        ),
        ("a.jsonl", '{"id": ' + "9" * 5000 + "}\n", "from line 1 on: `Exceeds the limit"),
        ("a.jsonl", '{"id": ' + "[" * 5000 + "]" * 5000 + "}\n", "from line 1 on: `maximum recursion depth"),
        ("a.jsonl", '{"text": "a"}\n{}\n', "line 2 is `{}`, not an object with columns"),
        ("a.parquet", "PAR0", "as Parquet"),
        ("a.xlsx", "x", "a.xlsx is no Excel workbook, as its name says; save the sheet as .xlsx, or as CSV"),
        ("a.html", "x", r"cannot tell the format of .*must end in one of .csv, .tsv, .*, packed or not"),
        ("a.csv.gz", "x", "a.csv.gz has no rows"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel workbook of before 2007; save the sheet as .xlsx"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    """Each fault of a file is one line that says where it is."""
    with pytest.raises(EncT5Error, match=message) as caught:
        read_table(write(tmp_path, name, content))
    assert "\n" not in str(caught.value)


def test_missing_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file is answered with its likely name; a hub id without its split with an example."""
    write(tmp_path, "train.csv", "text\na\n")
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncT5Error, match=r"no file `trian.csv`; did you mean `train.csv`?"):
        read_table("trian.csv")
    with pytest.raises(EncT5Error, match=r"no file `nowhere/x.csv`; check the path"):
        read_table("nowhere/x.csv")
    with pytest.raises(EncT5Error, match=r"no file `x.csv:train`"):
        read_table("x.csv:train")
    for name in ("imdb", "org/imdb"):
        with pytest.raises(
            EncT5Error, match=f"no file `{name}`; a data set of the hub needs its split, as in `{name}:train`"
        ):
            read_table(name)
    with pytest.raises(EncT5Error, match=r"parts is a folder; name one file in it, or a pattern .*none is readable"):
        read_table("parts:train")
    with pytest.raises(EncT5Error, match=r"cannot read x+.csv: File name too long"):
        read_table("x" * 300 + ".csv")


def test_nesting_too_deep_for_arrow_comes_back(tmp_path: Path) -> None:
    """As JSON within the table."""
    nested = "[" * 600 + "]" * 600
    table = read_table(write(tmp_path, "a.jsonl", f'{{"text": "a", "id": {nested}}}\n'))
    assert json.dumps(table["id"][0]) == nested
    assert table["text"][:] == ["a"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="this user may read every file")
def test_unreadable_file(tmp_path: Path) -> None:
    """A file without read permission, as the system words it."""
    path = write(tmp_path, "a.csv", "text\na\n")
    os.chmod(path, 0)
    with pytest.raises(EncT5Error, match=r"cannot read .*a.csv: Permission denied"):
        read_table(path)


def test_system_errors_are_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for users to whom no file is closed."""

    def refuse(*arguments: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(delimited, "_rows", refuse)
    with pytest.raises(EncT5Error, match=r"cannot read .*a.csv: Permission denied"):
        read_table(write(tmp_path, "a.csv", "text\na\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": ["a", "b"]}', "it holds one object; a table is one list of objects"),
        (
            '{"text": {"0": "a", "1": "b"}, "label": {"0": "x"}}',
            r'not a text but of type dict; .*\(orient="records" in',
        ),
    ],
)
def test_json_tables_of_other_shapes(tmp_path: Path, content: str, message: str) -> None:
    """As pandas writes them where it is not told otherwise, or wrapped in an object."""
    with pytest.raises(EncT5Error, match=message):
        check_columns(read_table(write(tmp_path, "a.json", content)), "a.json", ["text"], "label")


def test_a_missing_column_of_several_is_named() -> None:
    table = Table.from_dict({"text": ["a"], "good": [1], "bad": [0]})
    with pytest.raises(EncT5Error, match=r"no column `worse` in a.csv"):
        with_labels(table, ["text"], "good, worse", None, "a.csv")


def test_mixed_types_name_the_row(tmp_path: Path) -> None:
    """The row that is no text is found in a column of mixed types."""
    table = read_table(write(tmp_path, "a.jsonl", '{"text": "a"}\n{"text": 5}\n'))
    with pytest.raises(EncT5Error, match="row 2: `5` is not a text but of type int"):
        check_columns(table, "a.jsonl", ["text"], None)
