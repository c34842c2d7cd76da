"""The task is read from the label column with care: what is neither plain numbers nor plausible classes is refused."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from enct5.errors import EncT5Error
from enct5.tasks.guessing import guess

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
PRICES = [19 + 37 * row for row in range(40)]


@pytest.mark.parametrize(
    ("values", "task", "reason"),
    [
        (PRICES, REGRESSION, "40 of its 40 values differ; --task single"),
        ([str(price) for price in PRICES], REGRESSION, "40 of its 40 values differ; --task single"),
        ([float(price) for price in PRICES], REGRESSION, "40 of its 40 values differ; --task single"),
        ([*PRICES[:21], *[5] * 19], REGRESSION, "22 of its 40 values differ"),
        ([*PRICES[:19], *[5] * 21], SINGLE, None),
        (PRICES[:20], SINGLE, None),  # as many grades as there may be
        ([f"{price / 10}%" for price in PRICES], REGRESSION, "numbers of per cent: `1.9%` is 1.9"),
        ([Decimal(price) / 100 for price in PRICES], REGRESSION, None),
        ([price / 100 for price in PRICES], REGRESSION, None),
        (["1", "2", "3.5"], REGRESSION, None),
        (["950", "1.137", "12.400"], REGRESSION, "decimal point: `1.137` is 1.137; if the point separates thousands"),
        (["0.950", "1.137", "12.400"], REGRESSION, None),  # nobody writes 950 so
        (["1.137", "12.4"], REGRESSION, None),
        ([1.137, 12.425], REGRESSION, None),  # as what it was written is not known
        (["1", "2", "3"] * 20, SINGLE, None),
        (["0.0", "1.0", "2.0"] * 20, SINGLE, "none of its numbers has a fraction; --task regression"),
        ([0.0, 1.0, 2.0] * 20, SINGLE, "none of its numbers has a fraction; --task regression"),
        ([Decimal("0.0"), Decimal("1.0")] * 20, SINGLE, "none of its numbers has a fraction; --task regression"),
        (["10%", "20%"] * 20, SINGLE, None),
        (["$5", "$10"] * 20, SINGLE, None),
        (["2024-01-01", "2024-04-01"] * 20, SINGLE, None),
        ([date(2024, 1, 1), date(2024, 4, 1)] * 20, SINGLE, None),
        (["1.5", "n/a", "n/a"], SINGLE, None),
        (["1.5", "2.5", *["new"] * 8], SINGLE, None),
        ([f"${price}.00" for price in PRICES], REGRESSION, "read as numbers of `$`: `$19.00` is 19.00"),
        ([f"{price} EUR" for price in PRICES], REGRESSION, "read as numbers of `EUR`: `19 EUR` is 19"),
        ([f"{price},50" for price in PRICES], REGRESSION, "read as numbers: `19,50` is 19.50"),
        (["1", "2", "3", "NA"] * 10, SINGLE, None),
        (["Yes", "1"] * 20, SINGLE, None),
        (["001", "002"] * 20, SINGLE, None),
        ([True, False] * 20, SINGLE, None),
        (["['a', 'b']", "[]", "['b']"], MULTI, None),
        (["{'a', 'b'}", "set()", "{'b'}"], MULTI, None),
        (["[urgent]", "(other)"], SINGLE, None),
        ([["a"], [None, "b"]], MULTI, None),
        ([[0, 1], [1]], MULTI, None),
        ([[1.0, 0.0, 3.0]], REGRESSION, None),
    ],
)
def test_the_task_and_its_reason(values: list[Any], task: str, reason: str | None) -> None:
    """Every format gives the same task; a choice that may surprise says why, and how to make the other."""
    found, why = guess(values, "price")
    assert found == task
    assert (why is None) == (reason is None)
    assert reason is None or reason in (why or "")


@pytest.mark.parametrize(
    "cells", [["nan"], ["NA"], ["inf"], ["n/a"], [""], ["-"], ["12,5"], ["NaN", "unknown"], [float("nan")], [None]]
)
def test_a_cell_that_is_no_number_is_named_and_does_not_change_the_task(cells: list[Any]) -> None:
    """Among numbers that would be regression without it."""
    count = f"{len(cells)} rows (4, 5)" if len(cells) > 1 else "row 4"
    for numbers in ([0.5 * row for row in range(40)], [str(price) for price in PRICES]):
        values = [*numbers[:3], *cells, *numbers[3:]]
        with pytest.raises(EncT5Error) as caught:
            guess(values, "price")
        shown = f"`{cells[0]}`"
        assert str(caught.value) == (
            f"column `price` holds numbers, but not in {count}: {shown} is not a number; correct or remove it, or pass "
            "--task single for classes"
        )


def test_up_to_half_of_the_cells_may_be_missing_before_words_are_classes() -> None:
    with pytest.raises(EncT5Error, match=r"but not in 2 rows \(1, 3\): `null` is not a number"):
        guess(["null", "1.5", "NA", "2.5"], "price")
    assert guess(["null", "1.5", "NA"], "price")[0] == SINGLE


@pytest.mark.parametrize("cell", ["['a' 'b']", "['a', 'b'", "{'a': 1}", "('a', x)"])
def test_lists_that_cannot_be_read_are_no_classes(cell: str) -> None:
    with pytest.raises(EncT5Error, match=r"column `topic` holds lists or objects that .* such as `.*`; write lists as"):
        guess([cell, "['b']"] * 10, "topic")
    assert guess([cell, "b"] * 10, "topic")[0] == SINGLE


def test_objects_are_no_labels() -> None:
    with pytest.raises(EncT5Error, match=r"column `day` holds objects, such as `.'name': 'good'.`; name a column of"):
        guess([{"name": "good"}, {"name": "bad"}], "day")
    assert guess([[{"start": 0, "end": 1, "label": "x"}], []], "day")[0] == "token_classification"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [f"2024-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(60)],
            "holds dates, 60 different ones in 60 rows",
        ),
        (
            [f"{1 + row % 28}.{1 + row % 12}.2024" for row in range(60)],
            "holds dates, .* pass --task single if each date",
        ),
        ([f"{1 + row % 12}/{1 + row % 28}/24 10:30" for row in range(60)], "holds dates"),
        ([date.fromordinal(738_000 + row // 2) for row in range(60)], "holds dates, 30 different ones in 60 rows"),
        ([datetime(2024, 1, 1, row % 24, row) for row in range(60)], "holds dates"),
        (
            [f"{price} kg" for price in PRICES],
            r"look like numbers written .* than 1234.5 \(`19 kg`\); write them so",
        ),
        ([f"000{price}" for price in PRICES], "look like numbers"),
        ([f"ticket {price}" for price in PRICES], "40 different values in 40 rows, which look like no classes; name"),
        ([[0, 1, 0], [1, 0, 0]], r"lists of 0 and 1 \(`\[0, 1, 0\]`\), one for each label, it seems"),
        ([[0.0, 1.0], [1.0, 1.0]], "lists of 0 and 1"),
        (["[0, 1]", "[1, 0]"], "lists of 0 and 1"),
    ],
)
def test_what_is_neither_numbers_nor_classes_is_refused(values: list[Any], message: str) -> None:
    """With counts and the option that settles it."""
    with pytest.raises(EncT5Error, match=message) as caught:
        guess(values, "day")
    assert "--task" in str(caught.value)
    assert str(caught.value).startswith("column `day` ")
