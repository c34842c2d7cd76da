"""Batches of predictions: within a budget, the longest first, every row once; padding."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enct5.tokenization.batches import length_ordered_batches, pad
from helpers.texts import SST2_LIKE

LENGTHS = st.lists(st.integers(1, 600), min_size=1, max_size=120)


def test_prediction_batches_keep_the_budget_and_start_with_the_longest() -> None:
    batches = length_ordered_batches(SST2_LIKE.tolist(), max_tokens=512)
    longest = [SST2_LIKE[batch].max() for batch in batches]
    assert all(len(batch) * most <= 512 for batch, most in zip(batches, longest, strict=True))
    assert longest == sorted(longest, reverse=True)
    assert longest[0] == SST2_LIKE.max()
    assert sorted(row for batch in batches for row in batch) == list(range(6000))


def test_a_row_beyond_the_budget_is_alone_in_its_batch() -> None:
    assert length_ordered_batches([3, 900, 4, 800], max_tokens=512) == [[1], [3], [2, 0]]


def test_rows_of_equal_length_keep_their_order() -> None:
    assert length_ordered_batches([5, 5, 5, 5], max_tokens=10) == [[0, 1], [2, 3]]


def test_rows_of_a_batch_can_be_limited() -> None:
    lengths = [3, 1, 4, 1, 5]
    assert length_ordered_batches(lengths, 100) == [[4, 2, 0, 1, 3]]
    assert length_ordered_batches(lengths, 100, 2) == [[4, 2], [0, 1], [3]]
    assert length_ordered_batches(lengths, 8, 2) == [[4], [2, 0], [1, 3]]


def test_no_rows_make_no_batches() -> None:
    assert length_ordered_batches([], max_tokens=10) == []


@given(lengths=LENGTHS, budget=st.integers(1, 700))
@settings(max_examples=100, deadline=None)
def test_a_prediction_batch_exceeds_the_budget_only_when_it_is_one_row(lengths: list[int], budget: int) -> None:
    batches = length_ordered_batches(lengths, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget


def test_padding_is_on_the_right_and_masked() -> None:
    padded = pad([[5, 6, 7], [8]], pad_token_id=9)
    assert padded["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert padded["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert padded["input_ids"].dtype == padded["attention_mask"].dtype == np.int64


def test_the_padding_id_inside_a_text_is_not_masked() -> None:
    assert pad([[5, 0, 7]], pad_token_id=0)["attention_mask"].tolist() == [[1, 1, 1]]


def test_batches_keep_a_budget_of_attention() -> None:
    lengths = [9, 40, 40, 40, 10, 10, 10, 10]
    assert length_ordered_batches(lengths, 120, max_squares=3200) == [[1, 2], [3, 4], [5, 6, 7, 0]]
    assert length_ordered_batches(lengths, 120, max_squares=10) == [[row] for row in (1, 2, 3, 4, 5, 6, 7, 0)]
    assert length_ordered_batches(lengths, 120) == [[1, 2, 3], [4, 5, 6, 7, 0]]
    # 40 * 20 * 2 = 1600, and so much for two rows of 40 that attend to 20 tokens
    assert length_ordered_batches(lengths, 120, max_squares=1600, window=20) == [[1, 2], [3, 4], [5, 6, 7, 0]]
    assert length_ordered_batches(lengths, 120, max_squares=1599, window=20)[:3] == [[1], [2], [3]]
    assert length_ordered_batches(lengths, 120, max_squares=3200, window=99) == [[1, 2], [3, 4], [5, 6, 7, 0]]
