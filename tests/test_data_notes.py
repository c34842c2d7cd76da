"""Notes on the data: counted, with the rows to look at."""

import pytest

from enct5.data_notes import in_rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [([4], "row 5"), ([1, 4], "2 rows (2, 5)"), (range(7), "7 rows (1, 2, 3, 4, 5, ...)")],
)
def test_rows_are_counted_and_the_first_are_named(rows: list[int], said: str) -> None:
    assert in_rows(rows) == said
