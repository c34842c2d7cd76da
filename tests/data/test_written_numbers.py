"""Numbers as people write them: one reading, which is said, or a refusal that names the row."""

from typing import Any

import pytest

from enct5.data.written_numbers import read_numbers
from enct5.errors import EncT5Error
from enct5.tasks.guessing import guess


@pytest.mark.parametrize(
    ("cells", "numbers", "said"),
    [
        (["322,68", "2147,00", "1.397,77"], ["322.68", "2147.00", "1397.77"], "as numbers: `322,68` is 322.68"),
        (["322.68", "2,147.00", "5"], ["322.68", "2147.00", "5"], "as numbers: `2,147.00` is 2147.00"),
        (["12.5", "1,234"], ["12.5", "1234"], "`1,234` is 1234"),
        (["12,55", "1.234"], ["12.55", "1234"], "`12,55` is 12.55"),
        (["1,234,567", "12"], ["1234567", "12"], "`1,234,567` is 1234567"),
        (["1 234,50", "12,25"], ["1234.50", "12.25"], "`1 234,50` is 1234.50"),
        (["1\xa0234,50", "12,25"], ["1234.50", "12.25"], "is 1234.50"),
        (["1'234.50", "12.25"], ["1234.50", "12.25"], "`1'234.50` is 1234.50"),
        (["$322.68", "-$1", "+$2.50"], ["322.68", "-1", "+2.50"], "as numbers of `$`: `$322.68` is 322.68"),
        (["12,50 €", "1.000,00 €"], ["12.50", "1000.00"], "as numbers of `€`: `12,50 €` is 12.50"),
        (["EUR 12.50", "EUR 3"], ["12.50", "3"], "as numbers of `EUR`"),
        (["10.8%", "7 %"], ["10.8", "7"], "as numbers of per cent: `10.8%` is 10.8"),
        (["10,85%", "7%"], ["10.85", "7"], "as numbers of per cent: `10,85%` is 10.85"),
        (["0,125", "0,250"], ["0.125", "0.250"], "`0,125` is 0.125"),
        (["\u22123,25", "4,10"], ["-3.25", "4.10"], "is -3.25"),
    ],
)
def test_what_is_read(cells: list[str], numbers: list[str], said: str) -> None:
    found = read_numbers(cells, "price")
    assert list(found.values) == numbers
    assert said in (found.said or "")
    assert (found.said or "").startswith("column `price` is read ")


@pytest.mark.parametrize(
    "cells",
    [
        ["1.5", "2"],
        [1.5, 2],
        ["a", "b"],
        ["Q1", "Q2"],
        ["v1,5", "v2,5"],
        ["1,2,5", "3,4"],
        ["1,05,000", "2,00,000"],
        ["3 kg", "4 kg"],
        ["5 stars", "4 stars"],
        ["10%", "7"],
        ["1.234", "2.345"],
        [*["1.25"] * 30, "12,5"],
        [None, "a"],
    ],
)
def test_what_stays_as_it_is(cells: list[Any]) -> None:
    assert read_numbers(cells, "price") == (cells, None, None)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1,234", "2,345"], r"nothing tells whether `1,234` \(row 1\) is 1234 or 1.234; write it so"),
        (["5", "$1,234"], r"nothing tells whether `\$1,234` \(row 2\) is 1234 or 1.234"),
        (["12,5", "12.5"], r"with a comma in row 1 \(`12,5`\) and with a point in row 2 \(`12.5`\)"),
        (["€ 5", "$ 5"], r"several units, such as `€ 5` in row 1 and `\$ 5` in row 2"),
    ],
)
def test_what_nobody_can_tell_is_refused(cells: list[str], message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        read_numbers(cells, "price")


def test_one_digit_behind_a_comma_may_be_two_labels() -> None:
    """Which is asked for, unless the user says that they are numbers."""
    cells = ["1,5", "2,0", "2,5"] * 10
    with pytest.raises(
        EncT5Error, match=r"numbers written with a comma .*, or like two labels in one field; pass --task"
    ):
        guess(cells, "grade")
    assert read_numbers(cells, "grade").values[0] == "1.5"
