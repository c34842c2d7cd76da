"""The quick fit: what it reads, that no row judges itself, and that every process has the same."""

import os
import subprocess
import sys

import numpy as np
import pytest

from enct5.checking import quick_fit
from helpers.checked import messages_with

ROWS = messages_with({})
TEXTS = [row["text"] for row in ROWS]
NAMES = sorted({row["label"] for row in ROWS})
TARGETS = np.array([NAMES.index(row["label"]) for row in ROWS])


def test_a_text_has_the_mean_of_its_own_states_whatever_it_is_batched_with() -> None:
    texts = ["late parcel", "my money and my card and a bank, all of it at once", "late parcel"]
    together = quick_fit.states(texts)
    assert together.shape == (3, 256)
    np.testing.assert_array_equal(together[0], together[2])
    for row, text in enumerate(texts):
        np.testing.assert_allclose(quick_fit.states([text])[0], together[row], atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 0.05


def test_long_texts_are_read_to_a_limit() -> None:
    long = "money " * quick_fit.MOST_TOKENS
    first, second = quick_fit.states([long + "parcel", long + "coffee"])
    np.testing.assert_array_equal(first, second)


def test_pairs_are_read_with_what_sets_them_apart() -> None:
    one, two = quick_fit.states(["late parcel", "money back"])
    (pair,) = quick_fit.states([("late parcel", "money back")])
    np.testing.assert_allclose(pair, np.hstack([one, two, abs(one - two), one * two]), atol=1e-4)


def test_classes_that_follow_from_the_words_are_found() -> None:
    scores = quick_fit.probabilities(TEXTS, TARGETS, TEXTS)
    assert scores.shape == (60, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (scores.argmax(axis=1) == TARGETS).mean() > 0.9


def test_labels_have_probabilities_of_their_own() -> None:
    targets = np.stack([TARGETS == 0, (TARGETS == 0) | (TARGETS == 1)], axis=1).astype(int)
    scores = quick_fit.probabilities(TEXTS, targets, TEXTS)
    assert scores.shape == (60, 2)
    assert ((scores >= 0.5) == targets).mean() > 0.9


def test_copies_of_a_text_do_not_judge_each_other() -> None:
    """By what it was fitted to, the fit would know a text of random letters; by others it cannot."""
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("bcdfghjkl"), 12)) for _ in range(40)]
    targets = random.permutation(np.arange(40) % 2)
    apart = quick_fit.probabilities(texts * 2, np.tile(targets, 2), [*texts, *texts])
    leaking = quick_fit.probabilities(texts * 2, np.tile(targets, 2), range(80))
    right = [(scores.argmax(axis=1) == np.tile(targets, 2)).mean() for scores in (apart, leaking)]
    assert right[1] > right[0] + 0.15


def test_one_label_alone_is_judged_as_among_others() -> None:
    targets = np.stack([TARGETS == 0, TARGETS == 1], axis=1).astype(int)
    alone = quick_fit.probabilities(TEXTS, targets[:, :1], TEXTS)
    assert alone.shape == (60, 1)
    assert ((alone >= 0.5) == targets[:, :1]).mean() > 0.9


def test_rare_labels_are_no_reason_to_warn(recwarn: pytest.WarningsRecorder) -> None:
    targets = np.zeros((60, 2), dtype=int)
    targets[:5, 0] = targets[::2, 1] = 1
    scores = quick_fit.probabilities(TEXTS, targets, ["the same"] * 5 + TEXTS[5:])  # all in one fold
    assert scores[:5, 0].max() < 0.5
    assert [str(one.message) for one in recwarn if "sklearn" in one.filename] == []


@pytest.mark.slow
def test_every_process_has_the_same() -> None:
    script = (
        "from enct5.data.split import text_keys\n"  # whose numbers every process has for itself
        "from enct5.checking import quick_fit\n"
        "texts = [f'text {row} of {row % 3}' for row in range(60)]\n"
        "import numpy as np\n"
        "scores = quick_fit.probabilities(texts, np.arange(60) % 3, text_keys(texts))\n"
        "print(scores.round(6).tolist())\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, **seed}
        ).stdout
        for seed in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"})
    ]
    assert said[0] == said[1] != ""
