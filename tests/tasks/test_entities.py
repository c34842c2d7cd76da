"""Entities: spans from tags and from span columns, held against their texts."""

from typing import Any

import pytest
from seqeval.metrics.sequence_labeling import get_entities

from enct5.errors import EncT5Error
from enct5.tasks.entities import (
    Entities,
    Span,
    align_entities,
    content,
    entity_labels,
    parse_entities,
    spans_of_tags,
    tag_names,
)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O B-a I-a O", [(1, 3, "a")]),
        ("B-a B-a I-a", [(0, 1, "a"), (1, 3, "a")]),
        ("I-a I-a O I-b", [(0, 2, "a"), (3, 4, "b")]),
        ("B-a I-b I-b", [(0, 1, "a"), (1, 3, "b")]),
        ("S-a B-a I-a E-a O E-b", [(0, 1, "a"), (1, 4, "a"), (5, 6, "b")]),
        ("U-a B-a L-a I-a", [(0, 1, "a"), (1, 3, "a"), (3, 4, "a")]),
        ("B-creative-work I-creative-work", [(0, 2, "creative-work")]),
        ("PER PER O LOC", [(0, 2, "PER"), (3, 4, "LOC")]),
        ("", []),
    ],
)
def test_spans_of_tags(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert spans_of_tags(tags.split()) == [Span(*span) for span in spans]


def test_bio_is_read_as_seqeval_reads_it() -> None:
    tags = ["I-a", "B-a", "I-b", "O", "I-b", "I-b", "B-b", "I-b", "O", "O", "B-a", "I-a", "I-a"]
    assert [(s.label, s.start, s.end - 1) for s in spans_of_tags(tags)] == get_entities(tags)


def test_tag_names_and_labels_belong_together() -> None:
    assert tag_names(["day", "place"]) == ["O", "B-day", "I-day", "B-place", "I-place"]
    assert entity_labels(tag_names(["day", "place"])) == ["day", "place"]


def test_both_forms_are_read() -> None:
    tags = [["O", "B-a"], [], ["O"]]
    assert parse_entities(tags, "tags", None) == [Entities([Span(1, 2, "a")], 2), Entities([], 0), Entities([], 1)]
    assert parse_entities(['["O", "B-a"]', "[]", '["O"]'], "tags", None) == parse_entities(tags, "tags", None)
    spans = [[{"start": 5, "end": 6, "label": "b"}, {"start": 0, "end": 5, "label": "a", "id": 7}], []]
    assert parse_entities(spans, "spans", None) == [Entities([Span(0, 5, "a"), Span(5, 6, "b")]), Entities([])]


def one(start: Any, end: Any, label: Any = "a") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([["O"], ["O", "PER"]], "column `x`, row 2: `PER` is not a tag; tags are `O`, or `B-` or `I-` and a label"),
        ([["O"], ["O", None]], "row 2: `None` is not a tag"),
        ([["O"], "O"], "row 2: `O` is not a list of tags"),
        ([[one(0, 1)], "a"], "row 2: `a` is not a list of entities"),
        ([[{"start": 0, "label": "a"}]], "row 1: .* is not an entity with start, end and label"),
        ([[one(0, 1, "")]], "row 1: .* is not an entity with start, end and label"),
        ([[one(0, 1), one("0", 2)]], "row 1: .* is not an entity with whole numbers as start and end"),
        ([[one(True, 2)]], "whole numbers"),
        ([[one(-1, 2)]], "row 1: .* is not an entity that starts at 0 or later and ends after its start"),
        ([[one(3, 3)]], "ends after its start"),
        ([[], [one(0, 5), one(4, 6, "b")]], "row 2: the entities 0 to 5 .`a`. and 4 to 6 .`b`. overlap"),
        ([[one(0, 5), one(0, 5)]], "row 1: .* overlap"),
    ],
)
def test_what_is_no_entity_is_refused_with_its_row(values: list[Any], message: str) -> None:
    with pytest.raises(EncT5Error, match=message) as caught:
        parse_entities(values, "x", None)
    assert "\n" not in str(caught.value)


def test_a_separator_is_refused() -> None:
    with pytest.raises(EncT5Error, match="--label-separator `;` goes with --task multi, not tokens"):
        parse_entities([["O"]], "x", ";")


def test_blanks_at_the_ends_are_no_part_of_an_entity() -> None:
    (entities,) = align_entities([Entities([Span(2, 9, "a")])], ["in  Rome \tnow"], "x")
    assert entities.spans == [Span(4, 8, "a")]
    assert content("in  Rome \tnow", entities.spans[0]) == "Rome"
    assert content(["in", "New", "York"], Span(1, 3, "a")) == "New York"


@pytest.mark.parametrize(
    ("entities", "text", "message"),
    [
        (Entities([Span(0, 5, "a")]), "Rome", "row 2: the entity 0 to 5 .`a`. is not within its text of 4 characters"),
        (Entities([Span(0, 3, "a")]), ["New", "York"], "not within its text of 2 words; count start and end in words"),
        (Entities([Span(2, 4, "a")]), "in  Rome", "row 2: the entity 2 to 4 .`a`. covers blanks only"),
        (Entities([], 3), ["a", "b"], "row 2: 3 tags for 2 words; give one tag a word"),
        (Entities([], 3), "a b c", "row 2: 3 tags for a text in one piece; name a column of word lists"),
        (Entities([]), ("a", "b"), "tagging tokens reads one text column, not two"),
    ],
)
def test_entities_must_fit_their_text(entities: Entities, text: Any, message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        align_entities([Entities([]), entities], ["", text], "x")


def covering(start: int, end: int, covered: str, key: str = "text") -> dict[str, Any]:
    return one(start, end) | {key: covered}


@pytest.mark.parametrize(
    ("text", "item", "said"),
    [
        (
            "\U0001f44d\U0001f3ff Tom asks",
            covering(5, 8, "Tom"),
            "they count UTF-16 code units, as JavaScript and Java do",
        ),
        ("Zoë asks Tom", covering(10, 13, "Tom", "surface"), "they count bytes of UTF-8, it seems"),
        ("Ask Tom now", covering(4, 6, "Tom", "word"), "they count the last character as the end, it seems"),
        ("Ask Tom now", covering(5, 8, "Tom"), "they count from 1 on, it seems"),
        ("Ask Tom now", covering(5, 7, "Tom"), "they count from 1 on, with the last character as the end, it seems"),
        ("Hi\n\nTom", covering(6, 9, "Tom"), "they count characters of a text with Windows line ends, it seems"),
        ("Ask Tom now", covering(0, 3, "Tom"), "count characters from 0, the end excluded$"),
        (["Ask", "Tom", "now"], covering(0, 1, "Tom"), "count characters from 0, the end excluded$"),
    ],
)
def test_spans_that_do_not_give_their_own_text_are_refused(text: Any, item: dict[str, Any], said: str) -> None:
    """All of them are counted, wherever they end, and what they count instead is named."""
    values = parse_entities([[], [item], [item]], "spans", None)
    with pytest.raises(EncT5Error, match=r"^column `spans`: in 2 of 3 rows .*\(row 2: .*`Tom`\); .*" + said):
        align_entities(values, ["", text, text], "spans")


def test_a_span_that_gives_its_own_text_is_read() -> None:
    """Other case and other blanks, as tokenizers of other models write them, do no harm; other keys are no text."""
    for item in (covering(4, 11, "o ' neil", "word"), covering(3, 11, "O'Neil "), covering(4, 11, "Tom", "value")):
        (entities,) = align_entities(parse_entities([[item]], "spans", None), ["Ask O'Neil now"], "spans")
        assert entities.spans == [Span(4, 10, "a")]
    words = parse_entities([[covering(0, 2, "New York")]], "spans", None)
    assert align_entities(words, [["New", "York"]], "spans")[0].spans == [Span(0, 2, "a")]


def test_blanks_around_labels_and_tags_are_no_part_of_them() -> None:
    assert parse_entities([[one(0, 1, " a ")]], "x", None)[0].labels == ["a"]
    assert parse_entities([["B-a ", "O"]], "x", None)[0].labels == ["a"]
    with pytest.raises(EncT5Error, match=r"row 1: .* is not an entity with start, end and label"):
        parse_entities([[one(0, 1, " ")]], "x", None)
