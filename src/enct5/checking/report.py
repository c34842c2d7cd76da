"""What a check finds."""

from dataclasses import dataclass, field
from typing import Any

from enct5.data.notes import line


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about a table.

    Attributes:
        kind: Such as `duplicates`; `note` for what is about the table as a whole.
        said: One line: what, how often, what to do. It holds no texts.
        rows: The numbers of the rows that it is about, from 1, without a header; none where it is about all.
        records: What there is to show of them: a row's number, its label, its text.
    """

    kind: str
    said: str
    rows: list[int] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """What a check says of a table.

    Attributes:
        source: What the table is called.
        task: The kind of task, in words.
        why: What tells it.
        rows: Number of rows, those that cannot be learned from included.
        evaluation: What a run would be judged by, in words.
        counts: How often each label occurs, in id order; none for numbers.
        counted: What these count: texts, or entities.
        lengths: Median, 95th percentile and longest of the texts, in characters and in tokens.
        fit: How likely wrong labels were looked for, or why they were not.
        findings: What is odd, the most serious first.
        refusal: What training would refuse the table for, in its words; None where it would not.
        copy: What the cleaned copy has, in words; None where none was asked for.
    """

    source: str
    task: str
    why: str
    rows: int
    evaluation: str
    counts: dict[str, int]
    counted: str
    lengths: dict[str, dict[str, int]]
    fit: str
    findings: list[Finding]
    refusal: str | None = None
    copy: str | None = None

    def facts(self) -> dict[str, str]:
        """The table in figures, each with its name, as they are shown."""
        facts = {"data": self.source, "task": f"{self.task} ({self.why})", "rows": f"{self.rows:,}"}
        for unit, figures in self.lengths.items():
            facts[f"{unit} a text"] = (
                f"{figures['median']:,} in the middle, 95 % up to {figures['percentile_95']:,}, at most "
                f"{figures['longest']:,}"
            )
        return {**facts, "evaluation": self.evaluation, "likely wrong labels": self.fit}

    def lines(self) -> list[str]:
        """A line for each finding."""
        return [line(finding.said) for finding in self.findings] or ["nothing odd was found"]

    def __str__(self) -> str:
        """The figures and the findings, a line each."""
        facts = [f"{name}: {value}" for name, value in self.facts().items()]
        counts = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        refused = [f"training refuses this data: {self.refusal}"] if self.refusal else []
        return "\n".join([*facts, *([f"{self.counted} a label: {counts}"] if counts else []), *self.lines(), *refused])
