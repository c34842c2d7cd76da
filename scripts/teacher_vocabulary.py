"""A cased unigram tokenizer with byte fallback from the pieces of an uncased WordPiece teacher, and their vectors.

The teacher knows what its own pieces mean, so a student that has them starts with what the teacher knows of words.
Frequent words get pieces for their capitalised and upper-case forms, too; what has no piece is spelt in smaller ones
and at last in bytes, so that no text of any language is unknown.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

SENTINELS = 100
SPECIAL = ("<pad>", "</s>", "<unk>")
# ASCII, Latin letters, punctuation, currencies
_TEXT = re.compile(r"(##)?[!-~\u00a1-\u024f\u2010-\u205e\u20a0-\u20bf\u2122]+")
_NO_TEXT = re.compile(r"\[(unused\d+|[A-Z]+)\]")
_INVISIBLE = r"[\u0000-\u0008\u000e-\u001f\u007f\u00ad\u200b\u2060\ufeff]"
_WORD = re.compile(r"\w+|[^\w\s]")
_FIRST_WORD_RANK = 1996  # where the teacher's words start, most frequent first ("the")
_BYTE_SCORE = -25.0  # a byte costs more than any piece


@dataclass(frozen=True)
class Piece:
    """A piece of the student's vocabulary.

    Attributes:
        text: As the tokenizer writes it, a word's first piece with "▁".
        teacher_id: The teacher's piece that it is a form of.
        form: 0 as the teacher has it, 1 capitalised, 2 in upper case.
        share: Its share of all pieces of text, estimated.
    """

    text: str
    teacher_id: int
    form: int
    share: float


def count_words(
    files: Iterable[Path], paragraphs_of: Callable[[Path], Iterator[str]], most: int = 60_000
) -> Counter[str]:
    """How often each word stands in the files, every file's counts scaled to the square root of its size."""
    total: Counter[str] = Counter()
    for path in files:
        counts = Counter(
            word for _, line in zip(range(most), paragraphs_of(path), strict=False) for word in _WORD.findall(line)
        )
        scale = 1 / math.sqrt(max(counts.total(), 1))
        total.update({word: count * scale for word, count in counts.items()})
    return total


def choose_pieces(teacher: PreTrainedTokenizerBase, words: Counter[str], size: int) -> list[Piece]:
    """The `size` most frequent pieces, single characters always among them.

    A piece's share is the mean of two estimates: that of the corpus, and Zipf's law over the teacher's own order, which
    knows the words of today that old books lack. How it splits into forms is counted in the corpus.
    """
    counts, forms = _count_pieces(teacher, words)
    vocabulary = {
        piece: index
        for piece, index in sorted(teacher.get_vocab().items(), key=lambda item: item[1])
        if _TEXT.fullmatch(piece) and not _NO_TEXT.fullmatch(piece)
    }
    zipf = {index: 1 / (max(index - _FIRST_WORD_RANK, 0) + 10) for index in vocabulary.values()}
    zipf_total, total = sum(zipf.values()), counts.total()
    rare = 20 * min(words.values())
    pieces = [
        form
        for piece, index in vocabulary.items()
        for form in _forms(
            piece, index, (zipf[index] / zipf_total + counts[index] / total) / 2, forms.get(index, [0.0] * 3), rare
        )
    ]
    single = [piece for piece in pieces if len(piece.text.lstrip("▁")) == 1]
    longer = sorted((piece for piece in pieces if len(piece.text.lstrip("▁")) > 1), key=lambda piece: -piece.share)
    return single + longer[: size - len(single)]


def _count_pieces(teacher: PreTrainedTokenizerBase, words: Counter[str]) -> tuple[Counter[int], dict[int, list[float]]]:
    """How often the teacher reads each piece, and, of those that are words, in which form (see `Piece`)."""
    counts: Counter[int] = Counter()
    forms: dict[int, list[float]] = {}
    unique = list(words)
    for start in range(0, len(unique), 50_000):
        part = unique[start : start + 50_000]
        rows = teacher(part, add_special_tokens=False, verbose=False)["input_ids"]
        for word, ids in zip(part, rows, strict=True):
            for piece_id in ids:
                counts[piece_id] += words[word]
            if len(ids) == 1:
                form = 2 if len(word) > 1 and word.isupper() else int(word[0].isupper())
                forms.setdefault(ids[0], [0.0, 0.0, 0.0])[form] += words[word]
    return counts, forms


def _forms(piece: str, index: int, share: float, seen: list[float], rare: float) -> Iterator[Piece]:
    """The pieces that a teacher's piece becomes: `seen` says how often each form was counted, `rare` smooths that."""
    if piece.startswith("##"):
        yield Piece(piece[2:], index, 0, share)
        if len(piece) == 3 and piece.upper() != piece and len(piece.upper()) == 3:
            yield Piece(piece[2].upper(), index, 2, share / 20)  # to spell words in upper case
        return
    prior = [0.8, 0.2, 0.0 if len(piece) > 1 else 0.2]
    written = {piece: 0}
    written.setdefault(piece.capitalize(), 1)
    written.setdefault(piece.upper(), 2)
    for text, form in written.items():
        part = (seen[form] + rare * prior[form]) / (sum(seen) + rare)
        if part > 0 and len(text) == len(piece):
            yield Piece("▁" + text, index, form, share * part)


def build_tokenizer(pieces: list[Piece]) -> PreTrainedTokenizerFast:
    """T5's order of ids: `<pad>`, `</s>`, `<unk>`, bytes, pieces, sentinels."""
    vocabulary = [(token, 0.0) for token in SPECIAL]
    vocabulary += [(f"<0x{byte:02X}>", _BYTE_SCORE) for byte in range(256)]
    vocabulary += [("▁", _BYTE_SCORE / 2)]
    vocabulary += [(piece.text, round(math.log(piece.share), 4)) for piece in pieces]
    sentinels = [f"<extra_id_{index}>" for index in range(SENTINELS)]
    vocabulary += [(sentinel, 0.0) for sentinel in reversed(sentinels)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(_INVISIBLE), "")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B:0", "</s>:0"], special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=sentinels,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=True,  # words and punctuation are apart
    )


@torch.inference_mode()
def piece_vectors(teacher: PreTrainedModel, teacher_ids: list[int], start: int, end: int) -> np.ndarray:
    """The teacher's mean state of each piece read by itself, `(pieces, teacher's width)` float32."""
    vectors = []
    for first in range(0, len(teacher_ids), 512):
        ids = torch.tensor([[start, piece, end] for piece in teacher_ids[first : first + 512]])
        vectors.append(teacher(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.float().mean(1))
    return torch.cat(vectors).numpy()


def start_embedding(
    vectors: np.ndarray, pieces: list[Piece], vocab_size: int, width: int, case_size: float = 0.3
) -> torch.Tensor:
    """Token vectors for a T5: principal components of the teacher's, scaled by the logarithm of their rank.

    Frequent words say little, so they get small vectors. A capitalised or upper-case form has the vector of its word
    and, added to it, one that all such forms share. Bytes and sentinels start at random.

    T5 scales every state to one length, which would undo that frequent words are small. So the last column holds what
    a vector lacks of the common length, and is to be left out by the weight of the encoder's last normalisation.

    Args:
        vectors: The teacher's vectors of `pieces`, `(pieces, teacher's width)`.
        pieces: The pieces, in the order of their ids.
        vocab_size: Rows of the result.
        width: Columns of the result; its root mean square is T5's, 1.
        case_size: Length of the vector of a form, relative to that of a word.
    """
    generator = torch.Generator().manual_seed(0)
    centred = vectors - vectors.mean(0)
    _, _, axes = np.linalg.svd(centred[::3], full_matrices=False)
    width -= 1
    order = np.argsort(np.argsort([-piece.share for piece in pieces], kind="stable"))
    scaled = torch.from_numpy((centred @ axes[:width].T) * np.log(order + 2)[:, None]).float()
    scaled /= scaled.pow(2).mean().sqrt()
    forms = torch.randn(3, width, generator=generator) * case_size
    forms[0] = 0.0
    embedding = torch.randn(vocab_size, width + 1, generator=generator) * 0.5
    first = len(SPECIAL) + 256 + 1
    embedding[first : first + len(pieces), :width] = scaled + forms[[piece.form for piece in pieces]]
    embedding[1] = 0.0  # `</s>` is in every text and says nothing
    norms = embedding[:, :-1].norm(dim=1)
    largest = norms[first : first + len(pieces)].quantile(0.9)
    embedding[:, -1] = (largest.square() - norms.square()).clamp(min=0).sqrt()
    return embedding * ((width + 1) ** 0.5 / largest)
