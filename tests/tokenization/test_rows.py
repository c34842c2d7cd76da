"""Texts are cut to the ids that the tokenizer's own truncation gives, and no thread disturbs another."""

import threading
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerBase

from enct5.errors import EncT5Error
from enct5.explanations.words import align
from enct5.tokenization.offsets import tokens_with_offsets
from enct5.tokenization.rows import tokenize
from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import Windows
from helpers.paths import TOKENIZER


def made(kind: str) -> PreTrainedTokenizerBase:
    return ByT5Tokenizer() if kind == "byt5" else AutoTokenizer.from_pretrained(TOKENIZER)


@pytest.fixture(autouse=True)
def no_warnings_of_every_pair() -> None:
    transformers.logging.set_verbosity_error()


@pytest.fixture(scope="module", params=["bundled", "byt5"])
def pair_of_tokenizers(request: pytest.FixtureRequest) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    """The one that is tested, and another that cuts by itself."""
    return made(request.param), made(request.param)


def rows(tokenizer: PreTrainedTokenizerBase, texts: Any, max_length: int) -> list[list[int]]:
    return [row.tolist() for row in WholeTexts(texts, tokenizer, max_length).rows]


def state_of(tokenizer: PreTrainedTokenizerBase) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend and (backend.truncation, backend.padding)


@pytest.mark.parametrize("side", ["right", "left"])
def test_single_texts_and_pairs_of_any_length_are_cut_as_the_tokenizer_cuts(
    pair_of_tokenizers: tuple[Any, Any], side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, own = pair_of_tokenizers
    for tokenizer in (mine, own):
        monkeypatch.setattr(tokenizer, "truncation_side", side)
    singles = ["a " * count for count in range(9)]
    # From the left, transformers' own tokenizers take an empty second text for none.
    pairs = list(product(singles, ["b " * count for count in range(side == "left" and not mine.is_fast, 9)]))
    for max_length in range(2, 24):
        assert rows(mine, singles, max_length) == own(singles, truncation=True, max_length=max_length)["input_ids"]
        columns = [list(column) for column in zip(*pairs, strict=True)]
        assert rows(mine, pairs, max_length) == own(*columns, truncation=True, max_length=max_length)["input_ids"]


def test_aligned_texts_are_cut_alike(pair_of_tokenizers: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mine, own = pair_of_tokenizers
    for side, max_length in product(("right", "left"), (2, 5, 9, 10)):
        monkeypatch.setattr(mine, "truncation_side", side)
        monkeypatch.setattr(mine, "model_max_length", max_length)
        monkeypatch.setattr(own, "truncation_side", side)
        for texts in (("late parcel here now",), ("late parcel", "éé where"), ("éé is it", "x"), ("x</s>", "late one")):
            columns = [[text] for text in texts]
            aligned = align(mine, texts)
            assert aligned.ids == own(*columns, truncation=True, max_length=max_length)["input_ids"][0]
            assert aligned.tokens_cut == len(own(*columns)["input_ids"][0]) - len(aligned.ids)
            assert [aligned.ids] == rows(mine, [texts[0] if len(texts) == 1 else texts], max_length)
            for token, name in zip(aligned.tokens, mine.convert_ids_to_tokens(aligned.ids), strict=True):
                assert token.text == name or name == "<unk>"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pairs=st.lists(st.tuples(*[st.text("ab c1é日😀\n.</s>", max_size=30)] * 2), min_size=1, max_size=4),
    max_length=st.integers(2, 40),
)
def test_any_texts_are_cut_as_the_tokenizer_cuts(
    pair_of_tokenizers: tuple[Any, Any], pairs: list[tuple[str, str]], max_length: int
) -> None:
    mine, own = pair_of_tokenizers
    first, second = ([pair[number] for pair in pairs] for number in range(2))
    assert rows(mine, first, max_length) == own(first, truncation=True, max_length=max_length)["input_ids"]
    assert rows(mine, pairs, max_length) == own(first, second, truncation=True, max_length=max_length)["input_ids"]


def test_a_very_long_text_is_cut_as_the_tokenizer_cuts(pair_of_tokenizers: tuple[Any, Any]) -> None:
    mine, own = pair_of_tokenizers
    long = "where is my parcel, please? " * 4_000
    inputs = WholeTexts([long, "short"], mine, 512)
    assert [row.tolist() for row in inputs.rows] == own([long, "short"], truncation=True, max_length=512)["input_ids"]
    assert inputs.unread.long == 1
    expected = own([long], [long[:900]], truncation=True, max_length=512)["input_ids"]
    assert rows(mine, [(long, long[:900])], 512) == expected


def test_the_tokenizer_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = made("bundled")
    monkeypatch.setattr(tokenizer, "model_max_length", 8)
    backend = type(tokenizer.backend_tokenizer)
    touched: list[Any] = []
    monkeypatch.setattr(type(tokenizer), "set_truncation_and_padding", lambda *_, **to: touched.append(to))
    for read in (
        lambda: WholeTexts(["late parcel " * 9, "a"], tokenizer, 8),
        lambda: Windows(["late parcel " * 9, "a"], tokenizer, 8),
        lambda: align(tokenizer, ("late parcel " * 9,)),
    ):
        read()
    assert isinstance(tokenizer.backend_tokenizer, backend)
    assert touched
    assert all(
        (to["truncation_strategy"], to["padding_strategy"]) == ("do_not_truncate", "do_not_pad") for to in touched
    )
    assert state_of(tokenizer) == (None, None)


def in_threads(*works: Callable[[], None]) -> list[BaseException]:
    """What was raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_many_threads_read_texts_as_one_does() -> None:
    tokenizer = made("bundled")
    kinds: list[tuple[list[Any], int]] = [
        (["where is it", "please send the invoice " * 20], 16),
        (["where is it", "please send the invoice " * 20], 9),
        ([("where is it " * 9, "now"), ("a", "please " * 30)], 12),
        (["short"], 512),
    ]
    wanted = [rows(tokenizer, texts, max_length) for texts, max_length in kinds]

    def work(number: int) -> None:
        texts, max_length = kinds[number % len(kinds)]
        for _ in range(100):
            assert rows(tokenizer, texts, max_length) == wanted[number % len(kinds)]
            assert align(tokenizer, ["late parcel"]).ids[-1] == 1

    assert in_threads(*(lambda number=number: work(number) for number in range(8))) == []


@pytest.mark.parametrize(
    "options", [{"truncation": True, "max_length": 4}, {"padding": "max_length", "max_length": 40}]
)
def test_what_another_thread_turned_on_in_the_tokenizer_changes_no_ids(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the other thread had come between the tokenizer's settings and its work."""
    tokenizer = made("bundled")
    texts = ["where is my parcel", "a"]
    wanted = tokenizer(texts)["input_ids"]
    tokenizer(texts, **options)
    assert state_of(tokenizer) != (None, None)
    change = type(tokenizer).set_truncation_and_padding
    monkeypatch.setattr(
        type(tokenizer),
        "set_truncation_and_padding",
        lambda self, *args, **to: None if self is tokenizer else change(self, *args, **to),
    )
    assert tokenizer(texts)["input_ids"] != wanted
    assert rows(tokenizer, texts, 512) == wanted
    assert [ids.tolist() for ids, _ in tokens_with_offsets(texts, tokenizer)] == [row[:-1] for row in wanted]
    assert align(tokenizer, texts[:1]).ids == wanted[0]


@pytest.mark.parametrize("kind", ["bundled", "byt5"])
def test_half_a_surrogate_pair_is_refused_with_the_text_s_number(kind: str) -> None:
    tokenizer = made(kind)
    message = r"text 2: `'\\ud83d'` at character 6 is half of a surrogate pair"
    for read in (
        lambda: WholeTexts(["fine", "half \ud83d"], tokenizer, 16),
        lambda: WholeTexts([("fine", "a"), ("b", "half \ud83d")], tokenizer, 16),
        lambda: Windows(["fine", ["half", "\ud83d"]], tokenizer, 16),
        lambda: tokenize(tokenizer, ["fine", "half \ud83d"]),
    ):
        with pytest.raises(EncT5Error, match=message):
            read()
    with pytest.raises(EncT5Error, match="text 1"):
        align(tokenizer, ("\ud83d",))
