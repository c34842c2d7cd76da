"""Look at labelled texts before anything is trained on them."""

from pathlib import Path
from typing import Any

from enct5.assets import BUNDLED
from enct5.checking import cleaning, copies, lengths, page, suspicious_labels
from enct5.checking.records import record
from enct5.checking.report import Finding, Report
from enct5.checking.table import CheckedTable, read
from enct5.data.notes import blank_texts, in_rows, is_blank, repeated_texts
from enct5.errors import EncT5Error
from enct5.files.writing import check_file
from enct5.model.sources import check_source
from enct5.runs import settings_of
from enct5.training.config import TrainConfig


def check(
    data: Any,
    labels: Any = None,
    *,
    eval: Any = None,
    html: str | Path | None = None,
    fix: str | Path | None = None,
    **settings: Any,
) -> Report:
    """Tell what is odd about labelled texts, before anything is trained on them.

    Example:
        >>> report = enct5.check(frame, text="message", label="intent")
        >>> print(report)
        >>> [finding.rows for finding in report.findings if finding.kind == "suspicious_labels"]

    Args:
        data: As for `enct5.train`.
        labels: As for `enct5.train`.
        eval: Evaluation data, as for `enct5.train`, whose texts should not be among those of `data`.
        html: A page to write.
        fix: A cleaned copy to write (CSV, TSV, JSON lines or Parquet), which replaces no file: without rows that lack
            text or label, and without those that repeat text and label of an earlier one; doubtful rows are marked.
        settings: Those of `enct5.train`, such as `text`, `label`, `task`, `base`, `max_length`.

    Returns:
        What was found. Its `refusal` says what training would refuse the data for.

    Raises:
        EncT5Error: If nothing can be made of the data, for settings that are wrong, or a file that cannot be written.
    """
    config = settings_of(data, labels, eval, **settings)
    check_settings(config)
    page_file, copy = (None if path is None else Path(path).expanduser() for path in (html, fix))
    check_outputs(page_file, copy)
    return examine(read(config), page_file, copy)


def check_settings(config: TrainConfig) -> None:
    """Refuse settings that no check is for.

    Raises:
        EncT5Error: For several tasks, or a base that is none.
    """
    if config.all_tasks:
        raise EncT5Error("a check looks at one label column; name it by `label`, once for each of several tasks")
    if config.base != BUNDLED:
        check_source(config.base)


def check_outputs(html: Path | None, fix: Path | None) -> None:
    """Refuse files that could not be written, before any work is done.

    Raises:
        EncT5Error: For one of them.
    """
    if html is not None:
        check_file(html)
    if fix is not None:
        cleaning.check_output(fix)


def examine(table: CheckedTable, html: Path | None = None, fix: Path | None = None) -> Report:
    """Look for everything that a check looks for, and write what is asked for.

    Args:
        table: As from `read`.
        html: A page to write.
        fix: A cleaned copy to write.
    """
    labelled, task = table.labelled, table.task
    written = [place for place, text in enumerate(labelled.texts) if not is_blank(text)]
    measured, on_reading, refusal = lengths.measure(table)
    suspicious = suspicious_labels.find(labelled, measured["tokens"], written, task)
    findings = [
        *_lacking(table),
        *copies.repeated(table, written),
        *copies.leaked(table, written),
        *_suspicious(table, suspicious),
        *copies.nearly_repeated(table, written),
        *on_reading,
        *(Finding("note", note) for note in _other_notes(table)),
    ]
    refused = [str(error) for error in (table.refusal, refusal) if error is not None]
    report = Report(
        source=table.source,
        task=task.description,
        why=table.why,
        rows=len(table.table),
        evaluation=table.read.split.said,
        counts=table.read.counts,
        counted=task.counted,
        lengths={unit: lengths.summary(figures) for unit, figures in measured.items()},
        fit=suspicious.said,
        findings=findings,
        refusal="; ".join(refused) or None,
        copy=None if fix is None else cleaning.write(table, findings, fix),
    )
    if html is not None:
        page.write(report, html)
    return report


def _lacking(table: CheckedTable) -> list[Finding]:
    """Rows without text or label, and texts that are blank."""
    found = []
    for kind, rows in (("text", table.without_text), ("label", table.without_label)):
        if rows:
            said = (
                f"warning: no {kind} in {in_rows(rows)}, which training refuses; fill it in or remove the rows (--fix)"
            )
            found.append(Finding(f"no_{kind}", said, [row + 1 for row in rows]))
    if found:
        found.append(Finding("note", "what training notes, at the end, numbers the rows without those"))
    blank = [place for place, text in enumerate(table.labelled.texts) if is_blank(text)]
    if blank:
        rows = [table.rows[place] for place in blank]
        said = f"the text is blank in {in_rows(rows)}; fill it in or remove what has no text (--fix does)"
        records = [record(table, place) for place in blank]
        found.append(Finding("blank_texts", said, [row + 1 for row in rows], records))
    return found


def _suspicious(table: CheckedTable, found: suspicious_labels.Suspicions) -> list[Finding]:
    if not found.places:
        return []
    rows = [table.rows[place] for place in found.places]
    said = f"the label may be wrong in {in_rows(rows)}, the likeliest first; look at them"
    records = [record(table, place, facts) for place, facts in zip(found.places, found.facts, strict=True)]
    return [Finding("suspicious_labels", said, [row + 1 for row in rows], records)]


def _other_notes(table: CheckedTable) -> list[str]:
    """What training notes, but for what the check tells with its rows."""
    labelled = table.labelled
    written = [place for place, text in enumerate(labelled.texts) if not is_blank(text)]
    told = {
        *blank_texts(labelled.texts, table.source),
        *repeated_texts(labelled.keys, labelled.values, written),
        *table.read.split.notes(),
    }
    return [note for note in table.read.notes if note not in told]
