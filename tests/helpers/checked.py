"""Tables to check, and what a check finds of them."""

from pathlib import Path
from typing import Any

from enct5.checking.report import Finding, Report
from enct5.checking.table import CheckedTable, read
from enct5.runs import settings_of
from helpers.runs import messages
from helpers.tables import write_rows


def checked(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> CheckedTable:
    """A file of rows as it is read for a check."""
    named = {"text": "text", "label": "label"} | settings
    return read(settings_of(write_rows(folder / "rows.jsonl", rows), None, named.pop("eval", None), **named))


def kinds(report: Report | list[Finding]) -> dict[str, list[int]]:
    """The rows of each kind of finding; notes are no kind."""
    findings = report if isinstance(report, list) else report.findings
    return {finding.kind: finding.rows for finding in findings if finding.kind != "note"}


def messages_with(changes: dict[int, dict[str, Any]], count: int = 60) -> list[dict[str, Any]]:
    """Messages whose label follows from their words, but for some values, by the rows' numbers from 1 on."""
    rows = [{**row, "text": f"{row['text']} {number}"} for number, row in enumerate(messages(count), 1)]
    for number, change in changes.items():
        rows[number - 1] |= change
    return rows
