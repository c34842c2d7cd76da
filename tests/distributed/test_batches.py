"""Batches of Arrow come back as they were, with the predictions that the command writes, of types that never change."""

from pathlib import Path

import pyarrow as pa
import pytest

from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from enct5.ray import BatchPredictor


def test_rows_and_columns_come_back_with_predictions(folder: Path) -> None:
    table = pa.table({"id": [3, 1], "text": ["my parcel is late", "refund"], "label": ["a", None]})
    found = BatchPredictor(str(folder), top_k=2, device="cpu")(table)
    wanted = Predictor.from_pretrained(folder).predict(table["text"].to_pylist(), top_k=2)
    assert found.column_names == [
        *table.column_names,
        *("predicted_label", "score", "label_1", "score_1", "label_2", "score_2"),
    ]
    assert found.select(table.column_names) == table
    assert found["predicted_label"].to_pylist() == [best[0]["label"] for best in wanted]
    assert found["score_2"].to_pylist() == pytest.approx([best[1]["score"] for best in wanted])


def test_types_are_the_same_whatever_a_batch_holds(folder: Path) -> None:
    predict = BatchPredictor(str(folder), abstain_below=1.0)
    some = predict(pa.table({"text": ["parcel"]}))
    none = predict(pa.table({"text": pa.array([], pa.string())}))
    assert some["label"].to_pylist() == [None]
    assert some.schema == none.schema
    assert some.schema.field("label").type == pa.string()


def test_what_is_no_table_or_lacks_the_texts_is_refused(folder: Path) -> None:
    predict = BatchPredictor(str(folder))
    with pytest.raises(EncT5Error, match='a batch is a dict; ask for tables of Arrow: `batch_format="pyarrow"`'):
        predict({"text": ["a"]})
    with pytest.raises(EncT5Error, match="no column `text`"):
        predict(pa.table({"texts": ["a"]}))
