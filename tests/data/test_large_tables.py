"""Tables that are too large for memory: rows, columns and types as of those that are not."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from enct5.data.reading import read_table
from helpers.small_memory import make_memory_small
from helpers.tables import write_rows

ROWS_OF_JSON: dict[str, list[dict[str, Any]]] = {
    "texts and numbers": [{"text": f"t{n}", "label": n, "share": n / 2} for n in range(20)],
    "a column that comes later": [*[{"text": "a"}] * 9, {"text": "b", "label": "x"}],
    "a column that ends": [*[{"text": "a", "label": "x"}] * 9, *[{"text": "b"}] * 9],
    "mixed types": [*[{"text": "a", "label": 1}] * 9, {"text": "b", "label": "1"}, {"text": "c", "label": 1.0}],
    "fractions at last": [*[{"label": 1}] * 9, {"label": 1.5}],
    "nothing at first": [*[{"text": "a", "label": None}] * 9, {"text": "b", "label": "x"}],
    "nothing at last": [*[{"label": ["x"], "text": "a"}] * 9, *[{"text": "b", "label": None}] * 9],
    "objects": [*({"data": {"text": "a", "n": n}} for n in range(9)), {"data": {"text": "b"}}],
    "one part": [{"text": "a"}] * 3,
}


@pytest.mark.parametrize("rows", ROWS_OF_JSON.values(), ids=ROWS_OF_JSON)
def test_json_that_is_read_in_parts_is_as_in_one(
    rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", rows)
    whole = read_table(source)
    make_memory_small(monkeypatch)
    parts = read_table(source)
    assert parts.column_names == whole.column_names
    assert repr(parts[:]) == repr(whole[:])


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather"])
def test_large_tables_are_as_small_ones(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / f"rows.{ending}"
    frame = pd.DataFrame({"text": [f"é {n}" for n in range(9000)], "label": ["a", "b", "c"] * 3000})
    getattr(frame, f"to_{ending}")(source, **({"index": False} if ending != "feather" else {}))
    whole = read_table(str(source))
    make_memory_small(monkeypatch)
    parts = read_table(str(source))
    assert parts.features == whole.features
    assert parts[:] == whole[:] == frame.to_dict("list")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
