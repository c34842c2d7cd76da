"""Rows of token ids from texts and back: offsets of tokens, tags of tokens, windows of long texts."""

import re
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerBase, T5Tokenizer

from enct5.tasks.entities import tag_names
from enct5.tasks.registry import TASKS
from enct5.tokenization.offsets import tokens_with_offsets
from enct5.tokenization.unread import Unread
from enct5.tokenization.windows import IGNORED, Windows
from helpers.paths import TOKENIZER, shared

TOKENS = TASKS["tokens"]
TEXTS = [
    "From  New York to\tSão Paulo",
    "  leading and trailing  ",
    "e\u0301te\u0301 a\u0300 Nu\u0302",
    "😀😃 12€, ½ kg ﬁne…",
    "👨\u200d👩\u200d👧 family\u200b!",
    "日本 東京タワー",
    "a</s>b <pad> <extra_id_0> c",
    "\u1112\u1161\u11ab\u1100\u1173\u11af x",
    "ﷺ q\u00a0r",
    "",
    "   ",
]


@pytest.fixture(scope="module", params=["bundled", "t5", "byt5"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    if request.param == "byt5":
        return ByT5Tokenizer()
    if request.param == "bundled":
        return AutoTokenizer.from_pretrained(TOKENIZER)
    return T5Tokenizer.from_pretrained(shared("fixtures", "t5-tokenizer"))


def certain(windows: Windows, targets: list[Any], tags: int) -> list[Any]:
    """Logits of a model that is sure of the targets."""
    return [np.eye(tags, dtype=np.float32)[np.where(row == IGNORED, 0, row)] * 30 for row in targets]


def found(windows: Windows, logits: list[Any], names: list[str]) -> list[list[tuple[int, int, str]]]:
    results = TOKENS.decode(windows.outputs(logits, len(names)), dict(enumerate(names)), None)
    return [[(one["start"], one["end"], one["label"]) for one in result["entities"]] for result in results]


def words_of(text: str) -> list[tuple[int, int]]:
    """Start and end of everything between blanks, without invisible characters at its ends."""
    bounds = []
    for word in re.finditer(r"\S+", text):
        visible = [place for place in range(*word.span()) if unicodedata.category(text[place])[0] not in "ZC"]
        if visible:
            bounds.append((visible[0], visible[-1] + 1))
    return bounds


@pytest.mark.parametrize("text", TEXTS)
def test_offsets_are_in_order_and_leave_out_blanks_only(text: str, tokenizer: PreTrainedTokenizerBase) -> None:
    ((ids, offsets),) = tokens_with_offsets([text], tokenizer)
    assert ids.shape[0] == offsets.shape[0]
    assert (offsets[:, 0] < offsets[:, 1]).all()
    assert (np.diff(offsets[:, 0]) >= 0).all()
    assert offsets.max(initial=0) <= len(text)
    covered = {place for start, end in offsets.tolist() for place in range(start, end)}
    missed = [c for place, c in enumerate(text) if place not in covered and unicodedata.category(c)[0] not in "ZC"]
    assert missed == []


def test_plain_tokens_stand_for_their_own_characters(tokenizer: PreTrainedTokenizerBase) -> None:
    text = "Where is  the parcel, 12 days late?"
    ((ids, offsets),) = tokens_with_offsets([text], tokenizer)
    pieces = [tokenizer.convert_ids_to_tokens(int(token)).replace("▁", "") for token in ids]
    assert [
        piece for piece, (start, end) in zip(pieces, offsets, strict=True) if piece not in ("", text[start:end])
    ] == []


def test_bytes_of_a_character_share_its_place() -> None:
    ((ids, offsets),) = tokens_with_offsets(["é</s>😀"], ByT5Tokenizer())
    assert offsets[:, 0].tolist() == [0, 0, 1, 2, 3, 4, 5, 5, 5, 5]
    assert bytes(int(token) - 3 for token in ids).decode() == "é</s>😀"


def test_rows_are_what_the_tokenizer_gives(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = ["Where is my parcel?", "", "São  Paulo 😀"]
    assert [row.tolist() for row in Windows(texts, tokenizer, None).rows] == tokenizer(texts)["input_ids"]


NAMES = tag_names(["a", "b"])


@pytest.mark.parametrize("max_length", [None, 2, 3, 6, 16])
@pytest.mark.parametrize("text", TEXTS)
def test_entities_come_back_as_they_were(text: str, max_length: int | None, tokenizer: PreTrainedTokenizerBase) -> None:
    spans = [(start, end, number % 2) for number, (start, end) in enumerate(words_of(text))]
    windows = Windows([text], tokenizer, max_length)
    assert max_length is None or max(map(len, windows.rows)) <= max_length
    targets = windows.targets([spans])
    expected = [(start, end, "ab"[label]) for start, end, label in spans]
    assert found(windows, certain(windows, targets, 5), NAMES) == [expected]


alphabet = st.sampled_from(
    [*"abcXYZ019.,-", " ", " ", "  ", "\t", "\n", "é", "e\u0301", "ß", "日", "東", "😀", "½", "€", "\u200b", "\u00a0"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=st.lists(alphabet, max_size=40), max_length=st.sampled_from([None, 2, 5, 9]), data=st.data())
def test_any_words_come_back(
    tokenizer: PreTrainedTokenizerBase, parts: list[str], max_length: int | None, data: Any
) -> None:
    text = "".join(parts)
    spans = [(start, end, data.draw(st.integers(0, 1))) for start, end in words_of(text) if data.draw(st.booleans())]
    windows = Windows([text], tokenizer, max_length)
    expected = [(start, end, "ab"[label]) for start, end, label in spans]
    assert found(windows, certain(windows, windows.targets([spans]), 5), NAMES) == [expected]


@pytest.mark.parametrize("max_length", [None, 4])
def test_lists_of_words_are_counted_in_words(max_length: int | None, tokenizer: PreTrainedTokenizerBase) -> None:
    words = ["", "From", "New", "York", "", "😀", "to", "Rome", "now.", " "]
    windows = Windows([words], tokenizer, max_length)
    spans = [(2, 4, 0), (5, 6, 1), (7, 9, 1)]
    logits = certain(windows, windows.targets([spans]), 5)
    assert found(windows, logits, NAMES) == [[(2, 4, "a"), (5, 6, "b"), (7, 9, "b")]]
    (result,) = TOKENS.decode(windows.outputs(logits, 5), dict(enumerate(NAMES)), None)
    assert [one["text"] for one in result["entities"]] == ["New York", "😀", "Rome now."]
    assert result["entities"][0]["score"] == pytest.approx(1.0)


def test_a_word_is_tagged_by_its_first_token() -> None:
    windows = Windows([["parcelparcelx", "b"]], AutoTokenizer.from_pretrained(TOKENIZER), None)
    count = len(windows.rows[0])
    assert count > 3
    logits = np.zeros((count, 5), dtype=np.float32)
    logits[:, 0] = 5  # O everywhere but at the first token
    logits[0, 1] = 9
    assert found(windows, [logits], NAMES) == [[(0, 1, "a")]]


def test_every_token_counts_once_and_where_it_is_far_from_the_ends() -> None:
    tokenizer = ByT5Tokenizer()
    text = "".join(chr(97 + number % 26) for number in range(1000))
    windows = Windows([text], tokenizer, 101)
    assert windows.unread.long == 1
    assert all(len(row) == 101 and row[-1] == 1 for row in windows.rows)
    targets = windows.targets([[(0, 1000, 0)]])
    assert sum((row != IGNORED).sum() for row in targets) == 1000
    assert all(row[-1] == IGNORED for row in targets)
    for window in windows.windows:
        assert window.start == 0 or window.first - window.start >= 12
        assert window.start + 100 == 1000 or window.start + 100 - window.last >= 12
    assert found(windows, certain(windows, targets, 5), NAMES) == [[(0, 1000, "a")]]


def test_only_counting_logits_are_read() -> None:
    windows = Windows(["abcdefghij"], ByT5Tokenizer(), 5)
    logits = []
    for window, row in zip(windows.windows, windows.rows, strict=True):
        own = np.full((len(row) + 3, 5), np.nan, dtype=np.float32)  # padding, end token and context
        places = np.arange(window.first, window.last)
        own[window.first - window.start : window.last - window.start] = np.eye(5)[places % 5]
        logits.append(own)
    (tagged,) = windows.outputs(logits, 5)
    assert tagged.logits.argmax(-1).tolist() == [number % 5 for number in range(10)]


def test_no_texts_have_no_rows() -> None:
    for task in TASKS.values():
        inputs = task.inputs([], ByT5Tokenizer(), 8)
        assert (list(inputs.rows), inputs.unread, len(inputs.outputs([], 3))) == ([], Unread(), 0)
