"""What of its texts a model does not read: characters that its tokenizer does not know, and the rest of long texts.

A SentencePiece tokenizer without the characters of a language makes one unknown token of all that stands between two
blanks. So the share of unknown *tokens* says little (a Japanese sentence is the token `▁` and one unknown one, which is
a half), and that of *words* too much (one `ü` would spoil a German word of ten letters that are all read). What counts
here is the share of the **characters** that stand in unknown tokens, blanks aside: about 100 % for Japanese and 3 % for
German with the bundled T5, 0 % for English. Texts of which nothing is known are counted on their own: a few short ones
among many long ones are hardly a share of the characters, and yet the model gives all of them the same answer.

A tokenizer that falls back to bytes has no unknown characters: what it has no piece for it spells (`の` is `<0xE3>`
`<0x81>` `<0xAE>`). Nothing is lost, so that texts can be learned from these, and they are never refused; but a base
that spells a language has hardly met it, which is counted and told in the same places.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, cast

from enct5.errors import EncT5Error

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WARN_FROM, REFUSE_FROM = 0.05, 0.5  # of `Unread.unknown_share`
# the one knows the scripts of a hundred languages, the other reads bytes
_REMEDY = "train from a base that knows them, such as google/mt5-small or google/byt5-small"
# a base that spells a language in bytes can learn it, from what it is trained on
_REMEDY_FOR_BYTES = (
    "the model knows little of such text but what its own training texts teach it; a base that has pieces for it, such "
    "as google/mt5-small, may do better"
)
_MOST_SHOWN = 8

Span = tuple[int, int, int]  # column of the texts, first character, the one after the last


@dataclass
class Unread:
    """What of some texts (or pairs of texts) a model does not read, and how much they are.

    Attributes:
        texts: Number of texts.
        characters: Number of their characters, blanks aside.
        unknown: How often each character stands in an unknown token.
        wholly_unknown: Texts with unknown characters of which no letter and no digit is known.
        empty: Texts that are not blank, and of which the tokenizer leaves nothing (such as control characters).
        long: Texts of more tokens than the model takes at a time.
        tokens: Number of their tokens.
        tokens_cut: How many of these were cut off.
        spelt: How often each character is spelt in bytes.
        wholly_spelt: Texts with letters or digits all of which are spelt in bytes, as those of emoji alone are not.
    """

    texts: int = 0
    characters: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    wholly_unknown: int = 0
    empty: int = 0
    long: int = 0
    tokens: int = 0
    tokens_cut: int = 0
    spelt: Counter[str] = field(default_factory=Counter)
    wholly_spelt: int = 0

    @property
    def unknown_characters(self) -> int:
        """How many characters stand in unknown tokens."""
        return self.unknown.total()

    @property
    def unknown_share(self) -> float:
        """The share of the characters that is unknown, or that of wholly unknown texts, if it is the larger one."""
        return self._share(self.unknown_characters, self.wholly_unknown)

    @property
    def spelt_characters(self) -> int:
        """How many characters are spelt in bytes."""
        return self.spelt.total()

    @property
    def spelt_share(self) -> float:
        """The share of the characters that is spelt in bytes, or that of texts wholly so, if it is the larger one."""
        return self._share(self.spelt_characters, self.wholly_spelt)

    def _share(self, characters: int, texts: int) -> float:
        return max(characters / max(1, self.characters), texts / max(1, self.texts))

    @property
    def texts_cut(self) -> int:
        """Texts of which a part is lost, as is of none that is read in windows."""
        return self.long if self.tokens_cut else 0

    def __add__(self, other: "Unread") -> "Unread":
        """These and other texts."""
        return self._with(other, 1)

    def __sub__(self, other: "Unread") -> "Unread":
        """The texts without some of them."""
        return self._with(other, -1)

    def _with(self, other: "Unread", sign: int) -> "Unread":
        together: dict[str, Any] = {}
        for name in (item.name for item in fields(self)):
            own, more = getattr(self, name), getattr(other, name)
            if isinstance(own, Counter):
                together[name] = own + more if sign > 0 else own - more  # without those of which none is left
            else:
                together[name] = own + sign * more
        return Unread(**together)

    def record(self) -> dict[str, Any]:
        """The figures, for JSON; of the unknown characters, and of those in bytes, the commonest ones."""
        return {
            "texts": self.texts,
            "characters": self.characters,
            "unknown_characters": self.unknown_characters,
            "commonest_unknown": dict(self.unknown.most_common(_MOST_SHOWN)),
            "texts_wholly_unknown": self.wholly_unknown,
            "characters_in_bytes": self.spelt_characters,
            "commonest_in_bytes": dict(self.spelt.most_common(_MOST_SHOWN)),
            "texts_wholly_in_bytes": self.wholly_spelt,
            "texts_of_no_token": self.empty,
            "texts_cut": self.texts_cut,
            "tokens": self.tokens,
            "tokens_cut": self.tokens_cut,
        }


def notes(
    found: Unread, texts: str, tokenizer: str = "the model's tokenizer", max_length: int | None = None
) -> list[str]:
    """What a user should know of it, one line each; one that matters begins with `warning: `.

    Args:
        found: What of some texts is not read.
        texts: What to call the texts, such as "the texts".
        tokenizer: What to call the tokenizer.
        max_length: Most tokens that the model takes; `None` where the user has been told of what was cut.
    """
    lines = []
    if found.unknown_characters:
        warns = found.unknown_share >= WARN_FROM
        said = _unknown(found, texts, tokenizer)
        lines.append(f"warning: {said}; {_REMEDY}" if warns else said)
    if found.spelt_share >= WARN_FROM:
        lines.append(f"warning: {_in_bytes(found, texts, tokenizer)}; {_REMEDY_FOR_BYTES}")
    if found.empty:
        lines.append(
            f"{found.empty} of {texts} {'has' if found.empty == 1 else 'have'} nothing to read, only control "
            "characters or others that the tokenizer drops"
        )
    if found.texts_cut and max_length is not None:
        lines.append(cut(found, max_length))
    return lines


def cut(found: Unread, max_length: int) -> str:
    """How many texts were cut to so many tokens, and how much that is of them all."""
    one = found.texts_cut == 1
    return (
        f"{found.texts_cut:,} {'text is' if one else 'texts are'} longer than {max_length:,} tokens and "
        f"{'was' if one else 'were'} cut, which loses {percent(found.tokens_cut, found.tokens)} of all tokens"
    )


def check(found: Unread, texts: str, tokenizer: str) -> None:
    """Refuse texts that a model could hardly learn from.

    Args:
        found: What of the texts is not read.
        texts: What to call the texts.
        tokenizer: What to call the tokenizer.

    Raises:
        EncT5Error: If half of it or more is unknown.
    """
    if found.unknown_share >= REFUSE_FROM:
        raise EncT5Error(f"{_unknown(found, texts, tokenizer)}; {_REMEDY}; or pass --allow-unknown")


def _unknown(found: Unread, texts: str, tokenizer: str) -> str:
    of = f"the characters of {texts} are unknown to {tokenizer}"
    return _said(found, of, found.unknown, found.wholly_unknown, "known")


def _in_bytes(found: Unread, texts: str, tokenizer: str) -> str:
    of = f"the characters of {texts} are spelt in bytes by {tokenizer}"
    return _said(found, of, found.spelt, found.wholly_spelt, "other")


def _said(found: Unread, of: str, characters: Counter[str], wholly: int, others: str) -> str:
    said = f"{percent(characters.total(), found.characters)} of {of}, most often {examples(characters)}"
    return f"{said}; {wholly} of {found.texts:,} texts hold no {others} letter or digit" if wholly else said


def percent(part: int, whole: int) -> str:
    """A share, never rounded to nothing."""
    share = part / max(1, whole)
    return "less than 0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def examples(unknown: dict[str, int]) -> str:
    """The commonest of some characters, those that cannot be seen by their number."""
    common = Counter(unknown).most_common(_MOST_SHOWN)
    return " ".join(
        character if character.isprintable() and not unicodedata.combining(character) else f"U+{ord(character):04X}"
        for character, _ in common
    )


def measure(
    columns: Sequence[Sequence[str]],
    rows: Sequence[Any],
    tokenizer: "PreTrainedTokenizerBase",
    span: Callable[[int, int], Span] | None,
    added: int,
) -> Unread:
    """Look for what a tokenizer does not know of texts.

    It costs little: rows of ids are searched, and only unknown tokens are looked up in the texts.

    Args:
        columns: The texts; or the first and the second texts of pairs.
        rows: The token ids of every text or pair, before anything is cut.
        tokenizer: What gave them.
        span: Where the token of a row and place in it lies; `None` where the tokenizer does not tell.
        added: How many of a row's tokens the tokenizer adds to the texts', such as `</s>`.
    """
    found = Unread(texts=len(rows), tokens=sum(map(len, rows)))
    found.characters = sum(len(_without_blanks(text)) for texts in columns for text in texts)
    unknown_id = tokenizer.unk_token_id
    stand_ins = _stand_ins(tokenizer)
    alone: dict[str, int | None] = {}
    for row, ids in enumerate(rows):
        if len(ids) > added and stand_ins.keys().isdisjoint(ids):
            continue
        texts = [column[row] for column in columns]
        if len(ids) <= added:
            found.empty += any(map(_without_blanks, texts))
            continue
        if span is None:
            parts, known = _by_characters(texts, tokenizer, stand_ins, alone)
        else:
            spans = [(token, span(row, place)) for place, token in enumerate(ids) if token in stand_ins]
            parts, known = _by_spans(texts, spans, stand_ins)
        unknown = [character for token, character in parts if token == unknown_id]
        spelt = [character for token, character in parts if token != unknown_id]
        found.unknown.update(unknown)
        found.spelt.update(spelt)
        if not any(map(str.isalnum, known)):
            found.wholly_spelt += any(map(str.isalnum, spelt))
            found.wholly_unknown += bool(unknown) and not any(map(str.isalnum, spelt))
    return found


def _stand_ins(tokenizer: "PreTrainedTokenizerBase") -> dict[int, str]:
    """The tokens that stand for characters without a piece, by id: `<unk>`, and bytes where a tokenizer has them."""
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    ids = cast("list[int | None]", tokenizer.convert_tokens_to_ids(names))
    pieces = {id: name for id, name in zip(ids, names, strict=True) if id is not None}
    if tokenizer.unk_token_id is not None:
        pieces[tokenizer.unk_token_id] = str(tokenizer.unk_token)  # the id of every name that is no piece
    return pieces


def _without_blanks(text: str) -> str:
    """The characters of a text; an accent of its own is one with its letter, as the tokenizers take it."""
    return "".join(unicodedata.normalize("NFC", text).split())


def _by_spans(
    texts: Sequence[str], spans: Sequence[tuple[int, Span]], stand_ins: dict[int, str]
) -> tuple[list[tuple[int, str]], str]:
    """The characters of a text or pair that others than their own pieces stand for, with those, and all other ones.

    A text that says `<unk>` itself, as data sets with rare words removed do, is read as it is meant.
    """
    parts: list[tuple[int, str]] = []
    ends = [0] * len(texts)
    known = []
    for token, (column, start, end) in spans:
        text = texts[column]
        if text[start:end] == stand_ins[token]:
            continue
        known.append(text[ends[column] : start])
        start = max(start, ends[column])  # several tokens may stand for one character, such as `½`
        # T5 composes characters, and says that the token stands for the first of them only
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        ends[column] = max(ends[column], end)
        parts += ((token, character) for character in _without_blanks(text[start:end]))
    known += [text[end:] for text, end in zip(texts, ends, strict=True)]
    return parts, "".join(known)


def _by_characters(
    texts: Sequence[str],
    tokenizer: "PreTrainedTokenizerBase",
    stand_ins: dict[int, str],
    alone: dict[str, int | None],
) -> tuple[list[tuple[int, str]], str]:
    """The same, by what each character is to the tokenizer on its own; `alone` remembers it."""
    parts: list[tuple[int, str]] = []
    known: list[str] = []
    for character in _without_blanks(" ".join(texts)):
        if character not in alone:
            ids = tokenizer(character, verbose=False)["input_ids"]
            alone[character] = next((token for token in ids if token in stand_ins), None)
        token = alone[character]
        if token is None:
            known.append(character)
        else:
            parts.append((token, character))
    return parts, "".join(known)
