"""A tokenizer read without transformers gives what transformers' own gives, for all that prediction asks."""

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from enct5.assets import bundled_t5
from enct5.errors import EncT5Error
from enct5.export.tokenizer import tokenizer_of
from enct5.tokenization.fast_tokenizer import NO_LIMIT, FastTokenizer
from enct5.tokenization.rows import tokenize
from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import Windows
from helpers import strategies
from helpers.paths import TOKENIZER


def with_byte_fallback() -> PreTrainedTokenizerFast:
    """One that spells what it has no piece for, and cuts texts on the left."""
    names = ["<pad>", "</s>", "<unk>", "▁", "a", "b", "▁ab", "é", *(f"<0x{byte:02X}>" for byte in range(256))]
    backend = Tokenizer(models.Unigram([(name, -2.0) for name in names], unk_id=2, byte_fallback=True))
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    backend.add_special_tokens(["<pad>", "</s>", "<unk>"])
    backend.add_tokens([AddedToken("zz", lstrip=True), AddedToken("019", normalized=False)])
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=7, truncation_side="left", split_special_tokens=True, **names
    )


MAKERS: dict[str, Callable[[], Any]] = {
    "tests": lambda: AutoTokenizer.from_pretrained(TOKENIZER),
    "bundled": lambda: AutoTokenizer.from_pretrained(bundled_t5(), model_max_length=9),
    "bytes": with_byte_fallback,
}


@pytest.fixture(scope="module", params=MAKERS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[FastTokenizer, Any]:
    """A saved tokenizer as it is read here and by transformers."""
    folder = tmp_path_factory.mktemp("tokenizer")
    MAKERS[request.param]().save_pretrained(folder)
    return tokenizer_of(str(folder)), AutoTokenizer.from_pretrained(folder)


def test_what_it_says_of_itself(pair: tuple[FastTokenizer, Any]) -> None:
    mine, theirs = pair
    assert isinstance(mine, FastTokenizer)
    for name in ("model_max_length", "truncation_side", "name_or_path", "is_fast"):
        assert getattr(mine, name) == getattr(theirs, name), name
    for name in ("eos_token", "unk_token", "pad_token"):
        assert getattr(mine, name) == getattr(theirs, name)
        assert getattr(mine, f"{name}_id") == getattr(theirs, f"{name}_id")
    assert mine.get_vocab() == theirs.get_vocab()
    assert len(mine) == len(theirs)
    assert mine.pieces == len(theirs) - len(theirs.added_tokens_decoder)
    asked = ["<0x41>", "</s>", "▁", "no such token"]
    assert mine.convert_tokens_to_ids(asked) == theirs.convert_tokens_to_ids(asked)
    for pair_of_texts in (False, True):
        assert mine.num_special_tokens_to_add(pair_of_texts) == theirs.num_special_tokens_to_add(pair_of_texts)


specials = st.sampled_from(
    ["<pad>", "<unk>", "<extra_id_0>", "<extra_id_99>", " </s> ", "<0x41>", "zz", " zz", "▁", "A"]
)
odd = st.lists(strategies.texts | specials, max_size=6).map("".join)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(odd, min_size=1, max_size=4), data=st.data())
def test_texts_and_pairs_of_any_characters_have_the_same_tokens_at_the_same_places(
    pair: tuple[FastTokenizer, Any], texts: list[str], data: st.DataObject
) -> None:
    mine, theirs = pair
    seconds = data.draw(st.lists(odd, min_size=len(texts), max_size=len(texts)))
    for columns in ([texts], [texts, seconds]):
        for added in (True, False):
            options = {"add_special_tokens": added, "return_offsets_mapping": True}
            found, wanted = tokenize(mine, *columns, **options), tokenize(theirs, *columns, **options)
            assert found["input_ids"] == wanted["input_ids"]
            assert found["offset_mapping"] == wanted["offset_mapping"]
            for row, ids in enumerate(wanted["input_ids"]):
                assert found.sequence_ids(row) == wanted.sequence_ids(row)
                for token in range(len(ids)):
                    assert found.token_to_sequence(row, token) == wanted.token_to_sequence(row, token)
                    place = wanted.token_to_chars(row, token)
                    assert found.token_to_chars(row, token) == (None if place is None else tuple(place))


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(odd, max_size=4), most=st.integers(2, 12))
def test_rows_and_what_is_unread_are_the_same(pair: tuple[FastTokenizer, Any], texts: list[str], most: int) -> None:
    pairs = [(text, text[::-1]) for text in texts]
    for kind, given_texts in ((WholeTexts, texts), (WholeTexts, pairs), (Windows, texts)):
        mine, theirs = (kind(given_texts, tokenizer, most) for tokenizer in pair)  # type: ignore[arg-type]
        assert [row.tolist() for row in mine.rows] == [row.tolist() for row in theirs.rows]
        assert mine.unread == theirs.unread


def test_long_texts_are_read_whole(pair: tuple[FastTokenizer, Any]) -> None:
    text = "a b é 🙂 </s> parcel " * 5000
    mine, theirs = pair
    assert mine([text])["input_ids"] == theirs([text], verbose=False)["input_ids"]


def test_half_a_surrogate_pair_is_refused(pair: tuple[FastTokenizer, Any]) -> None:
    with pytest.raises(EncT5Error, match="text 2"):
        tokenize(pair[0], ["a", "\ud800"])


def test_copies_are_alike(pair: tuple[FastTokenizer, Any]) -> None:
    mine, _ = pair
    for made in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert made(["a </s> <pad> ab"])["input_ids"] == mine(["a </s> <pad> ab"])["input_ids"]
        assert (made.model_max_length, made.truncation_side) == (mine.model_max_length, mine.truncation_side)


def saved(folder: Path) -> Path:
    AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder)
    return folder


def changed(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def test_neither_cutting_nor_padding_of_the_file_is_taken_over_but_its_side(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.enable_truncation(3, direction="left")
    backend.enable_padding(length=9)
    backend.save(str(folder / "tokenizer.json"))
    mine = FastTokenizer.read(folder / "tokenizer.json", None)
    assert (mine.truncation_side, mine.model_max_length) == ("left", NO_LIMIT)
    assert mine.pad_token == "[PAD]"
    assert len(mine(["a b a b a b a b"])["input_ids"][0]) == len(tokenizer_ids("a b a b a b a b"))


def tokenizer_ids(text: str) -> list[int]:
    return AutoTokenizer.from_pretrained(TOKENIZER)(text)["input_ids"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tokenizer.json", "{", r"tokenizer\.json is damaged"),
        ("tokenizer.json", '{"version": "1.0"}', r"tokenizer\.json is damaged"),
        ("tokenizer_config.json", "{", r"tokenizer_config\.json is damaged"),
        ("tokenizer_config.json", "[]", r"tokenizer_config\.json is damaged"),
        ("tokenizer_config.json", '{"model_max_length": "long"}', "`model_max_length` is 'long'"),
        ("tokenizer_config.json", '{"model_max_length": 0}', "`model_max_length` is 0"),
        ("tokenizer_config.json", '{"truncation_side": "top"}', "`truncation_side` is 'top'"),
        ("tokenizer_config.json", '{"eos_token": 1}', "a special token is 1"),
    ],
)
def test_damage_is_one_line_that_names_the_folder(tmp_path: Path, name: str, content: str, said: str) -> None:
    folder = saved(tmp_path)
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(EncT5Error, match=said) as raised:
        tokenizer_of(str(folder))
    assert str(folder) in str(raised.value)


def test_a_tokenizer_of_transformers_alone_is_read_by_it(tmp_path: Path) -> None:
    from transformers import ByT5Tokenizer

    ByT5Tokenizer().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "enct5"}', encoding="utf-8")
    assert isinstance(tokenizer_of(str(tmp_path)), ByT5Tokenizer)
