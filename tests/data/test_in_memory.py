"""Tables that a program holds become tables of the same values, or are refused."""

import copy
import datetime
import pickle
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, DatasetInfo, Features, NamedSplit, Value

from enct5.data.data_file import ReadOptions
from enct5.data.digests import digest_of_data
from enct5.data.in_memory import InMemory, in_memory, values_of
from enct5.data.reading import read_chunks, read_table
from enct5.errors import EncT5Error

NAN = float("nan")
DAY = datetime.datetime(2024, 1, 2, 3)


class Colour(str, Enum):
    RED = "red"


def held(data: Any) -> dict[str, list[Any]]:
    table = in_memory(data).table
    return {name: table[name][:] for name in table.column_names}


def same(found: Any, wanted: Any) -> bool:
    """Equal, and of the same types."""
    return repr(found) == repr(wanted)


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (["a", None, NAN], ["a", None, None]),
        ([1, 2, 3], [1, 2, 3]),
        (pd.Series([1, None, 3], dtype="Int64"), [1, None, 3]),
        (pd.Series([1, NAN, 3], dtype=object), [1, None, 3]),
        (pd.Series([1.0, NAN, 3.0]), [1.0, None, 3.0]),
        (pd.Series([True, None], dtype="boolean"), [True, None]),
        (pd.Categorical([3, None, 4]), [3, None, 4]),
        (pd.Categorical(["b", "a", None]), ["b", "a", None]),
        (pd.Series(["01", "NA", ""]), ["01", "NA", ""]),
        (pd.to_datetime(["2024-01-02 03:00", None]), [DAY, None]),
        ([np.int64(2**62), np.int8(-1)], [2**62, -1]),
        (np.array(["x", "y"]), ["x", "y"]),
        ([np.str_("x"), Colour.RED], ["x", "red"]),
        ([("a", "b"), ["c"], {"e", "d"}, np.array(["f"])], [["a", "b"], ["c"], ["d", "e"], ["f"]]),
        (np.array([[0, 1], [1, 0]]), [[0, 1], [1, 0]]),
        ([{"start": 0, "end": np.int64(2), "label": "x"}], [{"start": 0, "end": 2, "label": "x"}]),
        ([1, "1", True, 1.5, ["a"]], [1, "1", True, 1.5, ["a"]]),
        ([2**70, 1], [2**70, 1]),
        ([1, 2.5, None], [1, 2.5, None]),
        ([[1], [2.5]], [[1], [2.5]]),
        (pd.Series([1, 2.5], dtype=object), [1, 2.5]),
        (pa.chunked_array([["a"], ["b"]]), ["a", "b"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array([["a"], []], pa.large_list(pa.string_view())), [["a"], []]),
        (range(2), [0, 1]),
    ],
)
def test_values_stay_what_they_are(column: Any, wanted: list[Any]) -> None:
    assert same(held({"c": column})["c"], wanted)
    assert same(values_of(column, "c"), wanted)


def test_a_frame_of_pandas_loses_its_index_and_keeps_the_rest() -> None:
    frame = pd.DataFrame(
        {"text": ["a", "b", None], "n": [1, 2, 3], "tags": [["x"], {"y"}, ()], 5: pd.Categorical([7, None, 8])},
    )
    wanted = {"text": ["a", "b", None], "n": [1, 2, 3], "tags": [["x"], ["y"], []], "5": [7, None, 8]}
    assert same(held(frame), wanted)
    assert same(held(frame.set_index(pd.Index([9, 9, 4]))), wanted)
    assert in_memory(frame) == "DataFrame"


def test_a_frame_of_polars() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "text": ["a", "b", None],
            "n": [1, None, 3],
            "class": pl.Series(["u", "v", "u"], dtype=pl.Categorical),
            "enum": pl.Series(["u", "v", "u"], dtype=pl.Enum(["u", "v"])),
            "tags": [["x"], ["y", "z"], []],
            "span": [[{"start": 0, "end": 1, "label": "x"}], [], []],
        }
    )
    assert {name: held(frame)[name] for name in frame.columns} == frame.to_dict(as_series=False)
    assert values_of(frame["class"], "c") == ["u", "v", "u"]
    with pytest.raises(EncT5Error, match=r"LazyFrame.* is no table; .*call its `collect`"):
        in_memory(frame.lazy())


def test_an_arrow_table_and_rows() -> None:
    assert held(pa.table({"x": ["a"], "y": [1]})) == {"x": ["a"], "y": [1]}
    assert held([{"x": "a", "y": 1}, {"x": "b", "z": [2]}]) == {"x": ["a", "b"], "y": [1, None], "z": [None, [2]]}


def test_a_data_set_has_its_name_and_loses_its_format() -> None:
    table = Dataset.from_dict({"x": ["a", "b", "c"], "n": [1, 2, 3]})
    assert in_memory(table) == "Dataset"
    assert same(held(table.with_format("numpy").select([2, 0])), {"x": ["c", "a"], "n": [3, 1]})
    table = Dataset(
        table.data, info=DatasetInfo(dataset_name="reviews", features=table.features), split=NamedSplit("train")
    )
    assert in_memory(table) == "reviews:train"
    with pytest.raises(EncT5Error, match=r"has a transform.*apply it by `map`"):
        in_memory(table.with_transform(lambda batch: batch))


def test_class_ids_of_a_data_set_are_read_as_names() -> None:
    features = Features({"x": Value("string"), "c": ClassLabel(names=["no", "yes"])})
    table = Dataset.from_dict({"x": ["a", "b"], "c": [1, -1]}, features=features)
    assert read_table(in_memory(table))["c"][:] == ["yes", None]


def test_it_goes_where_the_name_of_a_file_goes() -> None:
    source = in_memory({"x": list("abcde")}, " to evaluate on")
    assert isinstance(source, str)
    assert f"{source}" == "data in memory to evaluate on"
    assert read_table(source)["x"][:] == list("abcde")
    assert [chunk["x"][:] for chunk in read_chunks(source, 2)] == [["a", "b"], ["c", "d"], ["e"]]
    for other in (pickle.loads(pickle.dumps(source)), copy.deepcopy(source)):
        assert isinstance(other, InMemory)
        assert other == source
        assert other.table["x"][:] == list("abcde")


def test_the_digest_is_that_of_the_rows() -> None:
    frame = pd.DataFrame({"x": ["a", "b"], "n": [1, 2]})
    digest = digest_of_data(in_memory(frame))
    assert digest == digest_of_data(in_memory(frame.to_dict("list")))
    assert digest == digest_of_data(in_memory(Dataset.from_pandas(frame)))
    assert digest != digest_of_data(in_memory(frame[::-1]))
    assert digest != digest_of_data(in_memory(frame.assign(n=[1.0, 2.0])))


def test_what_is_said_of_text_files_is_refused() -> None:
    with pytest.raises(EncT5Error, match="`delimiter` and `encoding` are for text files, not for data in memory"):
        read_table(in_memory({"x": ["a"]}), ReadOptions(delimiter=";"))


@pytest.mark.parametrize("data", [{}, {"x": []}, pd.DataFrame({"x": []}), Dataset.from_dict({"x": []})])
def test_no_rows(data: Any) -> None:
    with pytest.raises(EncT5Error, match="has no rows"):
        read_table(in_memory(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, r"`5` \(int\) is no table; give a DataFrame"),
        (pd.Series(["a"]), r"\(Series\) is no table"),
        (["a", "b"], r"\(list\) is no table"),
        (DatasetDict(train=Dataset.from_dict({"x": ["a"]})), r"name one of its splits, as in `data\['train'\]`"),
        (Dataset.from_dict({"x": ["a"]}).to_iterable_dataset(), r"IterableDataset.*give `list\(data\)`"),
        ({"x": ["a"], "y": [1, 2]}, "column `x` has 1 values, `y` has 2; give as many"),
        ({"x": "abc"}, r"column `x` of data in memory is `'abc'` \(str\); give a list"),
        ({"x": 5}, r"column `x` of data in memory is `5` \(int\); give a list"),
        ({"x": {"a", "b"}}, r"\(set\); give a list"),
        ({5: ["a"]}, r"a column named `5` \(int\); name it by a text"),
        ({"x": ["a", "b\ud800"]}, r"column `x` of data in memory, row 2: `'\\ud800'` at character 2 is half of a"),
        ({"x": [["a", "b\ud800"]]}, "column `x` of data in memory, row 1: .* is half of a surrogate pair"),
        (pd.DataFrame({"x": ["a", "\udfff"]}, dtype=object), "column `x` of DataFrame, row 2: .* half of a surrogate"),
        ({"x": [object()]}, "column `x` .* holds `<object object .* of type object, which a table cannot"),
        (pd.DataFrame({"p": pd.period_range("2024-01", periods=2, freq="M")}), "column `p` .* of type Period"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "DataFrame has 2 columns named `a`"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(data: Any, message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        in_memory(data)
