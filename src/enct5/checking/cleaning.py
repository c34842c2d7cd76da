"""A cleaned copy of a table: rows that say nothing go; what would be a guess is marked, never changed."""

from pathlib import Path

import numpy as np

from enct5.checking.copies import superfluous
from enct5.checking.report import Finding
from enct5.checking.table import CheckedTable
from enct5.data.notes import is_blank, number_of
from enct5.errors import EncT5Error, show
from enct5.files.writing import atomic_file, check_file
from enct5.inference.output_formats import WRITERS, typed

MARK = "enct5_check"  # the column of the copy that says what is doubtful about a row
_MARKS = {
    "contradictions": "same text, other label",
    "suspicious_labels": "label may be wrong",
    "near_duplicates": "nearly repeats another row",
}


def check_output(out: Path) -> None:
    """Refuse a copy that could not be written, or would replace a file.

    Raises:
        EncT5Error: For an unknown file type, a folder that does not exist, or a file that does.
    """
    if out.suffix.lower() not in WRITERS:
        raise EncT5Error(f"cannot write {out}: its name must end in one of {', '.join(WRITERS)}")
    check_file(out)
    if out.exists():
        raise EncT5Error(f"{out} is there already; choose another file for the cleaned copy, or delete it")


def write(table: CheckedTable, findings: list[Finding], out: Path) -> str:
    """Write a cleaned copy, whole or not at all.

    Rows without text or label go, and those that repeat text and label of an earlier one. Rows of doubtful labels and
    near-duplicates stay, and the column `enct5_check` says what they are. All values are as they were.

    Args:
        table: The table.
        findings: What was found.
        out: File to write: CSV, TSV, JSON lines or Parquet.

    Returns:
        What was done, in words.

    Raises:
        EncT5Error: If it cannot be written.
    """
    texts = table.labelled.texts
    blank = [place for place, text in enumerate(texts) if is_blank(text)]
    copies = superfluous(table, [place for place, text in enumerate(texts) if not is_blank(text)])
    lacking = {*table.without_text, *table.without_label, *(table.rows[place] for place in blank)}
    dropped = lacking | {table.rows[place] for place in copies}
    kept = [row for row in range(len(table.table)) if row not in dropped]
    marks = {row: _MARKS[found.kind] for found in reversed(findings) if found.kind in _MARKS for row in found.rows}
    marked = sum(row + 1 in marks for row in kept)
    _write(table, kept, [marks.get(row + 1, "") for row in kept] if marked else None, out)
    column = f", marked in the column {show(MARK)}" if marked else ""
    return (
        f"{len(kept):,} of {number_of(len(table.table), 'row')}: without {len(lacking)} that lack text or label and "
        f"{len(copies)} that repeat an earlier one; {marked} doubtful ones stay{column}"
    )


def _write(table: CheckedTable, kept: list[int], marks: list[str] | None, out: Path) -> None:
    import pandas as pd
    import pyarrow as pa

    part = table.table.select(np.array(kept, dtype=np.int64))
    # by no type of pandas: whole numbers beside nulls would become floats
    columns = {name: pd.Series(part[name][:], dtype=object) for name in part.column_names if name != MARK}
    frame = pd.DataFrame(columns if marks is None else {**columns, MARK: marks})
    try:
        with atomic_file(out) as file:
            WRITERS[out.suffix.lower()].write(typed(frame, part), file, True)
    except OSError as error:
        raise EncT5Error(f"cannot write {out}: {error.strerror}; choose another file") from error
    except (pa.ArrowException, OverflowError) as error:  # as for predictions
        raise EncT5Error(f"cannot write {out} as Parquet: {show(error, 200)}; write .jsonl instead") from error
