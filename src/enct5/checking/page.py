"""What a check found as an HTML page that needs no network."""

from pathlib import Path

from enct5.checking.report import Report
from enct5.files.writing import write_text
from enct5.reports import rendering

_MOST_ROWS = 500  # of a finding
_MOST_CHARACTERS = 300  # of a text


def write(report: Report, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        EncT5Error: When the file cannot be written.
    """
    page = rendering.render(
        "check.html.jinja",
        report=report,
        most_counted=max(report.counts.values(), default=0),
        most_rows=_MOST_ROWS,
        most_characters=_MOST_CHARACTERS,
    )
    write_text(page, path)
