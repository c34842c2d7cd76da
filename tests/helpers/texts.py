"""Texts of few words, and labels with more than ASCII."""

import numpy as np

LABELS = ("delivery", "refund", "ärger")
WORDS = ["where", "is", "my", "parcel", "money", "card", "bank", "road", "coffee", "the", "a", "late", "and", "12"]


def sentences(count: int, longest: int = 40) -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, size=random.integers(1, longest))) for _ in range(count)]


# Tokens of SST-2's sentences: a mean of 13 with a long tail.
SST2_LIKE = (3 + np.random.default_rng(0).gamma(1.6, 7, 6000)).astype(int).clip(3, 66)
