"""What is taken for a text, and what for the name of a file."""

from pathlib import Path

import pytest

from enct5.files.paths import is_text


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("reviews.csv", "plain file", "messages"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "Where is my parcel?",
        "terrible",
        "well-done!",
        "OK.",
        "これは素晴らしい。",
        "see https://example.org now",
        "https://example.org is down",
        "3/4 of it came",
        "x " * 5000,
        "parcels:\n- one\n- two",
    ],
)
def test_texts(text: str) -> None:
    assert is_text(text)


@pytest.mark.parametrize(
    "source",
    [
        *("", "  ", "-", "reviews.csv", "plain file", "messages", "message", "my reviews.csv", "reviews.tsv.gz"),
        *("imdb:train", "org/name:test", "data/reviews", "./x", "~/x", "*.csv", "https://example.org/x", "C:\\x y\\z"),
        "notes.docx",
    ],
)
def test_sources(source: str) -> None:
    assert not is_text(source)
