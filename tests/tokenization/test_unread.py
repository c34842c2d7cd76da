from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers
from transformers import AutoTokenizer, ByT5Tokenizer, GPT2Tokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from enct5.assets import bundled_t5
from enct5.errors import EncT5Error
from enct5.tokenization.unread import Unread, check, cut, examples, measure, notes, percent
from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import Windows
from helpers.paths import TOKENIZER


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(TOKENIZER)


@pytest.fixture(scope="module")
def spelling() -> PreTrainedTokenizerBase:
    """A tokenizer that spells what it has no piece for in bytes."""
    return AutoTokenizer.from_pretrained(bundled_t5())


@pytest.fixture(scope="module", params=["BPE", "Unigram"])
def of_letters(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    """One whose pieces are small letters and bytes alone, as Gemma's or mT5's tokenizer would be."""
    names = ["<unk>", "<pad>", "</s>", "▁", *(f"<0x{byte:02X}>" for byte in range(256)), *"abcdefghijklmnopqrstuvwxyz"]
    if request.param == "BPE":
        ids = {name: index for index, name in enumerate(names)}
        model: Any = models.BPE(ids, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    else:
        model = models.Unigram([(name, -float(index)) for index, name in enumerate(names)], 0, True)
    made = Tokenizer(model)
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", model_max_length=99
    )


def covered(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[object], kind: type[WholeTexts] | type[Windows] = WholeTexts
) -> Unread:
    return kind(texts, tokenizer, 6).unread  # the limit is below most texts' length: what is cut counts, too


@pytest.mark.parametrize("kind", [WholeTexts, Windows])
def test_english_is_known(tokenizer: PreTrainedTokenizerBase, kind: type[WholeTexts]) -> None:
    found = covered(tokenizer, ["Where is my parcel?", "The card was\tdeclined twice (again)."], kind)
    assert (found.texts, found.characters) == (2, 16 + 31)
    assert (found.unknown_share, found.unknown_characters, found.wholly_unknown, found.empty) == (0, 0, 0, 0)


@pytest.mark.parametrize("kind", [WholeTexts, Windows])
def test_a_script_that_the_tokenizer_lacks_is_all_unknown(
    tokenizer: PreTrainedTokenizerBase, kind: type[WholeTexts]
) -> None:
    found = covered(tokenizer, ["返品したい", "Где моя посылка", "κάρτα"], kind)
    assert found.characters == found.unknown_characters == 5 + 13 + 5
    assert (found.unknown_share, found.wholly_unknown) == (1, 3)
    assert (found.unknown["я"], found.unknown["品"], found.unknown["κ"]) == (1, 1, 1)


@pytest.mark.parametrize("kind", [WholeTexts, Windows])
@pytest.mark.parametrize("text", ["Größe für 5 €", "Gro\u0308ße fu\u0308r 5 €"])  # composed, and as macOS writes it
def test_letters_of_a_known_script(tokenizer: PreTrainedTokenizerBase, kind: type[WholeTexts], text: str) -> None:
    found = covered(tokenizer, [text, "plain"], kind)
    assert found.unknown == {"ö": 1, "ß": 1, "ü": 1, "€": 1}
    assert found.characters == 10 + 5
    assert (found.unknown_share, found.wholly_unknown) == (4 / 15, 0)


def test_both_texts_of_a_pair_count(tokenizer: PreTrainedTokenizerBase) -> None:
    found = covered(tokenizer, [("plain", "für"), ("müßig", "日本"), ("日", "本")])
    assert found.unknown == {"ü": 2, "ß": 1, "日": 2, "本": 2}
    assert (found.texts, found.characters, found.wholly_unknown) == (3, 5 + 3 + 5 + 2 + 2, 1)


def test_lists_of_words(tokenizer: PreTrainedTokenizerBase) -> None:
    found = covered(tokenizer, [["für", "sie"], ["日本", "語"]], Windows)
    assert found.unknown == {"ü": 1, "日": 1, "本": 1, "語": 1}
    assert (found.characters, found.wholly_unknown) == (9, 1)


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("½", {"½": 1}),  # three tokens stand for it, one of them unknown
        ("㋿", {"㋿": 1}),  # one stands for it, of two characters
        ("日ﬁ本", {"日": 1, "本": 1}),  # a ligature that is read as two letters
        ("so\u00adft", {"\u00ad": 1}),
        ("a <unk> b", {}),  # the text itself says that a word is missing
    ],
)
def test_characters_that_the_tokenizer_writes_otherwise(
    tokenizer: PreTrainedTokenizerBase, text: str, characters: dict[str, int]
) -> None:
    assert covered(tokenizer, [text]).unknown == characters
    assert covered(tokenizer, [text], Windows).unknown == characters


def test_few_texts_without_a_known_letter_weigh_as_texts(tokenizer: PreTrainedTokenizerBase) -> None:
    found = covered(tokenizer, ["a long text " * 50, "日本!", "№ 5 日本"])
    assert found.wholly_unknown == 1  # in the last one a digit is known
    assert found.unknown_characters / found.characters < 0.01
    assert found.unknown_share == 1 / 3


@pytest.mark.parametrize("kind", [WholeTexts, Windows])
def test_texts_of_which_nothing_is_left(tokenizer: PreTrainedTokenizerBase, kind: type[WholeTexts]) -> None:
    # zero-width space, control character, replacement character; blank texts are no loss
    found = covered(tokenizer, ["\u200b", "\x07", "\ufffd\ufffd", "", " \u3000 ", "a"], kind)
    assert found.empty == 3
    pairs = covered(tokenizer, [("\u200b", "\ufeff"), ("", ""), ("a", "\u200b")])
    assert pairs.empty == 1


def test_bytes_are_always_known() -> None:
    found = covered(ByT5Tokenizer(), ["返品したい", "a <unk> b", ""])
    assert (found.unknown_share, found.unknown, found.spelt, found.empty) == (0, {}, {}, 0)


@pytest.mark.parametrize("kind", [WholeTexts, Windows])
def test_what_is_spelt_in_bytes_is_counted(spelling: PreTrainedTokenizerBase, kind: type[WholeTexts]) -> None:
    found = covered(spelling, ["返品 したい", "Где моя", "the 返 品!", "plain"], kind)
    assert found.characters == 5 + 6 + 6 + 5
    assert found.spelt == {"返": 2, "品": 2, "し": 1, "た": 1, "い": 1, **dict.fromkeys("Гдемя\u043e", 1)}
    assert (found.spelt_characters, found.wholly_spelt) == (13, 2)
    assert found.spelt_share == 13 / 22
    assert (found.unknown_share, found.wholly_unknown, found.empty) == (0, 0, 0)


def test_what_is_spelt_in_pairs_and_lists_of_words(spelling: PreTrainedTokenizerBase) -> None:
    pairs = covered(spelling, [("plain", "日"), ("日", "本")])
    words = covered(spelling, [["plain", "日"], ["日", "本"]], Windows)
    for found in (pairs, words):
        assert (found.characters, found.spelt, found.wholly_spelt) == (5 + 3, {"日": 2, "本": 1}, 1)


@pytest.mark.parametrize("text", ["Größe für 5 €", "Gro\u0308ße fu\u0308r 5 €"])
def test_composed_and_decomposed_letters_are_spelt_alike(spelling: PreTrainedTokenizerBase, text: str) -> None:
    assert covered(spelling, [text]).spelt == covered(spelling, [text], Windows).spelt == {"ö": 1, "ü": 1}


def test_accents_quotes_and_emoji_of_plain_texts_are_not_mentioned(spelling: PreTrainedTokenizerBase) -> None:
    texts = [
        "It\u2019s “my” café — really? 😀 I waited for the whole morning, and nobody came to the door.",
        "👍",
        "🙂 🙂",
    ]
    found = covered(spelling, texts)
    assert found.spelt["😀"] == found.spelt["👍"] == 1
    assert found.wholly_spelt == 0
    assert 0 < found.spelt_characters < 8
    assert notes(Unread(100, 1000, spelt=Counter({"é": 49})), "the texts") == []


def test_every_tokenizer_with_bytes_to_fall_back_to(of_letters: PreTrainedTokenizerBase) -> None:
    texts = ["aöb", "返品", "a 😀\nb", "½ A", "no bytes"]
    found = covered(of_letters, texts)
    assert found.spelt == {"ö": 1, "返": 1, "品": 1, "😀": 1, "½": 1, "A": 1}  # a line break is a blank
    assert (found.unknown, found.wholly_spelt) == ({}, 2)
    alone = measure([texts], of_letters(texts)["input_ids"], of_letters, None, 0)
    assert (alone.spelt, alone.wholly_spelt) == (found.spelt, 2)


def test_a_text_may_name_a_byte(spelling: PreTrainedTokenizerBase, of_letters: PreTrainedTokenizerBase) -> None:
    assert covered(spelling, ["the byte <0xE3> and <unk>"]).spelt == {}
    assert "ã" not in covered(of_letters, ["a <0xE3> b"]).spelt


def test_bytes_throughout_are_no_spelling() -> None:
    names = ["<|endoftext|>", *(chr(code) for code in range(33, 127)), *(chr(code) for code in range(161, 500))]
    tokenizer = GPT2Tokenizer({name: index for index, name in enumerate(names)}, [], pad_token="<|endoftext|>")
    found = covered(tokenizer, ["返品", "ö"])
    assert (found.tokens, found.spelt, found.unknown) == (8, {}, {})


def test_without_places_of_tokens_characters_are_tried_alone(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = ["Größe für 5 €", "返品したい! a", "plain", "日本"]
    rows = tokenizer(texts)["input_ids"]
    alone = measure([texts], rows, tokenizer, None, 1)
    assert alone == WholeTexts(texts, tokenizer, None).unread
    assert alone.unknown["ö"] == 1


def test_parts_add_up(tokenizer: PreTrainedTokenizerBase, spelling: PreTrainedTokenizerBase) -> None:
    texts = ["für", "日本", "\u200b", "a longer text that is cut"]
    total = sum((covered(spelling, [text]) for text in texts), Unread())
    assert total == covered(spelling, texts)
    assert total - covered(spelling, texts[:1]) == covered(spelling, texts[1:])
    assert total.spelt == {"ü": 1, "日": 1, "本": 1}
    parts = [covered(tokenizer, [text]) for text in texts]
    total = sum(parts, Unread())
    assert total == covered(tokenizer, texts)
    assert (total.texts, total.unknown_characters, total.long) == (4, 3, 1)
    assert total - parts[0] == covered(tokenizer, texts[1:])


def test_what_is_cut_is_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = ["where is my parcel and where is my card", "plain"]
    whole = [len(row) for row in tokenizer(texts)["input_ids"]]
    found = covered(tokenizer, texts)
    assert (found.tokens, found.tokens_cut, found.texts_cut) == (sum(whole), whole[0] - 6, 1)
    share = f"{(whole[0] - 6) / sum(whole):.1%}"
    assert cut(found, 6) == f"1 text is longer than 6 tokens and was cut, which loses {share} of all tokens"
    windows = covered(tokenizer, texts, Windows)
    assert (windows.long, windows.tokens_cut, windows.texts_cut) == (1, 0, 0)


def test_nothing_is_no_share() -> None:
    assert Unread().unknown_share == 0


def test_examples_show_what_can_be_seen() -> None:
    assert examples({"ä": 1, "€": 3, "\u00ad": 2, "\u0301": 1}) == "€ U+00AD ä U+0301"


def made(characters: int, wholly: int = 0, empty: int = 0) -> Unread:
    return Unread(100, 1000, Counter({"ä": characters}), wholly, empty)


def test_notes_name_share_examples_and_from_five_percent_on_the_remedy() -> None:
    assert notes(made(0), "the texts") == []
    (line,) = notes(made(49), "the texts", "the tokenizer of X")
    assert line == "4.9% of the characters of the texts are unknown to the tokenizer of X, most often ä"
    (line,) = notes(made(50), "the texts")
    assert line.startswith("warning: 5.0% of the characters of the texts are unknown to the model's tokenizer, most")
    assert "google/mt5-small" in line
    assert "google/byt5-small" in line
    (line,) = notes(made(10, wholly=5), "the texts")
    assert line.startswith("warning: 1.0% of the characters")
    assert "most often ä; 5 of 100 texts hold no known letter or digit; " in line
    assert notes(made(0, empty=2), "the texts")[0].startswith("2 of the texts have nothing to read")


def test_bytes_are_warned_of_from_five_percent_on_and_never_refused(spelling: PreTrainedTokenizerBase) -> None:
    (line,) = notes(Unread(100, 1000, spelt=Counter({"é": 50})), "the texts", "the tokenizer of X")
    assert line.startswith(
        "warning: 5.0% of the characters of the texts are spelt in bytes by the tokenizer of X, most"
    )
    assert "often é; the model knows little of such text" in line
    (line,) = notes(Unread(100, 1000, spelt=Counter({"の": 20}), wholly_spelt=5), "the texts")
    assert "2.0% of the characters" in line
    assert "most often の; 5 of 100 texts hold no other letter or digit; the model knows" in line
    check(covered(spelling, ["返品"]), "the texts", "the tokenizer")


def test_half_unknown_is_refused() -> None:
    check(made(499), "the texts", "the tokenizer")
    check(made(10, wholly=49), "the texts", "the tokenizer")
    for found in (made(500), made(10, wholly=50)):
        with pytest.raises(EncT5Error, match=r"unknown to the tokenizer, most often ä.*google/mt5-small.*--allow-unkn"):
            check(found, "the texts", "the tokenizer")


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "0.0%"), (0, 9, "0.0%"), (1, 10**6, "less than 0.1%"), (1, 1000, "0.1%"), (999, 1000, "99.9%")],
)
def test_shares_are_not_rounded_to_nothing(part: int, whole: int, said: str) -> None:
    assert percent(part, whole) == said
