"""Texts that come several times, in the data or in the evaluation's, and texts that nearly do."""

from collections.abc import Sequence
from typing import Any

from enct5.checking import near_duplicates
from enct5.checking.records import label_of, record, shown
from enct5.checking.report import Finding
from enct5.checking.table import CheckedTable
from enct5.data.notes import copies_of, differing, in_rows, is_blank, number_of

_MEASURE = f"(cosine {near_duplicates.ALIKE_FROM} or more of their character n-grams)"


def _s(rows: Sequence[int]) -> str:
    """What a verb ends in, of one row and of several."""
    return "s" if len(rows) == 1 else ""


def repeated(table: CheckedTable, written: Sequence[int]) -> list[Finding]:
    """Copies of a text that have different labels, and copies that have the same.

    Args:
        table: The table.
        written: The places of its texts that are not blank.
    """
    contradicting, agreeing = _groups(table, written)
    findings = []
    if contradicting:
        rows = sorted(table.rows[place] for group in contradicting for place in group)
        said = (
            f"warning: {number_of(len(contradicting), 'repeated text')} with different labels, in {in_rows(rows)}; "
            "correct them: no model can be right about all"
        )
        findings.append(_of_groups(table, "contradictions", said, rows, contradicting))
    if agreeing:
        rows = [table.rows[place] for place in superfluous(table, written)]
        said = (
            f"{in_rows(rows)} repeat{_s(rows)} text and label of an earlier one (case, repeated blanks and Unicode "
            "form do not count); remove them (--fix does), unless they are to weigh more"
        )
        findings.append(_of_groups(table, "duplicates", said, rows, agreeing))
    return findings


def superfluous(table: CheckedTable, written: Sequence[int]) -> list[int]:
    """The places of the texts that repeat text and label of an earlier one, where no other copy contradicts them."""
    _, agreeing = _groups(table, written)
    return sorted(place for group in agreeing for place in group[1:])


def _groups(table: CheckedTable, written: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
    """The places of the copies of each text: of those with different labels, and of those with one."""
    keys, values = table.labelled.keys, table.labelled.values
    groups = copies_of(keys, written)
    contradicting = [group for group in groups if differing(group, values)]
    return contradicting, [group for group in groups if not differing(group, values)]


def _of_groups(
    table: CheckedTable, kind: str, said: str, rows: Sequence[int], groups: Sequence[Sequence[int]]
) -> Finding:
    records = [
        record(table, place, {"Copy of row": "" if place == group[0] else table.rows[group[0]] + 1})
        for group in groups
        for place in group
    ]
    return Finding(kind, said, [row + 1 for row in rows], records)


def nearly_repeated(table: CheckedTable, written: Sequence[int]) -> list[Finding]:
    """Different texts that are almost alike.

    Args:
        table: The table.
        written: The places of its texts that are not blank.
    """
    places = _different(table, written)
    texts = [shown(table.labelled.texts[place]) for place in places]
    pairs, looked_at = near_duplicates.within(texts)
    if not pairs:
        return _limit("near-duplicates", looked_at, len(texts))
    rows = sorted({table.rows[places[later]] for later, _, _ in pairs})
    said = (
        f"{in_rows(rows)} nearly repeat{_s(rows)} the text of an earlier one {_MEASURE}; where labels differ, see "
        "which is right"
    )
    records = [
        record(
            table,
            places[later],
            {
                "Like row": table.rows[places[earlier]] + 1,
                "Cosine": round(alike, 3),
                "Label there": label_of(table.labelled.values[places[earlier]]),
                "Text there": texts[earlier],
            },
        )
        for later, earlier, alike in pairs
    ]
    findings = [Finding("near_duplicates", said, [row + 1 for row in rows], records)]
    return findings + _limit("near-duplicates", looked_at, len(texts))


def _limit(what: str, looked_at: int, texts: int) -> list[Finding]:
    if looked_at == texts:
        return []
    said = f"{what} are looked for among the first {looked_at:,} of {texts:,} different texts: more would take minutes"
    return [Finding("note", said)]


def _different(table: CheckedTable, written: Sequence[int]) -> list[int]:
    """Of each text the first place."""
    first: dict[int, int] = {}
    for place in written:
        first.setdefault(table.labelled.keys[place], place)
    return list(first.values())


def leaked(table: CheckedTable, written: Sequence[int]) -> list[Finding]:
    """Texts of the evaluation that are among those of the data, too, or nearly.

    Args:
        table: The table.
        written: The places of its texts that are not blank.
    """
    evaluation = table.evaluation
    if evaluation is None:
        return []
    places = _different(table, written)
    place_of = {table.labelled.keys[place]: place for place in places}
    own = [place for place, text in enumerate(evaluation.texts) if not is_blank(text)]
    same = [(place, place_of[key], 1.0) for place in own if (key := evaluation.keys[place]) in place_of]
    findings = [_leak(table, "leakage", "", same)] if same else []
    others = [place for place in own if evaluation.keys[place] not in place_of]
    pairs, looked_at = near_duplicates.between(
        [shown(evaluation.texts[place]) for place in others],
        [shown(table.labelled.texts[place]) for place in places],
    )
    if pairs:
        near = [(others[place], places[other], alike) for place, other, alike in pairs]
        findings.append(_leak(table, "near_leakage", f", but for little {_MEASURE}", near))
    return findings + _limit("texts that nearly are in both files", looked_at, len(others) + len(places))


def _leak(table: CheckedTable, kind: str, how: str, pairs: Sequence[tuple[int, int, float]]) -> Finding:
    evaluation: Any = table.evaluation
    rows = sorted({table.rows[other] for _, other, _ in pairs})
    said = (
        f"warning: {len(pairs)} of the {len(evaluation)} texts of {table.config.eval} are in {table.source}, "
        f"too{how}, in {in_rows(rows)}; figures on them are too good: evaluate on others"
    )
    records = [
        record(
            table,
            other,
            {
                "Cosine": round(alike, 3),
                "Label there": label_of(evaluation.values[place]),
                "Text there": shown(evaluation.texts[place]),
            },
        )
        for place, other, alike in pairs
    ]
    return Finding(kind, said, [row + 1 for row in rows], records)
