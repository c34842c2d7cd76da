"""Training batches: every row once, equal work, little padding, an order that follows from seed and epoch."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from enct5.training.sampler import TokenBatchSampler
from helpers.texts import SST2_LIKE

LENGTHS = st.lists(st.integers(1, 600), min_size=1, max_size=120)


def epoch(sampler: TokenBatchSampler, number: int) -> list[list[int]]:
    sampler.sampler.set_epoch(number)
    return list(sampler)


def tokens(batches: list[list[int]], lengths: np.ndarray) -> np.ndarray:
    return np.array([lengths[batch].sum() for batch in batches])


@pytest.mark.parametrize("batch_size", [1, 7, 32, 5999, 10_000])
def test_every_row_is_in_exactly_one_batch_of_every_epoch(batch_size: int) -> None:
    sampler = TokenBatchSampler(SST2_LIKE, batch_size, seed=3)
    for number in range(3):
        rows = [row for batch in epoch(sampler, number) for row in batch]
        assert sorted(rows) == list(range(6000))


def test_all_epochs_have_as_many_batches_as_the_length_says() -> None:
    sampler = TokenBatchSampler(SST2_LIKE, 32, seed=3)
    assert len(sampler) == round(6000 / 32)
    assert sampler.mean_rows == 6000 / len(sampler)
    assert {len(epoch(sampler, number)) for number in range(6)} == {len(sampler)}


def test_batches_hold_about_equally_many_tokens() -> None:
    for number in range(3):
        work = tokens(epoch(TokenBatchSampler(SST2_LIKE, 32, seed=1), number), SST2_LIKE)
        assert work.max() / work.min() < 1.35
        assert work.max() < 1.2 * work.mean()


def test_short_texts_make_larger_batches_than_long_ones() -> None:
    batches = epoch(TokenBatchSampler(SST2_LIKE, 32, seed=1), 0)
    by_length = sorted(batches, key=lambda batch: SST2_LIKE[batch].mean())
    assert np.mean([len(batch) for batch in by_length[:20]]) > 60
    assert np.mean([len(batch) for batch in by_length[-20:]]) < 20


def test_padding_adds_less_than_a_tenth() -> None:
    batches = epoch(TokenBatchSampler(SST2_LIKE, 32, seed=1), 0)
    padded = sum(len(batch) * SST2_LIKE[batch].max() for batch in batches)
    assert padded / SST2_LIKE.sum() < 1.1
    at_random = np.random.default_rng(0).permutation(6000).reshape(-1, 32 if 6000 % 32 == 0 else 30)
    assert sum(30 * SST2_LIKE[batch].max() for batch in at_random) / SST2_LIKE.sum() > 2


def test_seed_and_epoch_alone_decide_the_order() -> None:
    first, second = (TokenBatchSampler(SST2_LIKE, 32, seed=5) for _ in range(2))
    epoch(second, 4)  # what was drawn before does not matter
    assert epoch(first, 2) == epoch(second, 2) == epoch(first, 2)
    assert epoch(first, 2) != epoch(first, 3)
    assert epoch(first, 2) != epoch(TokenBatchSampler(SST2_LIKE, 32, seed=6), 2)


def test_the_rows_of_a_batch_change_from_epoch_to_epoch() -> None:
    sampler = TokenBatchSampler(SST2_LIKE, 32, seed=5)
    first, second = ({frozenset(batch) for batch in epoch(sampler, number)} for number in range(2))
    assert not first & second


def test_batches_do_not_come_sorted_by_length() -> None:
    batches = epoch(TokenBatchSampler(SST2_LIKE, 32, seed=5), 0)
    means = [SST2_LIKE[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.3


@pytest.mark.parametrize(
    ("lengths", "batch_size", "batches"),
    [
        ([5], 32, 1),
        ([5, 3, 9], 32, 1),
        ([5, 3, 9], 1, 3),
        ([100_000, *[3] * 99], 10, 10),  # one row of more tokens than all the others
        ([*[3] * 99, 100_000], 10, 10),
        ([7] * 64, 16, 4),
        ([1] * 5, 2, 2),
    ],
)
def test_no_batch_is_empty_in_extreme_cases(lengths: list[int], batch_size: int, batches: int) -> None:
    sampler = TokenBatchSampler(lengths, batch_size, seed=0)
    assert len(sampler) == batches
    for number in range(4):
        drawn = epoch(sampler, number)
        assert len(drawn) == batches
        assert min(map(len, drawn)) >= 1
        assert sorted(row for batch in drawn for row in batch) == list(range(len(lengths)))


def test_rows_of_equal_length_make_equal_batches() -> None:
    assert {len(batch) for batch in epoch(TokenBatchSampler([7] * 640, 16, seed=0), 1)} == {16}


@given(lengths=LENGTHS, batch_size=st.integers(1, 140), seed=st.integers(0, 9), number=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_every_training_batch_has_rows_and_every_row_a_batch(
    lengths: list[int], batch_size: int, seed: int, number: int
) -> None:
    sampler = TokenBatchSampler(lengths, batch_size, seed)
    batches = epoch(sampler, number)
    assert len(batches) == len(sampler) == max(1, round(len(lengths) / batch_size))
    assert all(batches)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))


@given(lengths=LENGTHS, batch_size=st.integers(1, 140), parts=st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_parts_make_up_the_batches_and_none_is_empty(lengths: list[int], batch_size: int, parts: int) -> None:
    assume(len(lengths) >= parts)
    sampler = TokenBatchSampler(lengths, batch_size, seed=0, parts=parts)
    drawn = epoch(sampler, 1)
    assert len(drawn) == len(sampler)
    assert len(sampler) % parts == 0
    assert sorted(row for part in drawn for row in part) == list(range(len(lengths)))
    for start in range(0, len(drawn), parts):
        sizes = [len(part) for part in drawn[start : start + parts]]
        assert max(sizes) - 1 <= min(sizes)
        assert min(sizes) >= 1


def test_batches_are_the_same_for_any_number_of_processes() -> None:
    whole = epoch(TokenBatchSampler(SST2_LIKE, 32, seed=5), 1)
    parts = epoch(TokenBatchSampler(SST2_LIKE, 32, seed=5, parts=3), 1)
    assert [[*first, *second, *third] for first, second, third in zip(*[iter(parts)] * 3, strict=True)] == whole
