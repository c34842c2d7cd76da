"""Rows of token ids in one array, in memory or in a file."""

from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from enct5.errors import EncT5Error
from enct5.files import scratch
from enct5.tokenization import whole_texts
from enct5.tokenization.token_rows import TokenRows, lengths_of
from enct5.tokenization.whole_texts import WholeTexts
from helpers.paths import TOKENIZER

ROWS = [[5, 6, 7], [], [8], [9, 10]]


@pytest.mark.parametrize("limit", [0, 2**26])
def test_rows_are_those_of_all_parts(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "LARGEST", limit)
    rows = TokenRows(iter([ROWS[:3], [], ROWS[3:]]))
    assert [row.tolist() for row in rows] == ROWS
    assert [row.tolist() for row in rows[1:3]] == ROWS[1:3]
    assert (len(rows), rows[-1].tolist(), rows[0].dtype) == (4, [9, 10], np.int32)
    assert lengths_of(rows).tolist() == lengths_of(ROWS).tolist() == [3, 0, 1, 2]
    with pytest.raises(IndexError):
        rows[4]
    assert list(TokenRows([])) == []


@pytest.mark.parametrize("pairs", [False, True])
def test_texts_are_read_as_in_one_part(pairs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(TOKENIZER)
    texts: list[Any] = ["the money of the bank", "", "a card の", "milk " * 30, "\x00", "Ärger の"]
    texts = [(text, "milk") for text in texts] if pairs else texts
    whole = WholeTexts(texts, tokenizer, 16)
    monkeypatch.setattr(scratch, "LARGEST", 0)
    monkeypatch.setattr(whole_texts, "_AT_A_TIME", 2)
    parts = WholeTexts(texts, tokenizer, 16)
    assert [row.tolist() for row in parts.rows] == [row.tolist() for row in whole.rows]
    assert parts.unread == whole.unread
    assert parts.unread.record() == whole.unread.record()
    with pytest.raises(EncT5Error, match="text 4:"):
        WholeTexts(["a", "b", "c", "\ud800"], tokenizer, 16)
