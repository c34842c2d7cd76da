"""The bundled demo data is complete, valid and free of near-duplicates."""

import json
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "src" / "enct5" / "assets" / "demo"
SPLITS = ("train", "validation", "test")
INTENTS = {
    "account_access",
    "cancel_order",
    "change_order",
    "compliment",
    "damaged_item",
    "invoice_request",
    "order_status",
    "payment_problem",
    "product_question",
    "refund_status",
    "return_item",
    "wrong_or_missing_item",
}
TOPICS = {"account", "customer_service", "delivery", "payment", "pricing", "product_quality", "returns", "website"}
ENTITY_LABELS = {"amount", "date", "order_number", "place", "product"}


def load(split: str) -> list[dict[str, Any]]:
    """Read one split."""
    return [json.loads(line) for line in (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """All splits together."""
    return [row for split in SPLITS for row in load(split)]


def test_counts(rows: list[dict[str, Any]]) -> None:
    """The README's row counts hold."""
    assert [len(load(split)) for split in SPLITS] == [497, 122, 122]
    assert len(rows) >= 600


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_every_label(split: str) -> None:
    """Each split knows all intents, evenly, and all topics and entity labels."""
    data = load(split)
    intents = Counter(row["intent"] for row in data)
    assert set(intents) == INTENTS
    assert max(intents.values()) - min(intents.values()) <= 1
    assert {topic for row in data for topic in row["topics"]} == TOPICS
    assert {entity["label"] for row in data for entity in row["entities"]} == ENTITY_LABELS


def test_rows_are_valid(rows: list[dict[str, Any]]) -> None:
    """Columns, types and ranges are as the README says, and no mark-up is left."""
    for row in rows:
        assert list(row) == ["text", "intent", "topics", "urgency", "entities"]
        assert row["text"] == " ".join(row["text"].split())
        assert not re.search(r"\[\[|\]\]|\|", row["text"])
        assert 1 <= len(row["topics"]) == len(set(row["topics"])) <= 4
        assert isinstance(row["urgency"], float)
        assert 0 <= row["urgency"] <= 1


def test_entities_are_trimmed_words_of_the_text(rows: list[dict[str, Any]]) -> None:
    """Spans lie in the text in order, apart, and start and end at word borders."""
    for row in rows:
        text, end = row["text"], 0
        for entity in row["entities"]:
            assert end <= entity["start"] < entity["end"] <= len(text)
            end = entity["end"]
            span = text[entity["start"] : end]
            assert span == span.strip()
            assert not (text[: entity["start"]][-1:].isalnum() and span[0].isalnum()), row
            assert not (text[end:][:1].isalnum() and span[-1].isalnum()), row


def test_no_near_duplicates(rows: list[dict[str, Any]]) -> None:
    """No two messages share six words in a row or more than 60 % of their words."""
    words = [re.findall(r"\w+", row["text"].lower()) for row in rows]
    runs = defaultdict(set)
    for number, tokens in enumerate(words):
        for start in range(len(tokens) - 5):
            runs[tuple(tokens[start : start + 6])].add(number)
    assert [sorted(found) for found in runs.values() if len(found) > 1] == []
    assert len({tuple(tokens) for tokens in words}) == len(words)
    sets = [set(tokens) for tokens in words if len(tokens) >= 4]
    assert [(a, b) for a, b in combinations(sets, 2) if len(a & b) > 0.6 * len(a | b)] == []


def test_lengths_and_urgency_vary(rows: list[dict[str, Any]]) -> None:
    """Short and long messages, calm and urgent ones are all there."""
    lengths = [len(row["text"].split()) for row in rows]
    assert sum(length < 7 for length in lengths) > 0.1 * len(rows)
    assert sum(length > 25 for length in lengths) > 0.2 * len(rows)
    assert max(lengths) > 60
    assert len({row["urgency"] for row in rows}) > 50
