"""An explanation as an HTML page that needs no network."""

from pathlib import Path
from typing import Any

from enct5.explanations.explain import Explanation, LabelExplanation
from enct5.files.writing import write_text
from enct5.reports import rendering

_MOST_WORDS = 30  # in a table


def write(explanation: Explanation, path: Path) -> None:
    """Write the page, whole or not at all.

    Args:
        explanation: What to show.
        path: File to write.

    Raises:
        EncT5Error: When the file cannot be written.
    """
    labels = [
        {
            "explained": label,
            "attribution": _shaded(explanation, label.attribution),
            "attention": _shaded(explanation, label.attention),
            "words": _strongest(explanation, label),
        }
        for label in explanation.labels
    ]
    page = rendering.render("explanation.html.jinja", explanation=explanation, labels=labels, most_words=_MOST_WORDS)
    write_text(page, path)


def _shaded(explanation: Explanation, values: list[float]) -> list[list[tuple[str, float | None, float]]]:
    """The texts' pieces, each with its number and that number's share in the largest one."""
    largest = max(map(abs, values), default=0) or 1
    return [
        [(piece, value, 0 if value is None else value / largest) for piece, value in part]
        for part in explanation.segments(values)
    ]


def _strongest(explanation: Explanation, label: LabelExplanation) -> list[dict[str, Any]]:
    """The words that moved the logit most, with the length of their bars in percent."""
    rows = sorted(zip(explanation.words, label.attribution, label.attention, strict=True), key=lambda row: -abs(row[1]))
    attributions, attentions = map(abs, label.attribution), label.attention
    widest, most = max(attributions, default=0) or 1, max(attentions, default=0) or 1
    return [
        {
            "word": word.text,
            "attribution": attribution,
            "attribution_bar": 100 * abs(attribution) / widest,
            "attention": attention,
            "attention_bar": 100 * attention / most,
        }
        for word, attribution, attention in rows[:_MOST_WORDS]
    ]
