"""Tables of any content: what is read is what was written, row by row, or one line says what is wrong."""

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from enct5.data.columns import check_columns
from enct5.data.data_file import ReadOptions
from enct5.data.reading import read_chunks, read_table
from enct5.errors import EncT5Error
from enct5.tasks.guessing import guess
from enct5.tasks.labelled import infer_task, label_values
from enct5.tasks.labels import sort_names
from enct5.tasks.registry import TASKS
from helpers.strategies import texts

some = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
names = st.lists(texts.filter(lambda name: "\0" not in name and name.strip("\ufeff")), min_size=1, max_size=3)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2), max_leaves=5
)


def rows_of(table: Any) -> list[dict[str, Any]]:
    columns = {name: table[name][:] for name in table.column_names}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def tried(compute: Callable[[], Any]) -> tuple[Any, str]:
    """A result and nothing, or nothing and the one line that refuses it."""
    try:
        return compute(), ""
    except EncT5Error as error:
        refusal = str(error)
    assert "\n" not in refusal
    return None, refusal


def read(path: Path, options: ReadOptions | None = None) -> list[dict[str, Any]] | None:
    """The rows of a file, whole and in chunks; None where it is refused, as it should be, in one line."""
    rows, refusal = tried(lambda: rows_of(read_table(str(path), options)))
    if rows is None:
        assert path.name in refusal
        return None
    chunks = [rows_of(chunk) for chunk in read_chunks(str(path), 2, options)]
    assert all(len(chunk) == 2 for chunk in chunks[:-1])
    joined = [row for chunk in chunks for row in chunk]
    # a column that no row of a chunk has is not there
    assert equal([{name: row.get(name) for name in rows[0]} for row in joined], rows)
    return rows


def equal(first: Any, second: Any) -> bool:
    """Equality for which NaN is NaN."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal(first[name], second[name]) for name in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(equal, first, second))
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first):
        return math.isnan(second)
    return bool(first == second)


@settings(some, max_examples=300)
@given(suffix=st.sampled_from(SUFFIXES), content=st.binary(max_size=60) | texts.map(str.encode))
@example(suffix=".csv", content=b"te\0xt,label\na,1\n")
@example(suffix=".csv", content=b'a,"b\n1,2\n')
@example(suffix=".jsonl", content=b"[" * 5000)
@example(suffix=".jsonl", content=b'{"a": ' + b"1" * 5000 + b"}")
@example(suffix=".jsonl", content=b'{}\n{}\n{"a": 1}')
def test_any_bytes_are_a_table_or_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    read(path)


def written(rows: list[list[str]], **dialect: Any) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, **dialect).writerows(rows)
    return file.getvalue()


@some
@given(
    header=names,
    data=st.data(),
    suffix=st.sampled_from([".csv", ".tsv"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    cut=st.booleans(),
)
def test_delimited_rows_come_back(
    tmp_path: Path, header: list[str], data: Any, suffix: str, quoting: int, ending: str, encoding: str, cut: bool
) -> None:
    width = len(header)
    rows = data.draw(st.lists(st.lists(texts, min_size=width, max_size=width), min_size=1, max_size=5))
    if ({"\r", "\n"} - set(ending)) & set("".join(map("".join, [header, *rows]))):
        quoting = csv.QUOTE_ALL  # Python before 3.13 leaves a line break bare that is not the file's own
    content = written(
        [header, *rows], quoting=quoting, lineterminator=ending, delimiter="\t" if suffix == ".tsv" else ","
    )
    if cut:  # editors leave the last end of line out
        content = content.removesuffix(ending)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content.encode(encoding, errors="replace"))
    # the names of columns may hold another delimiter, which they may then be taken for: it is told, or asked for
    tells = not set(";|\t," if suffix == ".csv" else ";|,\t") & set("".join(header))
    found = read(path, None if tells else ReadOptions(delimiter="\t" if suffix == ".tsv" else ","))
    twice = len(set(header)) < width
    if encoding == "latin-1" and found is None:
        assert not content.isascii()
    elif encoding == "latin-1":
        assert len(found or []) == len(rows)
    else:
        assert found == (None if twice else [dict(zip(header, row, strict=True)) for row in rows])


@some
@given(rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=5), place=st.integers(0, 100), data=st.data())
@example(rows=[("a", "1"), ("b", "2\nc,3\nd,4")], place=16, data=None)
def test_a_lost_quote_never_loses_rows(tmp_path: Path, rows: list[tuple[str, str]], place: int, data: Any) -> None:
    """Without one of the quotes a file is refused, or has as many rows as a strict reader of CSV finds."""
    content = written([["text", "label"], *map(list, rows)], quoting=csv.QUOTE_ALL, lineterminator="\n")
    quotes = [number for number, character in enumerate(content) if character == '"']
    lost = quotes[place % len(quotes)]
    content = content[:lost] + content[lost + 1 :]
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode())
    found = read(path)
    if found is not None:
        strict = list(csv.reader(io.StringIO(content, newline=""), strict=True))
        assert [list(row.values()) for row in found] == [row for row in strict if row][1:]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_huge_texts_come_back(tmp_path: Path, suffix: str) -> None:
    rows = [{"text": "a\n" * 100_000 + '"x"', "label": "1"}, {"text": "🙂," * 70_000, "label": "2"}]
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    elif suffix.startswith(".json"):
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        table = [list(rows[0]), *(list(row.values()) for row in rows)]
        path.write_bytes(written(table, delimiter="\t" if suffix == ".tsv" else ",").encode())
    assert read(path) == rows


@some
@given(
    rows=st.lists(st.dictionaries(texts, values, max_size=3), min_size=1, max_size=4),
    lines=st.booleans(),
    escaped=st.booleans(),
    marked=st.booleans(),
)
@example(rows=[{"a": "1"}, {"a": 2}], lines=True, escaped=True, marked=False)
@example(rows=[{"a": "null"}, {"a": {"x": "1"}}, {"a": {"y": 1}}], lines=True, escaped=True, marked=False)
@example(rows=[{"a": 0.12345678901234567}, {"a": "x"}], lines=True, escaped=True, marked=False)
@example(rows=[{"a": 2**53 + 1}, {"a": 0.5}], lines=True, escaped=True, marked=False)
@example(rows=[{"a": 10**30}], lines=False, escaped=True, marked=False)
@example(rows=[{"a": {"": 1, "\0": 2}}], lines=False, escaped=True, marked=False)
@example(rows=[{"a": {"\0": 1}}], lines=False, escaped=True, marked=False)
@example(rows=[{"a": "\ud800"}], lines=True, escaped=True, marked=False)
@example(rows=[{"a": "x"}, {"a": ["\ud800"]}], lines=True, escaped=True, marked=False)
def test_json_values_come_back(
    tmp_path: Path, rows: list[dict[str, Any]], lines: bool, escaped: bool, marked: bool
) -> None:
    if lines:
        content = "\n".join(json.dumps(row, ensure_ascii=escaped) for row in rows)
    else:
        content = json.dumps(rows, ensure_ascii=escaped, indent=1)
    path = tmp_path / ("a.jsonl" if lines else "a.json")
    path.write_text(content, encoding="utf-8-sig" if marked else "utf-8")
    found = read(path)
    columns = {name for row in rows for name in row}
    if any("\0" in name for name in columns) or "\\ud800" in content or {} in rows:
        assert found is None
    else:
        assert equal(found, [{name: row.get(name) for name in columns} for row in rows])


@some
@given(
    columns=st.dictionaries(
        texts,
        st.sampled_from(
            [texts, st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.lists(texts, max_size=2)]
        ),
        min_size=1,
        max_size=3,
    ),
    count=st.integers(0, 5),
    data=st.data(),
)
def test_parquet_values_come_back(tmp_path: Path, columns: dict[str, Any], count: int, data: Any) -> None:
    filled = {
        name: data.draw(st.lists(st.none() | kind, min_size=count, max_size=count)) for name, kind in columns.items()
    }
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table(filled), path, row_group_size=2)
    found = read(path)
    if not count or any("\0" in name for name in columns):
        assert found is None
    else:
        assert equal(found, [{name: filled[name][row] for name in filled} for row in range(count)])


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file as `datasets` writes it, with its own metadata."""
    from datasets import ClassLabel, Dataset, Features, List, Value

    kinds = ClassLabel(names=["no", "yes"])
    features = Features({"text": Value("string"), "label": kinds, "topics": List(kinds)})
    table = Dataset.from_dict(
        {"text": ["a", "bé", "🙂"] * 20, "label": [0, 1, -1] * 20, "topics": [[0], [1], []] * 20}, features
    )
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    table.to_parquet(str(path))
    return path.read_bytes()


@settings(some, max_examples=300)
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), cut=st.booleans())
def test_damaged_parquet_is_a_table_or_one_line(
    tmp_path: Path, parquet: bytes, place: float, change: int, cut: bool
) -> None:
    content = bytearray(parquet)
    where = int(place * len(content))
    content[where] ^= change
    path = tmp_path / "a.parquet"
    path.write_bytes(bytes(content[:where] if cut else content))
    tried(lambda: rows_of(read_table(str(path))))


def test_damaged_metadata_of_parquet_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"label": [0, 1]})
    for features, message in (
        ("{", "cannot make a table of"),
        ('{"info": 5}', "cannot make a table of"),
        ('{"info": {"features": {"label": "x"}}}', "cannot make a table of"),
        ('{"info": {"features": {"label": {"names": ["no"], "_type": "ClassLabel"}}}}', "ids of classes beyond its"),
    ):
        pa.parquet.write_table(table.replace_schema_metadata({"huggingface": features}), path)
        with pytest.raises(EncT5Error, match=message):
            read_table(str(path))


# labels


@settings(some, max_examples=200)
@given(
    column=st.lists(values, min_size=1, max_size=6) | st.lists(texts, min_size=1, max_size=6),
    separator=st.none() | st.sampled_from([",", ""]),
)
@example(column=["[" * 100_000], separator=None)
@example(column=["9" * 5000, "1"], separator=None)
@example(column=["[" + "9" * 5000 + "]"], separator=None)
@example(column=[10**400, 0.5], separator=None)
@example(column=[1e39, 0.5], separator=None)
def test_any_label_column_is_read_or_refused(column: list[Any], separator: str | None) -> None:
    """Every row has its value, and what is told about the labels is about all rows."""
    tried(lambda: guess(column, "label", separator))
    for task in TASKS.values():
        parsed, _ = tried(lambda task=task: task.parse(column, "label", separator))
        if parsed is None:
            continue
        assert len(parsed) == len(column)
        if tried(lambda task=task, parsed=parsed: task.label_names(parsed))[0]:
            counts = task.class_counts(parsed)
            if task.alias == "single":
                assert parsed == [str(value).strip() for value in column]
                assert sum(counts.values()) == len(column)
            if task.alias == "regression":
                assert all(
                    abs(number) < math.inf for row in parsed for number in (row if isinstance(row, list) else [row])
                )


@some
@given(st.sets(st.integers(-(10**20), 10**20).map(str) | texts, max_size=6))
def test_names_have_one_order(labels: set[str]) -> None:
    ordered = sort_names(labels)
    assert set(ordered) == labels
    assert ordered == sort_names(set(reversed(ordered)))


def test_very_many_labels_are_counted(tmp_path: Path) -> None:
    count = 100_000
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"t,label {row}\n" for row in range(count)), encoding="utf-8")
    table = read_table(str(path))
    check_columns(table, str(path), ["text"], "label")
    task = infer_task(table, "label", "single")
    values = label_values(table, "label", task)
    assert task.label_names(values) == sorted(f"label {row}" for row in range(count))
    assert task.class_counts(values) == {f"label {row}": 1 for row in sorted(range(count), key=str)}
    with pytest.raises(EncT5Error, match="has 100000 different values in 100000 rows, which look like no classes"):
        infer_task(table, "label")
