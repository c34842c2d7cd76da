"""Tokens and words lie where they stand in the text, for SentencePiece and for bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import ByT5Tokenizer, PreTrainedTokenizerBase

from enct5.explanations.words import Alignment, align
from enct5.model.loading import load_tokenizer

ACCENT = "e\u0301"
FAMILY = "👩\u200d👩\u200d👧"
# texts -> (word, part, start) of every word
WORDS = {
    "blanks": (("hello  world's\tcafé ",), [("hello", 0, 0), ("world's", 0, 7), ("café", 0, 15), ("</s>", 0, 19)]),
    "empty": (("",), [("</s>", 0, 0)]),
    "accents": ((f"{ACCENT} x{ACCENT}",), [(ACCENT, 0, 0), (f"x{ACCENT}", 0, 3), ("</s>", 0, 6)]),
    "ligature": (("a ﬁne Ⅷ",), [("a", 0, 0), ("ﬁne", 0, 2), ("Ⅷ", 0, 6), ("</s>", 0, 7)]),
    "emoji": ((f"{FAMILY} x",), [(FAMILY, 0, 0), ("x", 0, 6), ("</s>", 0, 7)]),
    "named token": (("a b</s> c",), [("a", 0, 0), ("b</s>", 0, 2), ("c", 0, 8), ("</s>", 0, 9)]),
    "pair": (("a b", "c"), [("a", 0, 0), ("b", 0, 2), ("</s>", 0, 3), ("c", 1, 0), ("</s>", 1, 1)]),
    "half a pair": (("a", ""), [("a", 0, 0), ("</s>", 0, 1), ("</s>", 1, 0)]),
}


@pytest.fixture(scope="module", params=["sentencepiece", "bytes"])
def tokenizer(request: pytest.FixtureRequest, t5_folder: Callable[..., Path]) -> PreTrainedTokenizerBase:
    return ByT5Tokenizer() if request.param == "bytes" else load_tokenizer(str(t5_folder()))


def check(aligned: Alignment, texts: tuple[str, ...]) -> None:
    """What holds for every text."""
    assert len(aligned.ids) == len(aligned.tokens) == len(aligned.word_of_token)
    assert sorted(set(aligned.word_of_token)) == list(range(len(aligned.words)))
    assert aligned.word_of_token == sorted(aligned.word_of_token)
    for word in aligned.words:
        assert word.text == "</s>" or word.text == texts[word.part][word.start : word.end]
    for former, word in zip(aligned.words, aligned.words[1:], strict=False):
        assert (former.part, former.end) <= (word.part, word.start) or former.part < word.part
    for token, index in zip(aligned.tokens, aligned.word_of_token, strict=True):
        word = aligned.words[index]
        assert token.part == word.part
        blank = not texts[token.part][token.start : token.end].strip()  # at a text's end, or added
        assert blank or word.start <= token.start < word.end or token.end > word.start > token.start


@pytest.mark.parametrize(("texts", "words"), WORDS.values(), ids=WORDS)
def test_words_and_their_places(
    tokenizer: PreTrainedTokenizerBase, texts: tuple[str, ...], words: list[tuple[str, int, int]]
) -> None:
    aligned = align(tokenizer, texts)
    check(aligned, texts)
    assert [(word.text, word.part, word.start) for word in aligned.words] == words
    assert aligned.tokens_cut == 0
    assert aligned.ids == tokenizer(*[[text] for text in texts])["input_ids"][0]


def test_pieces_are_words_where_there_are_no_spaces(tokenizer: PreTrainedTokenizerBase) -> None:
    text = " 我的iPhone包裹 在"
    aligned = align(tokenizer, (text,))
    check(aligned, (text,))
    assert "iPhone" in [word.text for word in aligned.words]
    assert "".join(word.text for word in aligned.words) == "我的iPhone包裹在</s>"


def test_bytes_of_a_character_share_its_place() -> None:
    aligned = align(ByT5Tokenizer(), ("aé b",))
    assert [(token.start, token.end) for token in aligned.tokens] == [(0, 1), (1, 2), (1, 2), (2, 3), (3, 4), (4, 4)]
    assert aligned.word_of_token == [0, 0, 0, 1, 1, 2]  # a blank belongs to the word after it


@pytest.mark.parametrize("texts", [("late parcel " * 20,), ("late " * 5, "éé " * 20), ("éé " * 20, "late " * 5)])
def test_long_texts_are_cut_as_the_tokenizer_cuts(
    tokenizer: PreTrainedTokenizerBase, texts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "model_max_length", 16)
    aligned = align(tokenizer, texts)
    check(aligned, texts)
    assert aligned.ids == tokenizer(*texts, truncation=True)["input_ids"]
    assert len(aligned.ids) == 16
    assert aligned.tokens_cut == len(tokenizer(*texts)["input_ids"]) - 16
    last = aligned.words[-2]
    assert texts[last.part].startswith(last.text.strip(), last.start)
    assert [word.text for word in aligned.words].count("</s>") == len(texts)
