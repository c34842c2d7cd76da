"""Reading tables, checking columns, telling the task, splitting and tokenising."""

import csv
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import datasets.utils
import numpy as np
import pytest
from datasets import Dataset as Table
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from enct5.data import delimited
from enct5.data.columns import check_columns
from enct5.data.reading import read_table
from enct5.data.split import split_rows
from enct5.errors import EncT5Error
from enct5.tasks.labelled import infer_task, label_values, read_labelled
from enct5.tasks.registry import TASKS
from enct5.training.dataset import tokenize


def write(folder: Path, name: str, content: str | bytes) -> str:
    """Write a file and return its path as a user would give it."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def column(values: list[Any], name: str = "label") -> Table:
    """A table of one column."""
    return Table.from_dict({name: values})


class Objects(dict[str, list[Any]]):
    """Stands for a table where Arrow has no type for all values of a column."""


# reading files


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
        (
            "a.csv",
            "text,label\na,1\n".encode("utf-16-le"),
            r"has NUL characters in its column names .*; save it again as",
        ),
        ("a.csv", b"text,label\ncaf\xe9,1\n", r"is not UTF-8 \(byte 0xe9 at offset 14\); save it again as UTF-8"),
        ("a.csv", "text,label\n".encode("utf-16"), "is not UTF-8 .* at offset 0"),
        ("a.jsonl", b'{"text": "ok"}\n{"text": "\xff"}\n', r"byte 0xff at offset 25"),
        ("a.jsonl", "", "is empty"),
        ("a.jsonl", "\n", "has no rows"),
        ("a.json", "[]", "has no rows"),
        ("a.jsonl", '{"text": "a"}\n\n{"text": }\n', r"line 3 is not JSON \(Expecting value at column 10\)"),
        ("a.json", '[{"text": "a"},\n {"text" "b"}]', "line 2 is not JSON"),
        ("a.json", '{\n"text": "a"\n}', "line 1 is not JSON .*expected one object a line, or one list of objects"),
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
        ("a.xlsx", "x", "cannot tell the format of .*must end in one of .csv, .tsv, .jsonl, .json, .parquet"),
        ("a.csv.gz", "x", "cannot tell the format"),
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
    with pytest.raises(EncT5Error, match=r"^\. is a folder; name one file in it \(train.csv\)"):
        read_table(".")
    with pytest.raises(EncT5Error, match="parts in `parts:train` is a local folder"):
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

    monkeypatch.setattr(delimited, "_delimited_rows", refuse)
    with pytest.raises(EncT5Error, match=r"cannot read .*a.csv: Permission denied"):
        read_table(write(tmp_path, "a.csv", "text\na\n"))


# the hub


@pytest.mark.parametrize("source", ["imdb:train", "org/imdb.v2:train[:10%]"])
def test_hub_id(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """The part before the first colon is the name, the rest the split; progress bars are back on afterwards."""
    seen: dict[str, Any] = {}

    def load(name: str, split: str) -> Table:
        seen.update(name=name, split=split, quiet=datasets.utils.are_progress_bars_disabled())
        return Table.from_dict({"text": ["a"]})

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert read_table(source)["text"][:] == ["a"]
    name, split = source.split(":", 1)
    assert seen == {"name": name, "split": split, "quiet": True}
    assert not datasets.utils.are_progress_bars_disabled()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach 'imdb' on the Hub"),
        datasets.exceptions.DatasetNotFoundError("Dataset 'imdb' doesn't exist on the Hub"),
        ValueError("Unknown split \"trian\".\nShould be one of ['train']."),
    ],
)
def test_hub_failures(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """What the datasets library says is kept, on one line, with what to do."""

    def load(name: str, split: str) -> Table:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(EncT5Error, match=r"cannot load `imdb:trian` from the hub: `.*`; check the name") as caught:
        read_table("imdb:trian")
    assert str(error).split("\n")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


# columns


def test_good_columns_pass() -> None:
    """Empty texts are texts; a pair has two columns; labels of any type are no business of the check."""
    table = Table.from_dict({"a": ["", "x"], "b": ["y", "NA"], "label": [[], ["x"]], "n": [0, 1], "raw": ["", "x;y"]})
    check_columns(table, "a.csv", ["a", "b"], "label")
    check_columns(table, "a.csv", ["a"], "n")
    check_columns(table, "a.csv", ["a"], None)
    check_columns(table, "a.csv", ["a"], "raw", separator=";")


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        (["txt"], None, r"no column `txt` in a.csv; did you mean `text`\? \(columns: text, none, number, "),
        (["text"], "lable", "no column `lable` in a.csv; did you mean `label`"),
        ([], None, r"0 text columns given \(none\); name one, or two for a pair"),
        (["text", "text2", "label"], None, r"3 text columns given \(text, text2, label\)"),
        (["text", "text"], None, "column `text` of a.csv is named twice"),
        (["text"], "text", "column `text` of a.csv is named twice"),
        (["none"], None, r"column `none` of a.csv lacks the text in 2 of 3 rows \(first: row 2\)"),
        (["number"], None, "column `number` of a.csv, row 1: `7` is not a text but of type int"),
        (["tokens"], None, r"row 1: `\['a'\]` is a list, not a text; lists of words are for tagging tokens"),
        (["text"], "none", r"column `none` of a.csv lacks the label in 2 of 3 rows \(first: row 2\)"),
        (["text"], "empty", r"column `empty` of a.csv lacks the label in 2 of 3 rows \(first: row 1\)"),
    ],
)
def test_bad_columns(text: list[str], label: str | None, message: str) -> None:
    """Each mistake names the column, the row and what to do."""
    table = Table.from_dict(
        {
            "text": ["a", "b", "c"],
            "none": ["a", None, None],
            "number": [7, 8, 9],
            "tokens": [["a"], ["b"], ["c"]],
            "label": ["x", "y", "z"],
            "empty": ["", " ", "x"],
        }
    )
    with pytest.raises(EncT5Error, match=message):
        check_columns(table, "a.csv", text, label)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"data": [{"text": "a", "label": "x"}]}',
            r"no column `text` .*columns: data\); it holds one object; a table",
        ),
        ('{"columns": ["text"], "data": [["a"], ["b"]]}', "it holds one object; a table is one list of objects"),
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


def test_a_column_for_each_label_is_told() -> None:
    table = Table.from_dict({"text": ["a"], "good": [1], "bad": [0]})
    with pytest.raises(
        EncT5Error, match=r"--label names one column, not 2 .`good`, `bad`.; write the names of each text"
    ):
        check_columns(table, "a.csv", ["text"], "good, bad")


def test_mixed_types_name_the_row(tmp_path: Path) -> None:
    """The row that is no text is found in a column of mixed types."""
    table = read_table(write(tmp_path, "a.jsonl", '{"text": "a"}\n{"text": 5}\n'))
    with pytest.raises(EncT5Error, match="row 2: `5` is not a text but of type int"):
        check_columns(table, "a.jsonl", ["text"], None)


# the task


@pytest.mark.parametrize(
    ("values", "separator", "task", "expected"),
    [
        (["a", "b"], None, "single", ["a", "b"]),
        ([0, 1], None, "single", ["0", "1"]),
        ([True, False], None, "single", ["True", "False"]),
        (["01", "2"], None, "single", ["01", "2"]),
        (["1.0", "2.0"], None, "single", ["1.0", "2.0"]),
        (["a ", " b"], None, "single", ["a", "b"]),
        (["1.5", "b", "c"], None, "single", ["1.5", "b", "c"]),
        (["1.5", "2"], None, "regression", [1.5, 2.0]),
        ([" .5", "-1e-3 "], None, "regression", [0.5, -0.001]),
        ([1.0, 2.0], None, "single", ["1.0", "2.0"]),
        ([1, "1", 1.0], None, "single", ["1", "1", "1.0"]),
        ([1.5, 2], None, "regression", [1.5, 2.0]),
        (["12.5%", "3 %"], None, "regression", [12.5, 3.0]),
        (["10%", "20%"], None, "single", ["10%", "20%"]),
        ([Decimal("1.50"), Decimal("2")], None, "regression", [1.5, 2.0]),
        ([Decimal("1"), Decimal("2")], None, "single", ["1", "2"]),
        ([[0.5, 1.0], [2.0, 3.0]], None, "regression", [[0.5, 1.0], [2.0, 3.0]]),
        ([[0.5], [2.0]], None, "regression", [0.5, 2.0]),
        ([["a", "b", "a"], []], None, "multi", [["a", "b"], []]),
        ([[" a", "b "], ["b"]], None, "multi", [["a", "b"], ["b"]]),
        ([[1, 2], [3]], None, "multi", [["1", "2"], ["3"]]),
        ([[1, 2.5], [3, 4]], None, "regression", [[1.0, 2.5], [3.0, 4.0]]),
        (['["a", "b"]', "[]"], None, "multi", [["a", "b"], []]),
        (["['a', \"b'c\"]", "[]"], None, "multi", [["a", "b'c"], []]),
        (["('a', 'b')", "('a',)"], None, "multi", [["a", "b"], ["a"]]),
        (["{'b', 'a'}", "{'a'}"], None, "multi", [["a", "b"], ["a"]]),
        (["[a]", "[b]"], None, "single", ["[a]", "[b]"]),
        (["['a' 'b']", "['a']"], None, "single", ["['a' 'b']", "['a']"]),
        (["a; b;", "", "b"], ";", "multi", [["a", "b"], [], ["b"]]),
    ],
)
def test_task_and_values(values: list[Any], separator: str | None, task: str, expected: list[Any]) -> None:
    """The label column alone tells the task; naming that task gives the same."""
    table = Objects({"label": values})
    found = infer_task(table, "label", separator=separator)
    assert found is TASKS[task]
    assert infer_task(table, "label", task, separator) is found
    assert label_values(table, "label", found, separator) == expected


def test_tags_and_entities_are_told_from_other_lists() -> None:
    """Lists of BIO tags and lists of spans mean tagging; their texts are checked with them."""
    spans = [[{"start": 0, "end": 1, "label": "x"}], []]
    for values in ([["B-loc", "O"], ["O"]], spans, [json.dumps(value) for value in spans]):
        assert infer_task(column(values), "label") is TASKS["tokens"]
    table = Table.from_dict({"words": [["a", "b"], ["c"]], "tags": [["B-x", "O"], ["O"]], "text": ["a b", "c"]})
    check_columns(table, "a.jsonl", ["words"], "tags", takes_words=True)
    (first, second) = label_values(table, "tags", TASKS["tokens"], text=["words"])
    assert ([(s.start, s.end, s.label) for s in first.spans], second.spans) == ([(0, 1, "x")], [])
    with pytest.raises(EncT5Error, match="row 1: 2 tags for a text in one piece"):
        label_values(table, "tags", TASKS["tokens"], text=["text"])
    with pytest.raises(EncT5Error, match=r"column `words`, row 1: .* is a list, not a text"):
        label_values(table, "tags", TASKS["multi"], text=["words"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([["a"], ["b", None]], "row 2: `None` is not a word but of type NoneType"),
        ([["a"], "b"], "row 2: texts and lists of words are mixed"),
    ],
)
def test_bad_words_name_the_row(tmp_path: Path, words: list[Any], message: str) -> None:
    """A list of words holds words only."""
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"words": value}) + "\n" for value in words))
    with pytest.raises(EncT5Error, match=message):
        check_columns(read_table(str(path)), "a.jsonl", ["words"], None, takes_words=True)


def test_forced_tasks() -> None:
    """Numbers may be classes and classes that are numbers may be targets."""
    assert infer_task(column([0.5, 1.5]), "label", "single_label_classification").alias == "single"
    assert label_values(column([0.5, 1.5]), "label", TASKS["single"]) == ["0.5", "1.5"]
    assert label_values(column(["1", "2"]), "label", infer_task(column(["1", "2"]), "label", "regression")) == [1, 2]


@pytest.mark.parametrize(
    ("values", "task", "separator", "message"),
    [
        (["a", float("nan")], "single", None, "row 2: `nan` is not a label"),
        ([["a"], [" "]], "multi", None, r"row 2: `\[' '\]` is not a list of label names"),
        ([["a"], [float("nan")]], "multi", None, "row 2: .* is not a list of label names"),
        (["['a' 'b']", "['a']"], "multi", None, r"row 1: .* is not a list of labels; write each row as a list, such"),
        ([[{"start": 0, "end": 1, "label": "x"}], [{"start": 1, "end": 1, "label": "x"}]], "auto", None, "row 2: "),
        (["a", "b"], "poetry", None, r"no task `poetry` \(tasks: "),
        (["1", "good"], "regression", None, "column `label`, row 2: `good` is not a number; .*--task single"),
        (["1", "inf"], "regression", None, "row 2: `inf` is not a number"),
        (["10%", "0.1"], "regression", None, "row 1: `10%` is not a number"),
        ([1.5, float("nan")], "auto", None, "not in row 2: `nan` is not a number"),
        ([[1.0, 2.0], [3.0]], "auto", None, r"row 2: `\[3.0\]` is not 2 numbers; give as many in each row"),
        (["a", "b"], "multi", None, "row 1: `a` is not a list of labels; .*--label-separator"),
        ([["a"], ["b"]], "single", None, r"row 1: `\['a'\]` is not one label; use --task multi"),
        (["a", ""], "single", None, "row 2: `` is not a label; fill it in or remove the row"),
        ([["a"], [None]], "multi", None, r"row 2: `\[None\]` is not a list of label names"),
        (["a", "b"], "single", ";", "--label-separator `;` goes with --task multi, not single"),
        (["1", "2"], "regression", ";", "--label-separator `;` goes with --task multi, not regression"),
        ([["a"], ["b"]], "auto", ";", "leave out --label-separator, the labels are lists"),
        ([1, 2], "auto", ";", "row 1: `1` is not a list of labels"),
        (["a", "b"], "auto", "", "the label separator is empty"),
    ],
)
def test_labels_that_fit_no_task(values: list[Any], task: str, separator: str | None, message: str) -> None:
    """What cannot be learned is refused with the row and the way out."""
    with pytest.raises(EncT5Error, match=message):
        infer_task(Objects({"label": values}), "label", task, separator)


def test_a_surprising_choice_comes_with_its_reason() -> None:
    """Naming the task settles it, without a note."""
    table = column(list(range(40)))
    said: list[str] = []
    assert infer_task(table, "label", note=said.append) is TASKS["regression"]
    assert said == [
        "column `label` is read as numbers, as 40 of its 40 values differ; --task single reads them as classes"
    ]
    assert infer_task(table, "label", "single", note=said.append) is TASKS["single"]
    assert len(said) == 1


def test_label_values_do_not_hang_on_the_blanks_around_them() -> None:
    """With every way to write labels."""
    for values, task, separator in (
        ([" a", "b "], "single", None),
        ([[" a"], ["b "]], "multi", None),
        ([" a ;", "; b"], "multi", ";"),
    ):
        assert TASKS[task].label_names(label_values(column(values), "label", TASKS[task], separator)) == ["a", "b"]


def test_rows_that_an_annotator_rejected_are_left_out_and_told() -> None:
    """Only where the column is no text and no label, and holds nothing but answers."""
    rows = {"text": list("abcd"), "label": list("xyxy"), "answer": ["accept", "reject", "accept", "ignore"]}
    table, values, notes = read_labelled(Table.from_dict(rows), "a.jsonl", ["text"], "label", TASKS["single"], None)
    assert (table["text"][:], values) == (["a", "c"], ["x", "x"])
    assert notes == [
        "2 rows (2, 4) whose `answer` is reject or ignore are left out; further notes number the rest",
    ]
    for answers in (["accept", "reject", "accept", "no idea"], ["accept"] * 4, [None, "accept", "reject", "accept"]):
        table = Table.from_dict(rows | {"answer": answers})
        assert len(read_labelled(table, "a.jsonl", ["text"], "label", TASKS["single"], None)[0]) == 4
    assert len(read_labelled(Table.from_dict(rows), "a.jsonl", ["text"], "answer", TASKS["single"], None)[0]) == 4


def test_label_names_and_class_counts() -> None:
    """Both follow the task."""
    assert TASKS["single"].label_names(["10", "9", "10"]) == ["9", "10"]
    assert TASKS["single"].class_counts(["10", "9", "10"]) == {"9": 1, "10": 2}


# splitting


def texts_of(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


def test_split_keeps_shares_and_order() -> None:
    """A tenth of each class is held out, each row is in one part, in the old order."""
    strata = ["a", "b", "b", "b"] * 50
    training, held_out = split_rows(texts_of(200), strata, 0.1, seed=3)
    assert sorted([*training, *held_out]) == list(range(200))
    assert training.tolist() == sorted(training)
    assert held_out.tolist() == sorted(held_out)
    assert sorted(strata[row] for row in held_out) == ["a"] * 5 + ["b"] * 15


def test_split_is_seeded() -> None:
    """The seed alone decides."""
    texts, strata = texts_of(100), ["a", "b"] * 50
    held_out = [split_rows(texts, strata, 0.2, seed)[1].tolist() for seed in (1, 1, 2)]
    np.random.seed(0)
    assert held_out[0] == held_out[1] == split_rows(texts, strata, 0.2, 1)[1].tolist()
    assert held_out[0] != held_out[2]


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_split_leaves_every_class_in_training(fraction: float, seed: int) -> None:
    """Classes of one row stay in training, and no class is held out whole."""
    strata = [f"c{number % 20}" for number in range(45)] + ["once", "also once"]
    training, held_out = split_rows(texts_of(47), strata, fraction, seed)
    assert {strata[row] for row in training} == set(strata)
    assert len(held_out) == int(fraction * 45)


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_text_go_to_one_side(fraction: float, seed: int) -> None:
    """As many texts of each class are held out as of texts without copies; conflicting labels do not matter."""
    random = np.random.default_rng(seed)
    texts = [f"text {number}" for number in range(100) for _ in range(random.integers(1, 4))]
    written = [text if random.random() < 0.5 else f" {text.upper()} " for text in texts]
    strata = [f"c{int(text.split()[1]) % 4}" if random.random() < 0.9 else "odd" for text in texts]
    training, held_out = split_rows(written, strata, fraction, seed)
    assert sorted([*training, *held_out]) == list(range(len(texts)))
    known = {texts[row] for row in training}
    apart = {texts[row] for row in held_out}
    assert not known & apart
    assert len(apart) == pytest.approx(100 * fraction, abs=3)
    assert {strata[row] for row in training} == set(strata)


def test_copies_are_found_in_pairs_and_lists_of_words_too() -> None:
    """A pair is a copy where both of its texts are."""
    pairs = [("a", "b"), ("A", "b "), ("a", "c"), ("c", "d")] * 10
    for seed in range(5):
        parts = split_rows(pairs, ["x"] * 40, 0.5, seed)
        first, second = ({pairs[row][1].strip() for row in part} for part in parts)
        assert (first | second, first & second) == ({"b", "c", "d"}, set())
    words = [["a", "b"], ["a b"], ["c"], ["d"]]
    for seed in range(5):
        held_out = split_rows(words * 10, ["x"] * 40, 0.5, seed)[1].tolist()
        assert held_out in ([*range(2, 40, 4)], [*range(3, 40, 4)], sorted([*range(0, 40, 4), *range(1, 40, 4)]))


def test_processes_of_one_run_split_alike() -> None:
    """Python's hashes of texts, by which copies are found, are others in each."""
    code = (
        "from enct5.data.split import split_rows\n"
        "print(split_rows([f'text {row % 40}' for row in range(60)], ['a', 'b'] * 30, 0.3, 0)[1].tolist())"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] != "[]\n"


def test_a_text_of_most_rows_is_trained_on() -> None:
    """Held out, it would leave little to train on."""
    texts = ["the same"] * 60 + texts_of(40)
    for seed in range(5):
        held_out = split_rows(texts, ["x"] * 100, 0.2, seed)[1]
        assert (len(held_out), min(held_out) >= 60) == (8, True)


def test_split_without_classes() -> None:
    """Regression has one group: rows are drawn freely."""
    strata = TASKS["regression"].strata([0.1] * 40)
    assert len(split_rows(texts_of(40), strata, 0.25, 0)[1]) == 10


@pytest.mark.parametrize(
    ("strata", "fraction", "message"),
    [
        (["a"] * 10, 0.0, "cannot hold out a fraction of 0.0; give one above 0 and at most 0.5"),
        (["a"] * 10, 0.9, "cannot hold out a fraction of 0.9"),
        (
            ["a"] * 4,
            0.1,
            "cannot hold out 10% of 4 rows: that is less than one; give more rows, a larger --eval-fraction, or a file",
        ),
        (
            ["a"],
            0.1,
            "cannot hold out 10% of 1 row: that is less than one; give more rows, a larger --eval-fraction, or a file",
        ),
        (["a", "b", "c"], 0.5, "of 3 rows, of which only 0 share their class with another: that is less than one"),
    ],
)
def test_impossible_splits(strata: list[str], fraction: float, message: str) -> None:
    """Nothing to hold out is the user's to change."""
    with pytest.raises(EncT5Error, match=message):
        split_rows(texts_of(len(strata)), strata, fraction, 0)


def test_copies_of_too_few_texts_cannot_be_split() -> None:
    """The message counts the texts."""
    with pytest.raises(EncT5Error, match="cannot hold out 20% of 8 rows of 2 different texts: that is less than one"):
        split_rows(["a", "b"] * 4, ["x"] * 8, 0.2, 0)


# tokenising


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """A word tokenizer that joins pairs as T5 does: pad 0, end 1, unknown 2, a to e 3 to 7."""
    vocabulary = {token: number for number, token in enumerate(["<pad>", "</s>", "<unk>", *"abcde"])}
    model = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    model.pre_tokenizer = Whitespace()
    model.post_processor = TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=4
    )


def test_tokenize_texts(tokenizer: PreTrainedTokenizerFast, capfd: pytest.CaptureFixture[str]) -> None:
    """Ids are unpadded, an empty text is the end token, long texts are cut before it and counted."""
    table = Table.from_dict({"text": ["a b", "", "a b c d e", "a b c"], "other": [1, 2, 3, 4]})
    result, unread = tokenize(table, tokenizer, ["text"], 4)
    assert result.to_dict() == {
        "input_ids": [[3, 4, 1], [1], [3, 4, 5, 1], [3, 4, 5, 1]],
        "length": [3, 1, 4, 4],
    }
    assert (unread.long, unread.tokens_cut) == (1, 2)
    assert tokenize(table, tokenizer, ["text"], None)[0]["length"][:] == [3, 1, 6, 4]
    assert result.cache_files == []
    assert capfd.readouterr() == ("", "")


def test_tokenize_pairs(tokenizer: PreTrainedTokenizerFast) -> None:
    """Two columns are joined as `A </s> B </s>`; the longer text is cut first."""
    table = Table.from_dict({"one": ["a", "a b c d"], "two": ["b c", "e"]})
    result, unread = tokenize(table, tokenizer, ["one", "two"], 5)
    assert result["input_ids"][:] == [[3, 1, 4, 5, 1], [3, 4, 1, 7, 1]]
    assert (unread.long, unread.tokens_cut) == (1, 2)


@pytest.mark.parametrize(
    "labels",
    [np.array([1, 0]), np.array([0.5, 2], dtype=np.float32), np.array([[0, 1], [1, 1]], dtype=np.float32)],
)
def test_tokenize_keeps_labels(tokenizer: PreTrainedTokenizerFast, labels: np.ndarray) -> None:
    """Encoded labels keep their type and shape."""
    result, _ = tokenize(Table.from_dict({"text": ["a", "b"]}), tokenizer, ["text"], 8, labels)
    back = result.with_format("numpy")["labels"][:]
    assert back.dtype == labels.dtype
    assert back.tolist() == labels.tolist()


def test_tokenize_many_rows_after_a_selection(tokenizer: PreTrainedTokenizerFast) -> None:
    """Rows of a split table, more than one chunk of them, keep their order."""
    table = Table.from_dict({"text": ["a", "b c"] * 1500}).select(range(2999, -1, -1))
    result, _ = tokenize(table, tokenizer, ["text"], 8, np.arange(3000))
    assert result["input_ids"][:4] == [[4, 5, 1], [3, 1], [4, 5, 1], [3, 1]]
    assert result[2999] == {"input_ids": [3, 1], "length": 2, "labels": 2999}
