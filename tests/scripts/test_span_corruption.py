"""Span corruption loses nothing: the labels hold what the sentinels stand for."""

import numpy as np
import pytest

from span_corruption import corrupt

SENTINEL = 999


@pytest.mark.parametrize("length", [8, 40, 128])
@pytest.mark.parametrize("noise_density", [0.15, 0.25])
def test_corruption_can_be_undone(noise_density: float, length: int) -> None:
    window = np.arange(10, 10 + length)
    parts = corrupt(window, np.random.default_rng(0), SENTINEL, noise_density)
    dropped: dict[int, list[int]] = {}
    for token in parts["labels"][:-1].tolist():
        if token > SENTINEL - 100:
            span = dropped.setdefault(token, [])
        else:
            span.append(token)
    restored = [word for token in parts["input_ids"][:-1].tolist() for word in dropped.get(token, [token])]
    assert restored == window.tolist()
    assert parts["input_ids"][-1] == parts["labels"][-1] == 1
    assert sum(map(len, dropped.values())) == round(length * noise_density)
