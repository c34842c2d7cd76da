"""What a user should know about their data: one line each, which a run says, its report and its model card show.

A note tells how many rows it is about, the first of them, and what to do. It holds no texts, because the card holds
none. Rows are numbered from 1, without a header.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from enct5.errors import EncT5Error, show
from enct5.labels import are_whole_numbers, as_number, is_missing, read_lists
from enct5.normal_form import normal_form

if TYPE_CHECKING:
    from enct5.entities import Entities

_MOST_LISTED = 5
# As tables write an absent value, that of another type among them.
_ABSENT = {"na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "(null)", "-", "--", "?"}
_FEW_ROWS = 5  # of a class; on average, where classes are more than the most grades there are
_MOST_GRADES = 20
_SEPARATORS = (",", ";", "|", "/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Scripts that are written without blanks between words: Thai to Khmer, kana, Han.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def line(note: str) -> str:
    """How a run says a note; those that begin with `warning: ` weigh more."""
    return note if note.startswith("warning: ") else f"note: {note}"


def in_rows(rows: Sequence[int]) -> str:
    """Say in how many rows something was found, and where to look.

    Args:
        rows: Their places in the table, from 0, at least one.

    Returns:
        Such as "3 rows (2, 5, 9)"; of many rows the first.
    """
    listed = ", ".join(str(row + 1) for row in rows[:_MOST_LISTED]) + (", ..." if len(rows) > _MOST_LISTED else "")
    return f"{len(rows)} rows ({listed})" if len(rows) > 1 else f"row {listed}"


def _listed(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - _MOST_LISTED} more" if len(parts) > _MOST_LISTED else ""
    return ", ".join(parts[:_MOST_LISTED]) + more


def _number_of(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def reads_as_missing(value: object) -> bool:
    """Whether a cell is empty, or a word for that."""
    return is_missing(value) or value == "None" or str(value).strip().lower() in _ABSENT


def blank_texts(texts: Sequence[Any], source: str) -> list[str]:
    """A note on texts (one of a pair, all words of a list) without any character but blanks.

    Args:
        texts: The texts.
        source: Where they come from, for the error.

    Raises:
        EncT5Error: If there are no others.
    """
    blank = [row for row, text in enumerate(texts) if is_blank(text)]
    if blank and len(blank) == len(texts):
        raise EncT5Error(
            f"{source}: the text is blank in {in_rows(blank)}, which is all; name the column that holds the texts"
        )
    return [f"the text is blank in {in_rows(blank)}; fill it in or remove what has no text"] if blank else []


def numbers_as_texts(texts: Sequence[Any]) -> list[str]:
    """A note where all texts are numbers, as in a column of ids; pairs and lists of words are not looked at."""
    if not texts or not all(isinstance(text, str) and as_number(text) is not None for text in texts):
        return []
    return [f"all {len(texts)} texts are numbers; if these are ids, name the column that holds the texts"]


def is_blank(text: Any) -> bool:
    """Whether a text, one of a pair, or all words of a list have no character but blanks."""
    if isinstance(text, tuple):
        return any(map(is_blank, text))
    return not any(word.strip() for word in ([text] if isinstance(text, str) else text))


def repeated_texts(keys: Sequence[Hashable], values: Sequence[Any]) -> list[str]:
    """Notes on texts that come several times, and on those of them that have different labels.

    Args:
        keys: What rows of the same text have in common; None for those that have no text.
        values: Their label values.
    """
    rows_of = defaultdict(list)
    for row, key in enumerate(keys):
        if key is not None:
            rows_of[key].append(row)
    repeated = [rows for rows in rows_of.values() if len(rows) > 1]
    if not repeated:
        return []
    (first, second, *_), copies = repeated[0], sum(len(rows) - 1 for rows in repeated)
    notes = [
        f"{copies} of {len(keys)} rows repeat the text of an earlier one (row {second + 1} that of row {first + 1}, "
        "for example; case, repeated blanks and Unicode form do not count); remove them, unless they are to weigh more"
    ]
    other = [
        (rows[0], next(row for row in rows if _as_set(values[row]) != _as_set(values[rows[0]])))
        for rows in repeated
        if len({_as_set(values[row]) for row in rows}) > 1
    ]
    if other:
        pairs = _listed([f"{one + 1} and {two + 1}" for one, two in other])
        notes.append(
            f"{_number_of(len(other), 'repeated text')} with different labels (rows {pairs}); correct them: no model "
            "can be right about all"
        )
    return notes


def _as_set(value: Any) -> object:
    return frozenset(value) if isinstance(value, list) else repr(value)


def on_classes(column: Sequence[Any], values: Sequence[str], texts: Sequence[Any]) -> list[str]:
    """Notes on the label values of single-label classification, as `Task.notes` gives them."""
    counts = Counter(values)
    return [*_combinations(counts), *_odd_names(counts)]


def doubts_about_classes(values: Sequence[str]) -> list[str]:
    """What makes classes hard to learn, as `Task.doubts` gives it."""
    counts = Counter(values)
    many, per_class = len(counts) > _MOST_GRADES, len(values) / len(counts)
    numbers = many and are_whole_numbers(counts)
    if many and per_class < _FEW_ROWS:
        remedy = "--task regression predicts numbers" if numbers else "check that the column holds labels, or add rows"
        return [
            f"{len(counts)} classes in {len(values)} rows, {per_class:.1f} of a class, are few to learn from; {remedy}"
        ]
    if numbers and not _are_ids([int(name) for name in counts]):
        return [
            f"{len(counts)} different whole numbers are read as classes; --task regression predicts them as numbers"
        ]
    return []


def _are_ids(numbers: Sequence[int]) -> bool:
    """Whether they count from 0 or 1 with few gaps, as ids of classes do."""
    return min(numbers) in (0, 1) and len(numbers) >= 0.9 * (max(numbers) - min(numbers) + 1)


def _combinations(counts: Mapping[str, int]) -> list[str]:
    """A note where names are made of the same few parts."""
    for separator in _SEPARATORS:
        parts = {name: {part.strip() for part in name.split(separator) if part.strip()} for name in counts}
        several = [name for name in counts if len(parts[name]) > 1]
        single = set().union(*parts.values())
        if several and len(single) < len(counts):
            return [
                f"{len(counts)} labels look like combinations of {len(single)}, such as {show(several[0])}; "
                f"--label-separator '{separator}' reads them as several labels a text"
            ]
    return []


def _odd_names(counts: Mapping[str, int]) -> list[str]:
    """Notes on names that may mean the same, and on names that may mean none."""
    notes = []
    absent = sorted(name for name in counts if reads_as_missing(name))
    alike = defaultdict(list)
    for name in counts.keys() - absent:
        alike[_meaning(name)].append(name)
    groups = sorted(
        " = ".join(f"{_shown(name)} ({counts[name]})" for name in sorted(names))
        for names in alike.values()
        if len(names) > 1
    )
    if groups:
        notes.append(
            f"labels differ only in case, blanks, Unicode form or how a number is written: {_listed(groups)}; write "
            "them alike if they mean the same"
        )
    broken = sorted(name for name in counts if _CONTROL.search(name))
    if broken:
        notes.append(
            f"{_number_of(len(broken), 'label')} with line breaks or other control characters: "
            f"{_listed([_shown(name) for name in broken])}; is a quote in the file closed too late?"
        )
    if absent:
        listed = _listed([f"{show(name)} ({counts[name]})" for name in absent])
        notes.append(
            f"{_number_of(sum(counts[name] for name in absent), 'label')} read like missing values: {listed}; remove "
            "those rows, unless that is what to learn"
        )
    return notes


def _meaning(name: str) -> object:
    number = as_number(name)
    return normal_form(name) if number is None else number


def _shown(name: str) -> str:
    """A name between backticks; where it is not plain, with what the eye does not see."""
    return (
        show(name)
        if name.isascii() and " ".join(name.split()) == name
        else f"`{name.encode('unicode_escape').decode()}`"
    )


def on_label_lists(column: Sequence[Any], values: Sequence[list[str]], texts: Sequence[Any]) -> list[str]:
    """Notes on the label values of multi-label classification, as `Task.notes` gives them."""
    counts = Counter(name for names in values for name in names)
    notes = _odd_names(counts)
    lists = zip(read_lists(column), values, strict=True)
    twice = [row for row, (items, names) in enumerate(lists) if isinstance(items, list) and len(items) > len(names)]
    if twice:
        notes.append(f"a label is named more than once in {in_rows(twice)}, and counts once")
    return notes


def doubts_about_label_lists(values: Sequence[list[str]]) -> list[str]:
    """What makes labels hard to learn, as `Task.doubts` gives it."""
    counts = Counter(name for names in values for name in names)
    always = [show(name) for name, count in sorted(counts.items()) if count == len(values)]
    return [f"every text has the label {_listed(always)}: nothing can be learned of it"] if always else []


def doubts_about_numbers(values: Sequence[Any]) -> list[str]:
    """What makes numbers hard to learn, as `Task.doubts` gives it."""
    rows = [value if isinstance(value, list) else [value] for value in values]
    constant = [numbers[0] for numbers in zip(*rows, strict=True) if len(set(numbers)) == 1]
    return [
        f"all {len(values)} values of a target are {number:g}: there is nothing to learn; name another column"
        for number in constant
    ]


def on_entities(column: Sequence[Any], values: Sequence["Entities"], texts: Sequence[Any]) -> list[str]:
    """Notes on the label values of tagging tokens, as `Task.notes` gives them."""
    notes = _odd_names(Counter(label for row in values for label in row.labels))
    inside = [
        (row, span)
        for row, (entities, text) in enumerate(zip(values, texts, strict=True))
        for span in entities.spans
        if isinstance(text, str) and (_is_inside_word(text, span.start) or _is_inside_word(text, span.end))
    ]
    if inside:
        row, span = inside[0]
        total = sum(len(row.spans) for row in values)
        notes.append(
            f"{len(inside)} of {total} entities begin or end inside a word (first: row {row + 1}, {span.start} to "
            f"{span.end}); start and end count characters from 0, the end excluded"
        )
    return notes


def _is_inside_word(text: str, place: int) -> bool:
    sides = text[max(place - 1, 0) : place + 1]
    return 0 < place < len(text) and sides.isalnum() and not _UNSPACED.search(sides)


def without_evaluation(counts: Mapping[str, int], evaluated: Mapping[str, int], counted: str) -> list[str]:
    """A note on labels that the evaluation says nothing about.

    Args:
        counts: The labels, and how often each occurs in all.
        evaluated: How often each occurs in the evaluation.
        counted: What they count.
    """
    absent = [name for name in counts if not evaluated.get(name)]
    if not absent:
        return []
    listed = _listed([f"{show(name)} ({counts[name]})" for name in absent])
    return [
        f"{len(absent)} of {_number_of(len(counts), 'label')} {'is' if len(absent) == 1 else 'are'} not among the "
        f"evaluation's {counted}, so no figure is about {listed}; add rows, raise --eval-fraction, or give a file with "
        "--eval"
    ]
