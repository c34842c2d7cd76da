"""Memory that is held to be so small that everything lies in files and is read a few rows at a time."""

import pytest

from enct5.data import lazy_columns, reading
from enct5.files import scratch
from enct5.tokenization import whole_texts
from enct5.training import dataset


def make_memory_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be small enough for memory until the test ends."""
    monkeypatch.setattr(scratch, "LARGEST", 0)
    monkeypatch.setattr(lazy_columns, "FEWEST_ROWS", 0)
    for module, name in (
        (lazy_columns, "_AT_A_TIME"),
        (reading, "_OBJECTS"),
        (whole_texts, "_AT_A_TIME"),
        (dataset, "_TOKENIZE_ROWS"),
    ):
        monkeypatch.setattr(module, name, 7)
