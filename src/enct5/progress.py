"""One line of progress at the foot of a terminal; nothing in a log, nor in programs that use enct5 as a library."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

enabled = False  # the command turns it on
_shown: "Progress | None" = None


def is_terminal() -> bool:
    """Whether there is a terminal to show progress on."""
    return sys.stderr.isatty()


@contextmanager
def bar(description: str, total: float | None = None, completed: int = 0) -> Iterator[None]:
    """Show how far the work within the block is, unless a block around it does.

    What is printed meanwhile appears above the line, which goes when the block ends.

    Args:
        description: what is done, in a word.
        total: how much there is to do; `None` shows that something is done.
        completed: how much of it had been done before.
    """
    global _shown
    if not enabled or _shown is not None or not is_terminal():
        yield
        return
    from rich import progress as columns
    from rich.console import Console

    figures = (
        [columns.TimeElapsedColumn()]
        if total is None
        else [columns.MofNCompleteColumn(), columns.TimeRemainingColumn(compact=True)]
    )
    # Lines on standard output are part of the same screen only where that is one.
    shown = columns.Progress(
        columns.TextColumn("{task.description:<10}"),  # so that the bar stays where it is
        columns.BarColumn(bar_width=None),
        *figures,
        console=Console(stderr=True),
        transient=True,
        expand=True,
        refresh_per_second=4,
        redirect_stdout=sys.stdout.isatty(),
    )
    shown.add_task(description, total=total, completed=completed)
    with shown:
        _shown = shown
        try:
            yield
        finally:
            _shown = None


def advance(count: float = 1) -> None:
    """Tell the bar, if there is one, that more has been done."""
    if _shown is not None:
        _shown.advance(_shown.task_ids[0], count)


def describe(description: str, total: float | None = None, completed: float | None = None) -> None:
    """Tell the bar, if there is one, what is done now, and how far it is."""
    if _shown is not None:
        _shown.update(_shown.task_ids[0], description=description, total=total, completed=completed)
