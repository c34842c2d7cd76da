"""Tables on the terminal."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from enct5.errors import printable

if TYPE_CHECKING:
    from enct5.checking import Report
    from enct5.explanations.explain import Explanation

_MOST_LABELS = 30
_MOST_WORDS = 10
# Of a word's share in the largest attribution: from how much on it is shown how. The colour is that of its sign.
_SHADES = ((2 / 3, "bold reverse"), (1 / 3, "bold"), (0.1, ""))
_FOR, _AGAINST = "blue", "red"


def _cells(values: Iterable[object]) -> list[Text]:
    """Values as they are to be read: rich would take the brackets of a label such as `[b]` for markup."""
    return [Text(f"{value:.3f}" if isinstance(value, float) else printable(str(value))) for value in values]


def show_record(record: dict[str, Any], split: str) -> None:
    """Print the figures of a run or an evaluation; of several tasks one table for each.

    Args:
        record: what is recorded of it.
        split: what was evaluated on.
    """
    if "tasks" not in record:
        show_metrics(record["metrics"], record["per_label"], split)
    for name, own in record.get("tasks", {}).items():
        show_metrics(
            own["metrics"], own["per_label"], f"{name}, {own.get('eval_rows', own.get('rows'))} rows of {split}"
        )


def show_metrics(metrics: dict[str, float], per_label: list[dict[str, Any]], split: str) -> None:
    """Print the figures, and those of every label where they are few.

    Args:
        metrics: name -> value.
        per_label: records with the same keys, one a label; may be empty.
        split: what was evaluated on.
    """
    console = Console()
    console.print(Text(printable(f"evaluation: {split}")), soft_wrap=True)
    table = Table("metric", "value")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}")
    console.print(table)
    if 0 < len(per_label) <= _MOST_LABELS:
        labels = Table(*per_label[0])
        for row in per_label:
            labels.add_row(*_cells(row.values()))
        console.print(labels)


def show_speed(results: list[dict[str, Any]]) -> None:
    """Print what `enct5.inference.bench.bench` measured: a line for each way, a column for each workload."""
    rows: dict[str, list[str]] = {}
    for result in results:
        speed = (
            f"{result['texts_per_second']:,.1f} texts/s"
            if "texts_per_second" in result
            else f"{result['p50_ms']:.1f} ms (p99 {result['p99_ms']:.1f})"
        )
        rows.setdefault(result["way"], []).append(f"{speed}, {result['ratio']:.2f}x")
    table = Table("", *dict.fromkeys(result["work"] for result in results))
    for way, cells in rows.items():
        table.add_row(*_cells((way, *cells)))
    Console().print(table)


def show_check(report: "Report") -> None:
    """Print what a check found: figures, the labels where they are few, and a line for each finding."""
    console = Console()
    facts = report.facts()
    if len(report.counts) > _MOST_LABELS:
        counts = report.counts.values()
        facts[f"{report.counted} a label"] = f"{min(counts):,} to {max(counts):,}, of {len(counts)} labels"
    show_facts(facts)
    if 0 < len(report.counts) <= _MOST_LABELS:
        labels, total = Table("label", report.counted, "share"), sum(report.counts.values())
        for name, count in report.counts.items():
            labels.add_row(*_cells((name, f"{count:,}", f"{count / total:.1%}")))
        console.print(labels)
    for said in report.lines():
        console.print(Text(printable(said)), soft_wrap=True)


def show_facts(facts: dict[str, Any]) -> None:
    """Print names and values."""
    table = Table("", "", show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(*_cells((name, value)))
    Console().print(table)


def show_settings(settings: dict[str, Any]) -> None:
    """Print how predictions were made."""
    line = "predicted with " + ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in settings.items())
    Console().print(line, soft_wrap=True, highlight=False)


def show_predictions(rows: list[dict[str, Any]]) -> None:
    """Print records with the same keys, one a line."""
    table = Table(*rows[0], show_lines=True)
    for row in rows:
        table.add_row(*_cells(row.values()))
    Console().print(table)


def show_prediction(result: dict[str, Any], best: list[dict[str, Any]]) -> None:
    """Print the result of one text, or the scores of its likeliest labels where they were asked for.

    That of several tasks comes task by task.
    """
    if not best and result and all(isinstance(own, dict) for own in result.values()):
        for name, own in result.items():
            Console().print(Text(f"{printable(name)}:"))
            show_prediction(own, [])
        return
    rows = best or result.get("entities")
    if "labels" in result and not best:
        rows = [
            {"label": label, "score": score} for label, score in zip(result["labels"], result["scores"], strict=True)
        ]
    if rows is None:
        rows = [result]
    if rows:
        show_predictions(rows)
    else:
        Console().print("no entities" if "entities" in result else "no label is likely enough")


def show_explanation(explanation: "Explanation") -> None:
    """Print, for every explained label, the text in the colours of its words' attributions, and the largest of them."""
    console = Console()
    if explanation.tokens_cut:
        total = explanation.tokens_cut + len(explanation.tokens)
        console.print(
            f"the text is too long for the model: the last {explanation.tokens_cut} of its {total} tokens were cut off",
            soft_wrap=True,
        )
    for label in explanation.labels:
        console.print(Text(f"{printable(label.label)}: {label.score:.4f}", style="bold"), soft_wrap=True)
        largest = max(map(abs, label.attribution)) or 1
        for part in explanation.segments(label.attribution):
            console.print(Text.assemble(*((printable(piece), _shade((value or 0) / largest)) for piece, value in part)))
        table = Table("word", "attribution", "attention")
        rows = zip(explanation.words, label.attribution, label.attention, strict=True)
        for word, attribution, attention in sorted(rows, key=lambda row: -abs(row[1]))[:_MOST_WORDS]:
            table.add_row(Text(printable(word.text)), f"{attribution:+.3f}", f"{attention:.1%}")
        console.print(table)
        console.print(
            f"attribution: {_FOR} speaks for the label (+), {_AGAINST} against it (-); all together it moves the logit "
            f"from {label.baseline_logit:.3f} (a text of padding) to {label.logit:.3f}",
            soft_wrap=True,
            highlight=False,
        )


def _shade(share: float) -> str:
    """The style of a word by its signed share in the largest attribution."""
    style = next((style for least, style in _SHADES if abs(share) >= least), None)
    return "" if style is None else f"{style} {_FOR if share > 0 else _AGAINST}".strip()
