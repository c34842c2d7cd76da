"""The page of a check: all rows to look at, no markup from texts or labels, nothing from the network."""

from pathlib import Path

import pytest

from enct5.checking import page
from enct5.checking.report import Finding, Report
from enct5.errors import EncT5Error
from helpers.html import Page

TEXT = "Where is <b>it</b> & why?"


def report(**values: object) -> Report:
    records = [{"Row": row, "Label": "<late>", "Text": TEXT * 30, "Copy of row": ""} for row in range(1, 603)]
    findings = [
        Finding("duplicates", "602 rows repeat", list(range(1, 603)), records),
        Finding("note", "labels differ only in case: `<A>` = `<a>`"),
    ]
    lengths = {"tokens": {"median": 7, "percentile_95": 1300, "longest": 25000}}
    known = {
        "source": "<data>.csv",
        "task": "single-label classification",
        "why": "as --task says",
        "rows": 12345,
        "evaluation": "held.csv",
        "counts": {"<late>": 40, "other": 10},
        "counted": "texts",
        "lengths": lengths,
        "fit": "looked for by <somebody>",
        "findings": findings,
    }
    return Report(**{**known, **values})  # type: ignore[arg-type]


def test_the_page_is_self_contained_and_holds_no_markup_from_the_data(tmp_path: Path) -> None:
    page.write(report(), tmp_path / "check.html")
    found = Page((tmp_path / "check.html").read_text(encoding="utf-8"))
    assert found.links == ["#duplicates"]
    assert "duplicates" in found.ids
    assert not {"script", "link", "img", "iframe", "b", "late", "data", "somebody"} & set(found.tags)
    assert found.html.count("http") == 1  # http-equiv of the policy that forbids the network
    assert "<title>&lt;data&gt;.csv: EncT5 check</title>" in found.html
    for figure in ("12,345", "25,000", "1,300"):
        assert figure in found.html
    assert [path.name for path in tmp_path.iterdir()] == ["check.html"]


def test_labels_have_bars_and_findings_their_first_rows(tmp_path: Path) -> None:
    page.write(report(), tmp_path / "check.html")
    found = Page((tmp_path / "check.html").read_text(encoding="utf-8"))
    labels, rows = found.tables
    assert [row[:2] for row in labels[1:]] == [["<late>", "40"], ["other", "10"]]
    assert 'style="width: 100.0%"' in found.html
    assert 'style="width: 25.0%"' in found.html
    assert rows[0] == ["Row", "Label", "Text", "Copy of row"]
    assert len(rows) == 501
    assert "The first 500 of 602." in found.html
    assert rows[1][:3] == ["1", "<late>", (TEXT * 30)[:300] + "…"]


def test_what_training_refuses_and_what_is_fine_is_said(tmp_path: Path) -> None:
    page.write(report(findings=[], refusal="column `x` lacks <all>", copy="3 of 4 rows"), tmp_path / "check.html")
    html = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert "<strong>Training refuses this data:</strong> column `x` lacks &lt;all&gt;" in html
    assert "Nothing odd was found." in html
    assert "Cleaned copy: 3 of 4 rows." in html


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match=r"cannot write .*check.html"):
        page.write(report(), tmp_path / "missing" / "check.html")
