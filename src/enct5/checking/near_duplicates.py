"""Texts that are almost alike, by the n-grams of their characters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enct5.text.normal_form import normal_form

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

ALIKE_FROM = 0.9  # cosine; a letter more or less in a sentence is above, another word of six below
_MOST_CHARACTERS = 20_000_000  # some hundred megabytes of weights
_MOST_PRODUCTS = 2e9  # of two weights, some 10 s of one core


class Alike(NamedTuple):
    """Texts that are almost alike.

    Attributes:
        pairs: The place of a text, that of the one most like it, and their cosine (`ALIKE_FROM` to 1).
        looked_at: Among how many of the texts, the first ones, they were looked for.
    """

    pairs: list[tuple[int, int, float]]
    looked_at: int


def within(texts: Sequence[str]) -> Alike:
    """Find for each text the other one that is most like it; each pair comes once, its later text first.

    Args:
        texts: Texts, none of them blank.
    """
    if len(texts) < 2:
        return Alike([], len(texts))
    weights = _vectors(texts[: _fitting(texts)])
    products = float(np.square(_frequencies(weights)).sum())  # grow with the square of the texts
    looked_at = min(weights.shape[0], max(2, int(weights.shape[0] * np.sqrt(_MOST_PRODUCTS / products))))
    found = {
        (max(place, other), min(place, other)): alike for place, other, alike in _nearest(weights[:looked_at], None)
    }
    return Alike([(place, other, alike) for (place, other), alike in sorted(found.items())], looked_at)


def between(texts: Sequence[str], among: Sequence[str]) -> Alike:
    """Find for each text the one of others that is most like it.

    Args:
        texts: Texts, none of them blank.
        among: The others.

    Returns:
        Pairs of places in `texts` and in `among`, and how many texts of both together were looked at.
    """
    if not texts or not among:
        return Alike([], len(among) + len(texts))
    first = _fitting(among)
    weights = _vectors([*among[:first], *texts[: _fitting(texts)]])
    where, weights = weights[:first], weights[first:]
    products = float(_frequencies(where) @ _frequencies(weights))
    looked_at = min(weights.shape[0], max(1, int(weights.shape[0] * _MOST_PRODUCTS / max(1, products))))
    return Alike(_nearest(weights[:looked_at], where), first + looked_at)


def _fitting(texts: Sequence[str]) -> int:
    """How many texts, from the first on, are not too much to weigh; two at least."""
    return max(2, int(np.searchsorted(np.cumsum([len(text) for text in texts]), _MOST_CHARACTERS, side="right")))


def _vectors(texts: Sequence[str]) -> "csr_matrix":
    from sklearn.feature_extraction.text import TfidfVectorizer

    # of characters across words: those within words alone would not tell `dog bites man` from `man bites dog`
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(3, 4), sublinear_tf=True, dtype=np.float32)
    return vectorizer.fit_transform(f" {normal_form(text)} " for text in texts)


def _frequencies(weights: "csr_matrix") -> np.ndarray:
    return np.bincount(weights.indices, minlength=weights.shape[1]).astype(np.float64)


def _nearest(weights: "csr_matrix", where: "csr_matrix | None") -> list[tuple[int, int, float]]:
    from sklearn import config_context
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=1, metric="cosine", algorithm="brute")
    search.fit(weights if where is None else where)
    with config_context(working_memory=64):  # MiB: a block of rows is compared at a time
        distances, found = search.kneighbors(None if where is None else weights)
    return [
        (place, int(other), float(1 - distance))
        for place, (distance, other) in enumerate(zip(distances[:, 0], found[:, 0], strict=True))
        if 1 - distance >= ALIKE_FROM
    ]
