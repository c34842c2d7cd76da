"""Texts that are almost alike: found within and between, no others, and not in more than is looked at."""

import pytest

from enct5.checking import near_duplicates

LONG = "the green chair that I ordered for my mother has not arrived yet"
TEXTS = [LONG, "two lamps were broken when the courier came", LONG.replace("yet", "yet!"), LONG.replace("green", "red")]


def test_each_pair_comes_once_the_later_text_first() -> None:
    pairs, looked_at = near_duplicates.within(TEXTS)
    assert [(later, earlier) for later, earlier, _ in pairs] == [(2, 0)]
    assert near_duplicates.ALIKE_FROM <= pairs[0][2] < 1
    assert looked_at == 4


def test_case_and_blanks_make_no_difference_and_the_order_of_words_does() -> None:
    ((later, earlier, alike),) = near_duplicates.within([LONG, f"  {LONG.upper()} "]).pairs
    assert (later, earlier) == (1, 0)
    assert alike == pytest.approx(1)
    assert near_duplicates.within(["dog bites man", "man bites dog"]).pairs == []


def test_texts_of_one_side_are_held_against_those_of_the_other_only() -> None:
    pairs, looked_at = near_duplicates.between(["something else", LONG + "?", LONG + "."], [TEXTS[1], LONG])
    assert [(place, other) for place, other, _ in pairs] == [(1, 1), (2, 1)]
    assert looked_at == 5


@pytest.mark.parametrize(("texts", "among"), [([], []), (["a"], []), ([], ["a"])])
def test_nothing_is_found_where_there_is_nothing_to_compare(texts: list[str], among: list[str]) -> None:
    assert near_duplicates.between(texts, among) == ([], len(texts) + len(among))
    assert near_duplicates.within(texts) == ([], len(texts))


def test_of_what_would_take_long_the_first_texts_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [f"{LONG} number {number * 7919}" for number in range(40)]
    whole = near_duplicates.within(many)
    assert whole.looked_at == 40
    monkeypatch.setattr(near_duplicates, "_MOST_PRODUCTS", 20_000)
    part = near_duplicates.within(many)
    assert 2 <= part.looked_at < 40
    assert {later for later, _, _ in part.pairs} <= set(range(part.looked_at))
    monkeypatch.setattr(near_duplicates, "_MOST_CHARACTERS", 5 * len(many[0]))
    assert near_duplicates.within(many).looked_at <= 5
    assert near_duplicates.between(many, many).looked_at <= 10
