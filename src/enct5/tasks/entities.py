"""Entities: labelled spans of a text, read from tags or from a column of spans, and checked against their texts.

A span counts the units that its text is made of, so that `text[start:end]` is what it covers: characters (Unicode code
points) of a string, words of a list of words. Tags follow the BIO scheme inside; other schemes are read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from enct5.data.cells import is_missing, read_lists
from enct5.errors import EncT5Error, show
from enct5.tasks.labels import TAG, not_a, refuse_separator, sort_names
from enct5.text.normal_form import normal_form
from enct5.tokenization.windows import Text

OUTSIDE = "O"
# Prefixes after which an entity starts anew, and after which it is over (BIO, BIOES and BILOU).
_STARTING, _ENDING = "BSU", "ELSU"
_COVERED = ("text", "surface", "surface_form", "word", "phrase", "mention")  # keys of a span's own text in exports


def _in_units(encoding: str, width: int) -> Callable[[str, int, int], str]:
    def cut(text: str, start: int, end: int) -> str:
        return text.encode(encoding, "surrogatepass")[width * start : width * end].decode(encoding, "replace")

    return cut


# What else than characters from 0 on, the end excluded, a tool may count.
_OTHER_COUNTS: dict[str, Callable[[str, int, int], str]] = {
    "UTF-16 code units, as JavaScript and Java do": _in_units("utf-16-le", 2),
    "bytes of UTF-8": _in_units("utf-8", 1),
    "the last character as the end": lambda text, start, end: text[start : end + 1],
    "from 1 on": lambda text, start, end: text[start - 1 : end - 1],
    "from 1 on, with the last character as the end": lambda text, start, end: text[start - 1 : end],
    "characters of a text with Windows line ends": lambda text, start, end: text.replace("\n", "\r\n")[start:end],
}


@dataclass(frozen=True)
class Span:
    """A part of a text, from `start` up to but without `end`, and its label.

    Attributes:
        covered: What it covers according to the file that it was read from, if that says so.
    """

    start: int
    end: int
    label: str
    covered: str | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Entities:
    """The entities of one text.

    Attributes:
        spans: In the order of the text; they do not overlap.
        tags: The number of tags that they were read from, or None where they came as spans.
    """

    spans: list[Span]
    tags: int | None = None

    @property
    def labels(self) -> list[str]:
        """The label of every span."""
        return [span.label for span in self.spans]


def spans_of_tags(tags: Sequence[str]) -> list[Span]:
    """Read the spans of a sequence of tags, as lenient as seqeval: an `I-` without a beginning is one.

    Args:
        tags: Such as `O`, `B-place`, `I-place`; the prefixes of BIOES and BILOU mean what they mean there.

    Returns:
        The spans, counted in tags.
    """
    spans: list[Span] = []
    going_on = False
    for position, tag in enumerate(tags):
        prefix, label = (tag[0], tag[2:]) if tag[1:2] == "-" else ("I", tag)
        if tag == OUTSIDE:
            going_on = False
            continue
        if going_on and prefix not in _STARTING and spans[-1].label == label:
            spans[-1] = Span(spans[-1].start, position + 1, label)
        else:
            spans.append(Span(position, position + 1, label))
        going_on = prefix not in _ENDING
    return spans


def tag_names(labels: Iterable[str]) -> list[str]:
    """The tags of a model for labels, in id order: `O`, then `B-` and `I-` of every label."""
    return [OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in "BI")]


def entity_labels(tags: Iterable[str]) -> list[str]:
    """The labels of a model's tags, in the order of their `B-` tags."""
    return [tag[2:] for tag in tags if tag.startswith("B-")]


def parse_entities(values: Sequence[Any], column: str, separator: str | None) -> list[Entities]:
    """Read a column of tag lists or of span lists.

    Args:
        values: The label column: lists of tags, one a word; or lists of `{"start", "end", "label"}`; or JSON of these.
        column: Its name, for messages.
        separator: Refused, since entities are not split.

    Returns:
        The entities of every row.

    Raises:
        EncT5Error: If a row cannot be read as entities, or its spans overlap.
    """
    refuse_separator(separator, "tokens")
    lists = read_lists(values)
    tagged = any(isinstance(item, str) for value in lists if isinstance(value, list) for item in value)
    return [_read(value, column, row, tagged) for row, value in enumerate(lists, 1)]


def _read(value: Any, column: str, row: int, tagged: bool) -> Entities:
    wanted = "a list of tags" if tagged else "a list of entities"
    advice = (
        'give one BIO tag a word, as ["O", "B-place"]' if tagged else 'give [{"start": 0, "end": 4, "label": "place"}]'
    )
    if not isinstance(value, list):
        raise not_a(wanted, column, row, value, advice)
    if tagged:
        value = [tag.strip() if isinstance(tag, str) else tag for tag in value]
        wrong = [tag for tag in value if not isinstance(tag, str) or not TAG.fullmatch(tag)]
        if wrong:
            raise not_a("a tag", column, row, wrong[0], "tags are `O`, or `B-` or `I-` and a label")
        return Entities(spans_of_tags(value), len(value))
    spans = sorted((_read_span(item, column, row) for item in value), key=lambda span: (span.start, span.end))
    for first, second in pairwise(spans):
        if second.start < first.end:
            raise EncT5Error(
                f"column {show(column)}, row {row}: the entities {_described(first)} and {_described(second)} overlap; "
                "a word can have one label only: remove one of them"
            )
    return Entities(spans)


def _read_span(item: Any, column: str, row: int) -> Span:
    advice = 'give {"start": 0, "end": 4, "label": "place"}, offsets in characters'
    if not isinstance(item, dict) or any(is_missing(item.get(key)) for key in ("start", "end", "label")):
        raise not_a("an entity with start, end and label", column, row, item, advice)
    start, end = item["start"], item["end"]
    if any(not isinstance(offset, int) or isinstance(offset, bool) for offset in (start, end)):
        raise not_a("an entity with whole numbers as start and end", column, row, item, advice)
    if not 0 <= start < end:
        raise not_a("an entity that starts at 0 or later and ends after its start", column, row, item, advice)
    covered = next((item[key] for key in _COVERED if isinstance(item.get(key), str)), None)
    return Span(start, end, str(item["label"]).strip(), covered)


def align_entities(values: Sequence[Entities], texts: Sequence[Any], column: str) -> list[Entities]:
    """Hold entities against the texts that they are of.

    Args:
        values: As from `parse_entities`.
        texts: The text of every row: a string or a list of words.
        column: The label column's name, for messages.

    Returns:
        The entities, without the blanks at the ends of spans.

    Raises:
        EncT5Error: If a row has another number of tags than words, or a span that is not within its text, or not what
            its file says that it covers.
    """
    _check_covered(values, texts, column)
    return [
        _align(entities, text, column, row) for row, (entities, text) in enumerate(zip(values, texts, strict=True), 1)
    ]


def _check_covered(values: Sequence[Entities], texts: Sequence[Any], column: str) -> None:
    """Refuse spans whose own text is another than their offsets give."""
    wrong = [
        (row, text, span)
        for row, (entities, text) in enumerate(zip(values, texts, strict=True), 1)
        for span in entities.spans
        if span.covered is not None and not isinstance(text, tuple) and not _is_covered(content(text, span), span)
    ]
    if not wrong:
        return
    row, text, span = wrong[0]
    other = [
        name
        for name, cut in _OTHER_COUNTS.items()
        if all(isinstance(text, str) and _is_covered(cut(text, span.start, span.end), span) for _, text, span in wrong)
    ]
    counted = f" (they count {other[0]}, it seems)" if other else ""
    raise EncT5Error(
        f"column {show(column)}: in {len({row for row, _, _ in wrong})} of {len(values)} rows an entity's start and "
        f"end do not give its own text (row {row}: {span.start} to {span.end} are {show(content(text, span))}, its "
        f"text is {show(span.covered)}); count characters from 0, the end excluded{counted}"
    )


def _is_covered(text: str, span: Span) -> bool:
    # some tools put blanks between tokens, or write all in lower case
    return _without_all_blanks(text) == _without_all_blanks(span.covered or "")


def _without_all_blanks(text: str) -> str:
    return normal_form(text).replace(" ", "")


def _align(entities: Entities, text: Any, column: str, row: int) -> Entities:
    where = f"column {show(column)}, row {row}"
    if isinstance(text, tuple):
        raise EncT5Error("tagging tokens reads one text column, not two; name one with --text")
    if entities.tags is not None and isinstance(text, str):
        raise EncT5Error(
            f"{where}: {entities.tags} tags for a text in one piece; name a column of word lists with --text, or give "
            "entities with start, end and label"
        )
    if entities.tags is not None and entities.tags != len(text):
        raise EncT5Error(f"{where}: {entities.tags} tags for {len(text)} words; give one tag a word")
    units = "characters" if isinstance(text, str) else "words"
    spans = []
    for span in entities.spans:
        if span.end > len(text):
            raise EncT5Error(
                f"{where}: the entity {_described(span)} is not within its text of {len(text)} {units}; "
                f"count start and end in {units}"
            )
        start, end = without_blanks(text, span.start, span.end)
        if start == end:
            raise EncT5Error(f"{where}: the entity {_described(span)} covers blanks only; remove or correct it")
        spans.append(Span(start, end, span.label))
    return Entities(spans, entities.tags)


def _described(span: Span) -> str:
    return f"{span.start} to {span.end} ({show(span.label)})"


def without_blanks(text: Text, start: int, end: int) -> tuple[int, int]:
    """A span without the blanks at its ends; they belong to no word. Spans of words come back as they are."""
    if isinstance(text, str):
        covered = text[start:end]
        start += len(covered) - len(covered.lstrip())
        end = start + len(covered.strip())
    return start, end


def content(text: Text, span: Span) -> str:
    """What a span covers; words are joined by blanks."""
    return text[span.start : span.end] if isinstance(text, str) else " ".join(text[span.start : span.end])


def as_records(text: Text, spans: Sequence[Span], scores: Sequence[float]) -> list[dict[str, Any]]:
    """Spans as a user sees them: `start`, `end`, `label`, `text`, `score`."""
    return [
        {"start": span.start, "end": span.end, "label": span.label, "text": content(text, span), "score": score}
        for span, score in zip(spans, scores, strict=True)
    ]


def tags_of_values(values: Sequence[Entities]) -> list[str]:
    """The tags of a model for label values; see `tag_names`.

    Raises:
        EncT5Error: If no row has an entity.
    """
    labels = sort_names({label for entities in values for label in entities.labels})
    if not labels:
        raise EncT5Error("no row of the label column has an entity; name another column with --label")
    return tag_names(labels)


def encode(values: Sequence[Entities], index: Mapping[str, int]) -> list[list[tuple[int, int, int]]]:
    """Entities as `(start, end, index of the label)`, given the index of every label."""
    return [[(span.start, span.end, index[span.label]) for span in entities.spans] for entities in values]
