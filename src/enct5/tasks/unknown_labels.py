"""Rows to evaluate on whose labels a model does not know: refused, or left out and counted."""

from collections import Counter
from collections.abc import Sequence

from enct5.data.notes import and_more
from enct5.errors import EncT5Error, nearest, show
from enct5.tasks.base import Task
from enct5.tasks.entities import entity_labels
from enct5.tasks.labelled import LabelledTexts


def known_rows(
    labelled: LabelledTexts, task: Task, names: Sequence[str], source: str, skip: bool
) -> tuple[LabelledTexts, list[str]]:
    """The rows whose labels are all known.

    Args:
        labelled: The rows.
        task: The task.
        names: The model's labels, or tags.
        source: Where the rows came from, for messages.
        skip: Leave other rows out.

    Returns:
        Those rows, and a note on the others.

    Raises:
        EncT5Error: If there are others and they are not to be left out, or no row is left.
    """
    known = set(entity_labels(names) if task.inputs.windowed else names)
    unknown = {
        row: others
        for row, value in enumerate(labelled.values)
        if (others := task.class_counts([value]).keys() - known)
    }
    if not unknown:
        return labelled, []
    counts = Counter(name for others in unknown.values() for name in others)
    listed = and_more([f"{show(name)} ({count})" for name, count in counts.most_common()])
    rows = f"{len(unknown)} of {len(labelled)} rows (first: row {next(iter(unknown)) + 1})"
    found = f"{source} has labels that the model is not trained on in {rows}: {listed}"
    if not skip or len(unknown) == len(labelled):
        guess = nearest(next(iter(counts)), known)
        meant = f"did you mean {show(guess)}? " if guess else ""
        remedy = "; no other row is left" if skip else ", or leave those rows out (--skip-unknown-labels)"
        raise EncT5Error(f"{found}; {meant}correct them, or train on them{remedy}")
    kept = [row for row in range(len(labelled)) if row not in unknown]
    return labelled.select(kept), [f"{found}; they are left out, and no figure is about them"]
