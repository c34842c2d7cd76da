"""Where the tokens of a text lie in it, and which of them make up a word, for every tokenizer of the T5 family."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from enct5.tokenization.rows import cut_apart, kept_places, tokenize

# Thai to Khmer, kana, Han: scripts written without spaces, whose pieces stand for themselves.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


@dataclass(frozen=True)
class Span:
    """A token or a word of a text.

    Attributes:
        text: What it reads; of a token, the tokenizer's own writing (`▁the`).
        part: 0, or 1 in the second text of a pair.
        start: First character in its text.
        end: The character after its last one; equal to `start` for what the tokenizer added (`</s>`).
    """

    text: str
    part: int
    start: int
    end: int


@dataclass(frozen=True)
class Alignment:
    """The tokens that a model is given for a text or pair, and the words they make up.

    Attributes:
        ids: Token ids, special tokens included.
        tokens: A span for each of `ids`.
        words: Spans in the order of the texts; a token that the tokenizer added is a word of its own.
        word_of_token: For each token its index in `words`.
        tokens_cut: How many tokens were cut off because the text is too long.
    """

    ids: list[int]
    tokens: list[Span]
    words: list[Span]
    word_of_token: list[int]
    tokens_cut: int


def align(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Alignment:
    """Tokenise a text or pair as `Predictor` does, and find every token's and word's place.

    A word is what stands between white space; in scripts without spaces every piece is one.

    Args:
        tokenizer: Of the T5 family: SentencePiece, or ByT5's bytes.
        texts: One text, or two for a pair.
    """
    max_length = tokenizer.model_max_length
    if tokenizer.is_fast:
        encoded = tokenize(tokenizer, *([text] for text in texts), return_offsets_mapping=True)
        whole, every_part = encoded["input_ids"][0], encoded.sequence_ids(0)
        kept = kept_places(tokenizer, every_part, max_length)
        every_offset, every_name = encoded["offset_mapping"][0], encoded.tokens(0)
        ids, parts = [whole[place] for place in kept], [every_part[place] for place in kept]
        offsets, names = [every_offset[place] for place in kept], [every_name[place] for place in kept]
        tokens_cut = len(whole) - len(ids)
    else:
        ids, own = cut_apart(tokenizer, texts, max_length)
        names = list(tokenizer.convert_ids_to_tokens(ids))
        parts, offsets = _byte_offsets(tokenizer, texts, own)
        tokens_cut = len(cut_apart(tokenizer, texts, None)[0]) - len(ids)

    # a token that was added closes the text before it
    tokens, ends, part = [], [0] * len(texts), 0
    for name, place, (start, end) in zip(names, parts, offsets, strict=True):
        if place is None:
            tokens.append(Span(name, part, ends[part], ends[part]))
            part = min(part + 1, len(texts) - 1)
        else:
            tokens.append(Span(name, place, start, end))
            ends[place] = end
    words, word_of_token = _words(texts, tokens, added=[place is None for place in parts], cut=tokens_cut > 0)
    return Alignment(ids, tokens, words, word_of_token, tokens_cut)


def _byte_offsets(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], own: Sequence[Sequence[int]]
) -> tuple[list[int | None], list[tuple[int, int]]]:
    """Text (`None` for an added token) and characters of every token of ByT5, whose tokenizer tells neither."""
    parts: list[int | None] = []
    places: list[tuple[int, int]] = []
    for part, (text, ids) in enumerate(zip(texts, own, strict=True)):
        # an end token of the text's own at its end is the one that would be added
        count = len(ids) - (len(ids) > 0 and ids[-1] == tokenizer.eos_token_id)
        offsets = _characters(text, tokenizer.tokenize(text))
        first = len(offsets) - len(ids) if tokenizer.truncation_side == "left" else 0
        parts += [part] * count + [None]
        places += [*offsets[first : first + count], (0, 0)]
    return parts, places


def _characters(text: str, pieces: Sequence[str]) -> list[tuple[int, int]]:
    """The characters that byte pieces belong to; every byte of a character has the place of the whole character."""
    character_of_byte = [index for index, character in enumerate(text) for _ in character.encode()]
    whole, position, places = text.encode(), 0, []
    for piece in pieces:
        surface = piece.encode("latin-1") if len(piece) == 1 else piece.encode()  # a byte, or a special token by name
        position = whole.find(surface, position)  # blanks around a special token are in no piece
        last = position + len(surface) - 1
        places.append((character_of_byte[position], character_of_byte[last] + 1))
        position = last + 1
    return places


def _words(
    texts: Sequence[str], tokens: Sequence[Span], added: Sequence[bool], cut: bool
) -> tuple[list[Span], list[int]]:
    words: list[Span] = []  # first with the place where they begin as their end
    last_token: list[int] = []  # of each word
    word_of_token = []
    for index, (token, is_added) in enumerate(zip(tokens, added, strict=True)):
        text, start = texts[token.part], token.start
        while start < len(text) and text[start].isspace():
            start += 1  # a blank belongs to the word after it
        begun = words[-1] if words and words[-1].part == token.part and not added[last_token[-1]] else None
        if is_added:
            words.append(token)
        elif begun is None:
            first = token.start if start == len(text) else start  # a text of nothing but blanks
            words.append(Span("", token.part, first, first))
        elif start < len(text) and _is_boundary(text, begun.start, start):
            words.append(Span("", token.part, start, start))
        last_token[len(words) - 1 :] = [index]
        word_of_token.append(len(words) - 1)

    for index, word in enumerate(words):
        if added[last_token[index]]:
            if index and words[index - 1].part == word.part:
                words[index] = replace(word, start=words[index - 1].end, end=words[index - 1].end)
            continue
        # what no token stands for, such as an accent of its own, still belongs to the word before it
        end = tokens[last_token[index]].end if cut else len(texts[word.part])
        if index + 1 < len(words) and words[index + 1].part == word.part and not added[last_token[index + 1]]:
            end = words[index + 1].start
        text = texts[word.part][word.start : end]
        text = text.rstrip() or text
        words[index] = Span(text, word.part, word.start, word.start + len(text))
    return words, word_of_token


def _is_boundary(text: str, word_start: int, start: int) -> bool:
    """Whether a token at `start` begins another word than the one that began at `word_start`."""
    if start <= word_start:
        return False
    return text[start - 1].isspace() or bool(_UNSPACED.search(text, start - 1, start + 1))
