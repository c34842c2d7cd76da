"""What a run is judged by: rows longest first, and logits back in the order of the texts."""

from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import TaggedText, Windows
from enct5.training.evaluation_set import EvaluationSet
from helpers.paths import TOKENIZER


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(TOKENIZER)


def test_rows_are_longest_first_and_logits_in_the_order_of_the_texts(tokenizer: Any) -> None:
    texts = ["a card", "the money of the bank", "milk"]
    inputs, labels = WholeTexts(texts, tokenizer, 16), np.array([1, 0, 2])
    judged = EvaluationSet(texts, labels, "some", 1, inputs, 10 * labels)
    lengths = judged.dataset["length"][:]
    assert lengths == sorted(lengths, reverse=True)
    assert judged.dataset["input_ids"][0] == list(inputs.rows[1])
    assert judged.dataset["labels"][0] == 0
    assert sorted(judged.dataset["labels"][:]) == [0, 10, 20]
    outputs = np.array(judged.dataset["labels"][:])[:, None] + np.array([0, 1])  # a row's own label, so to say
    np.testing.assert_array_equal(judged.logits(outputs, 2), [[10, 11], [0, 1], [20, 21]])
    assert len(judged) == 3


def test_windows_become_texts_again(tokenizer: Any) -> None:
    texts = ["milk", "the money of the bank " * 4]
    inputs = Windows(texts, tokenizer, 12)
    judged = EvaluationSet(texts, [[], []], "some", 0, inputs, [[], []])
    assert len(judged.dataset) == len(inputs.rows) > len(judged) == 2
    outputs = [np.full((length, 3), length, dtype=np.float32) for length in judged.dataset["length"][:]]
    found = judged.logits(outputs, 3)
    assert [one.text for one in found] == texts
    assert isinstance(found[0], TaggedText)
    assert set(found[0].logits.ravel()) == {float(min(judged.dataset["length"][:]))}


@pytest.mark.parametrize(
    ("texts", "columns", "records"),
    [
        (["a", "b"], ("text",), [{"text": "a"}, {"text": "b"}]),
        ([("a", "b")], ("one", "two"), [{"one": "a", "two": "b"}]),
        ([["a", "b"]], ("words",), [{"words": ["a", "b"]}]),
    ],
)
def test_texts_are_rows_of_their_columns(
    tokenizer: Any, texts: list[Any], columns: tuple[str, ...], records: list[dict[str, Any]]
) -> None:
    words = isinstance(texts[0], list)
    inputs: Any = (Windows if words else WholeTexts)(texts, tokenizer, 16)
    targets: Any = [[] for _ in texts] if words else np.zeros(len(texts))
    assert list(EvaluationSet(texts, targets, "some", 0, inputs, targets).records(columns)) == records
