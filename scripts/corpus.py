"""Text files of a corpus: their paragraphs, and the passages (sentences, runs of sentences) they are cut into."""

import lzma
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”\u2019')]*\s+")


def paragraphs(path: Path) -> Iterator[str]:
    """The non-empty lines of a plain or xz-compressed text file."""
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            if line := line.strip():
                yield line


def passages(paragraph: str, rng: np.random.Generator, most_words: int = 90, alone: float = 0.6) -> list[str]:
    """Cut a paragraph into passages: most of them one sentence, the others runs of sentences.

    Args:
        paragraph: One line of text.
        rng: Draws how long each passage becomes.
        most_words: No passage grows beyond so many words; a sentence that has more is cut there.
        alone: The share of sentences that stay alone.

    Returns:
        The passages in order. Those of fewer than two words are left out.
    """
    found: list[str] = []
    current: list[str] = []
    room = 0
    for sentence in _SENTENCE_END.split(paragraph):
        words = sentence.split()
        if not current:
            room = 0 if rng.random() < alone else int(rng.integers(20, most_words + 1))
        elif len(current) + len(words) > room:
            found.append(" ".join(current))
            current, room = [], 0 if rng.random() < alone else int(rng.integers(20, most_words + 1))
        current = (current + words)[:most_words]
    return [text for text in [*found, " ".join(current)] if len(text.split()) > 1]
