"""Predictions of any table and any batch: every row keeps its place and its columns, and no row changes another's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enct5.data.reading import read_table
from enct5.inference import prediction_file
from enct5.inference.prediction_file import predict_table
from enct5.inference.predictor import Predictor
from enct5.tokenization.batches import length_ordered_batches
from helpers.echo import Echo
from helpers.models import saved_model
from helpers.strategies import texts
from helpers.tables import write

pytestmark = pytest.mark.usefixtures("one_thread")

some = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def predictor(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.from_pretrained(saved_model(t5_folder(), tmp_path_factory.mktemp("model")))


@some
@given(
    rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=7),
    source=st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"]),
    kind=st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"]),
    size=st.integers(1, 4),
)
def test_rows_of_any_table_keep_their_place(
    tmp_path: Path, rows: list[tuple[str, str]], source: str, kind: str, size: int
) -> None:
    columns = {"text": [text for text, _ in rows], 'note, "1"': [note for _, note in rows]}
    out = tmp_path / f"out{kind}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_file, "CHUNK_ROWS", size)
        predict_table(Echo(), str(write(tmp_path / f"in{source}", columns)), None, out)
    table = read_table(str(out))
    assert table.column_names == [*columns, "label", "score"]
    assert {name: table[name][:] for name in columns} == columns
    assert table["label"][:] == [f"<{text}>" for text in columns["text"]]


@some
@given(some_texts=st.lists(texts, min_size=1, max_size=6), data=st.data())
def test_order_and_neighbours_change_no_logits(predictor: Predictor, some_texts: list[str], data: Any) -> None:
    alone = np.concatenate([predictor.logits([text]) for text in some_texts])
    order = data.draw(st.permutations(range(len(some_texts))))
    together = predictor.logits([some_texts[row] for row in order])
    np.testing.assert_allclose(together, alone[order], atol=1e-4)


@some
@given(some_texts=st.lists(texts, min_size=1, max_size=4), side=st.sampled_from(["left", "right"]))
def test_padding_changes_no_logits_of_the_plain_model(predictor: Predictor, some_texts: list[str], side: str) -> None:
    inputs = predictor.tokenizer(some_texts, padding=True, padding_side=side, truncation=True, return_tensors="pt")
    with torch.no_grad():
        logits = predictor.model(**inputs).logits.numpy()
    np.testing.assert_allclose(logits, predictor.logits(some_texts), atol=1e-4)


@settings(some, max_examples=200)
@given(
    lengths=st.lists(st.integers(1, 300), max_size=60),
    budget=st.integers(1, 2000),
    most=st.none() | st.integers(1, 9),
)
def test_batches_are_all_rows_within_the_budget(lengths: list[int], budget: int, most: int | None) -> None:
    batches = length_ordered_batches(lengths, budget, most)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget
        assert most is None or len(batch) <= most
