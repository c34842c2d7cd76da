"""A run's rows of token ids."""

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from enct5.training.dataset import tokenize


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """A word tokenizer that joins pairs as T5 does: pad 0, end 1, unknown 2, a to e 3 to 7."""
    vocabulary = {token: number for number, token in enumerate(["<pad>", "</s>", "<unk>", *"abcde"])}
    model = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    model.pre_tokenizer = Whitespace()
    model.post_processor = TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=4
    )


def test_tokenize_texts(tokenizer: PreTrainedTokenizerFast, capfd: pytest.CaptureFixture[str]) -> None:
    """Ids are unpadded, an empty text is the end token, long texts are cut before it and counted."""
    texts = ["a b", "", "a b c d e", "a b c"]
    result, unread = tokenize(texts, tokenizer, 4)
    assert result.to_dict() == {
        "input_ids": [[3, 4, 1], [1], [3, 4, 5, 1], [3, 4, 5, 1]],
        "length": [3, 1, 4, 4],
    }
    assert (unread.long, unread.tokens_cut) == (1, 2)
    assert tokenize(texts, tokenizer, None)[0]["length"][:] == [3, 1, 6, 4]
    assert result.cache_files == []
    assert capfd.readouterr() == ("", "")


def test_tokenize_pairs(tokenizer: PreTrainedTokenizerFast) -> None:
    """Two texts are joined as `A </s> B </s>`; the longer text is cut first."""
    result, unread = tokenize([("a", "b c"), ("a b c d", "e")], tokenizer, 5)
    assert result["input_ids"][:] == [[3, 1, 4, 5, 1], [3, 4, 1, 7, 1]]
    assert (unread.long, unread.tokens_cut) == (1, 2)


@pytest.mark.parametrize(
    "labels",
    [np.array([1, 0]), np.array([0.5, 2], dtype=np.float32), np.array([[0, 1], [1, 1]], dtype=np.float32)],
)
def test_tokenize_keeps_labels(tokenizer: PreTrainedTokenizerFast, labels: np.ndarray) -> None:
    """Encoded labels keep their type and shape."""
    result, _ = tokenize(["a", "b"], tokenizer, 8, labels)
    back = result.with_format("numpy")["labels"][:]
    assert back.dtype == labels.dtype
    assert back.tolist() == labels.tolist()


def test_tokenize_many_texts(tokenizer: PreTrainedTokenizerFast) -> None:
    """Texts of more than one chunk keep their order."""
    result, _ = tokenize(["b c", "a"] * 1500, tokenizer, 8, np.arange(3000))
    assert result["input_ids"][:4] == [[4, 5, 1], [3, 1], [4, 5, 1], [3, 1]]
    assert result[2999] == {"input_ids": [3, 1], "length": 2, "labels": 2999}
