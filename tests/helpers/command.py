"""Running a command: what it is given, and how it ended."""

import io
import sys
from typing import NamedTuple

import pytest

TRAIN = "train {p}/good.csv --text text --label label --base {p}/t5 --out {p}/new"


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def feed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
