"""The held-out part: shares, order, seed, and copies on one side."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from enct5.data.split import split_rows, text_keys
from enct5.errors import EncT5Error
from enct5.tasks.registry import TASKS


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


def test_split_of_millions_keeps_shares_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enct5.data.split._MOST_LISTED", 100)
    labels = ["a"] * 600 + ["b"] * 300 + ["c"] * 98 + ["d"] * 2
    train, evaluation = split_rows([*range(1000)], labels, 0.1, seed=7)
    assert sorted([*train, *evaluation]) == [*range(1000)]
    held_out = Counter(labels[row] for row in evaluation)
    assert sum(held_out.values()) == 100
    assert all(abs(held_out[name] - share) <= 1 for name, share in (("a", 60), ("b", 30), ("c", 10), ("d", 0)))


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
    training, held_out = split_rows(text_keys(written), strata, fraction, seed)
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
        parts = split_rows(text_keys(pairs), ["x"] * 40, 0.5, seed)
        first, second = ({pairs[row][1].strip() for row in part} for part in parts)
        assert (first | second, first & second) == ({"b", "c", "d"}, set())
    words = [["a", "b"], ["a b"], ["c"], ["d"]]
    for seed in range(5):
        held_out = split_rows(text_keys(words * 10), ["x"] * 40, 0.5, seed)[1].tolist()
        assert held_out in ([*range(2, 40, 4)], [*range(3, 40, 4)], sorted([*range(0, 40, 4), *range(1, 40, 4)]))


def test_processes_of_one_run_split_alike() -> None:
    """Python's hashes of texts, by which copies are found, are others in each."""
    code = (
        "from enct5.data.split import split_rows, text_keys\n"
        "keys = text_keys([f'text {row % 40}' for row in range(60)])\n"
        "print(split_rows(keys, ['a', 'b'] * 30, 0.3, 0)[1].tolist())"
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
