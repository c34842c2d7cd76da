"""What is odd about labelled texts, told before anything is trained on them."""

from enct5.checking.examination import check
from enct5.checking.report import Finding, Report

__all__ = ["Finding", "Report", "check"]
