"""What a user should know about their data: one line each, which a run says, its report and its model card show.

A note tells how many rows it is about, the first of them, and what to do. It holds no texts, because the card holds
none. Rows are numbered from 1, without a header.
"""

from collections.abc import Sequence

_MOST_LISTED = 5


def in_rows(rows: Sequence[int]) -> str:
    """Say in how many rows something was found, and where to look.

    Args:
        rows: Their places in the table, from 0, at least one.

    Returns:
        Such as "3 rows (2, 5, 9)"; of many rows the first.
    """
    listed = ", ".join(str(row + 1) for row in rows[:_MOST_LISTED]) + (", ..." if len(rows) > _MOST_LISTED else "")
    return f"{len(rows)} rows ({listed})" if len(rows) > 1 else f"row {listed}"
