"""The report of a training run: one HTML page of figures, curves, mistakes and settings that needs no network."""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5 import entities, pages
from enct5.calibration import BINS, reliability
from enct5.metrics import AT_DEFAULT
from enct5.tasks import Task, find_task
from enct5.thresholds import decide

if TYPE_CHECKING:
    from markupsafe import Markup

Array = npt.NDArray[Any]
Settings = Sequence[tuple[str, Any, str | None]]

REPORT = "report.html"

_MOST_MISTAKES = 20
_MOST_PAIRS = 20
_LARGEST_MATRIX = 30  # classes; a larger matrix has no room on a page
_MOST_CHARACTERS = 1500  # of a text that is shown
_MOST_POINTS = 2000  # of a scatter, each of which is an element of the page
_MOST_SCATTERS = 12

# Charts are drawn in colours that nothing else has, and the page puts its own (light or dark) in their place.
_INK, _LINE, _FIRST, _SECOND = "#000001", "#000002", "#000003", "#000004"
_PAGE_COLOURS = {_INK: "ink", _LINE: "line", _FIRST: "first", _SECOND: "second"}
_CHART_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, in the page's font
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.5,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.borderaxespad": 0,
}
_ABOVE: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.02), "ncols": 3}  # the legend, off the curves
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True)
class _Evaluation:
    """The evaluation split with what the model said: `logits`, `scores` and `labels` have a row for each of `rows`."""

    rows: list[dict[str, Any]]
    logits: Array
    scores: Array
    labels: Array
    per_label: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        return [entry["label"] for entry in self.per_label]


@dataclass(frozen=True)
class _Mistake:
    texts: dict[str, str]
    facts: dict[str, str]


@dataclass(frozen=True)
class _Points:
    """True and predicted values, (n,) each, to be drawn one against the other."""

    title: str
    truth: Array
    values: Array


@dataclass(frozen=True)
class _Details:
    """What the page shows of single rows and classes; a part that a kind of task does not have stays empty.

    Of `reliability` these are the scores, (n, classes), and the right classes, (n,).
    """

    mistakes: list[_Mistake]
    mistakes_note: str
    classes: list[str] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)
    confused_pairs: list[dict[str, Any]] = field(default_factory=list)
    scatters: list[_Points] = field(default_factory=list)
    reliability: tuple[Array, Array] | None = None


def write(
    record: dict[str, Any],
    settings: Settings,
    task: Task,
    rows: list[dict[str, Any]],
    logits: Array,
    labels: Array,
    folder: Path,
) -> None:
    """Write the report of a training run.

    Args:
        record: The run's record, as in its metrics.json.
        settings: The run's settings, as they are published: name, value and description.
        task: The task that was learned.
        rows: The texts of the evaluation split, a column each.
        logits: The model's outputs for `rows`, in their order.
        labels: The right answers, in the order of `rows`, as the task encodes them.
        folder: The run folder.
    """
    evaluation = _Evaluation(rows, logits, task.scores(logits), labels, record["per_label"])
    # the checkpoint was chosen before the thresholds were tuned
    at_default = task.metric_for_best_model + AT_DEFAULT
    tuned = at_default in record["metrics"]
    details = _DETAILS[task.name](evaluation)
    page = pages.render(
        "report.html.jinja",
        record=record,
        task=task,
        chosen_by=at_default if tuned else task.metric_for_best_model,
        tuned=tuned,
        curves=_curves(record, task),
        details=details,
        scatters=[_scatter(points.truth, points.values, points.title) for points in details.scatters],
        reliability=details.reliability and _reliability_diagram(*details.reliability),
        # the weakest labels first, because they are what a reader can act on; those never seen say nothing
        per_label=sorted(record["per_label"], key=lambda entry: (entry["support"] == 0, entry["f1"])),
        most_counted=max(record["data"]["class_counts"].values(), default=0),
        settings=[
            (name, _setting(value), description)
            for name, value, description in settings
            if name != "patience" or record["best_step"] is not None  # nothing waits where too few texts choose
        ],
        trials=_best_first(record.get("trials", []), task),
        searched=[name for name in (record.get("trials") or [{}])[0] if name in {setting[0] for setting in settings}],
        most_characters=_MOST_CHARACTERS,
    )
    (folder / REPORT).write_text(page, encoding="utf-8")


def _best_first(trials: list[dict[str, Any]], task: Task) -> list[dict[str, Any]]:
    """A search's trials, those completed before those stopped, which had no chance to show their best."""
    sign = -1 if task.greater_is_better else 1
    return sorted(
        trials, key=lambda trial: (trial["outcome"] != "complete", trial["score"] is None, sign * (trial["score"] or 0))
    )


def _single(evaluation: _Evaluation) -> _Details:
    scores, truth, names = evaluation.scores, evaluation.labels, evaluation.names
    predicted = scores.argmax(axis=-1)
    wrong = np.flatnonzero(predicted != truth)
    surest = wrong[np.argsort(-scores[wrong, predicted[wrong]], kind="stable")][:_MOST_MISTAKES]
    count = len(names)
    confusion = np.bincount(truth * count + predicted, minlength=count * count).reshape(count, count)
    small = count <= _LARGEST_MATRIX
    return _Details(
        mistakes=[
            _Mistake(
                evaluation.rows[row],
                {
                    "Predicted": _scored(names[predicted[row]], scores[row, predicted[row]]),
                    "True": _scored(names[truth[row]], scores[row, truth[row]]),
                },
            )
            for row in surest
        ],
        mistakes_note=f"{len(wrong)} of {len(truth)} texts got the wrong label; those with the highest score for it.",
        classes=names if small else [],
        confusion=confusion.tolist() if small else [],
        confused_pairs=[] if small else _confused_pairs(confusion, names),
        reliability=(scores, truth),
    )


def _confused_pairs(confusion: Array, names: Sequence[str]) -> list[dict[str, Any]]:
    wrong = confusion - np.diag(np.diag(confusion))
    most = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    return [
        {"true": names[i], "predicted": names[j], "count": int(wrong[i, j]), "of": int(confusion[i].sum())}
        for i, j in zip(*np.unravel_index(most, wrong.shape), strict=True)
        if wrong[i, j]
    ]


def _multi(evaluation: _Evaluation) -> _Details:
    scores, names = evaluation.scores, evaluation.names
    cuts = [entry["threshold"] for entry in evaluation.per_label]
    truth, predicted, thresholds = evaluation.labels >= 0.5, decide(evaluation.logits, cuts), np.array(cuts)
    # how far on the wrong side of its threshold a score is, as a share of what is possible there
    room = np.where(predicted, 1 - thresholds, thresholds)
    distance = np.divide(np.abs(scores - thresholds), room, out=np.zeros_like(scores), where=room > 0)
    sureness = np.where(truth != predicted, distance, -1)
    wrong = np.flatnonzero((truth != predicted).any(axis=1))
    surest = wrong[np.argsort(-sureness[wrong].max(axis=1), kind="stable")][:_MOST_MISTAKES]
    mistakes = []
    for row in surest:
        worst = int(sureness[row].argmax())
        facts = {
            "Worst": ("wrongly given: " if predicted[row, worst] else "missed: ")
            + _scored(names[worst], scores[row, worst]),
            "Predicted": _listed(_scored(names[label], scores[row, label]) for label in np.flatnonzero(predicted[row])),
            "True": _listed(names[label] for label in np.flatnonzero(truth[row])),
        }
        mistakes.append(_Mistake(evaluation.rows[row], facts))
    note = f"{len(wrong)} of {len(truth)} texts have a label too many or too few; those that are furthest off."
    return _Details(mistakes, note)


def _regression(evaluation: _Evaluation) -> _Details:
    truth = evaluation.labels.reshape(len(evaluation.labels), -1).astype(np.float64)
    values = evaluation.scores.reshape(truth.shape).astype(np.float64)
    errors = np.sqrt(np.mean((values - truth) ** 2, axis=1))
    largest = np.argsort(-errors, kind="stable")[:_MOST_MISTAKES]
    several = truth.shape[1] > 1
    shown = np.linspace(0, len(truth) - 1, min(len(truth), _MOST_POINTS)).astype(int)
    return _Details(
        mistakes=[
            _Mistake(
                evaluation.rows[row],
                {
                    "Predicted": _listed(map(_number, values[row])),
                    "True": _listed(map(_number, truth[row])),
                    "Error": _number(errors[row]),
                },
            )
            for row in largest
        ],
        mistakes_note="The texts with the largest errors"
        + (" (root mean square over the targets)." if several else " (true and predicted value apart)."),
        scatters=[
            _Points(f"value {target + 1}" if several else "value", truth[shown, target], values[shown, target])
            for target in range(min(truth.shape[1], _MOST_SCATTERS))
        ],
    )


def _tokens(evaluation: _Evaluation) -> _Details:
    tags = dict(enumerate(entities.tag_names(evaluation.names)))
    results = find_task("token_classification").decode(evaluation.scores, tags, None)
    mistakes = []
    for row, (texts, result, right) in enumerate(zip(evaluation.rows, results, evaluation.labels, strict=True)):
        (column, text), *_ = texts.items()
        wanted = {entities.Span(start, end, evaluation.names[label]) for start, end, label in right}
        found = {entities.Span(one["start"], one["end"], one["label"]): one["score"] for one in result["entities"]}
        missed, wrong = sorted(wanted - found.keys(), key=_place), sorted(found.keys() - wanted, key=_place)
        facts = {
            "Missed": _listed(f"{span.label}: {entities.content(text, span)}" for span in missed),
            "Wrongly found": _listed(
                _scored(f"{span.label}: {entities.content(text, span)}", found[span]) for span in wrong
            ),
        }
        if missed or wrong:
            shown = text if isinstance(text, str) else " ".join(text)
            mistakes.append((-len(missed) - len(wrong), row, _Mistake({column: shown}, facts)))
    note = f"{len(mistakes)} of {len(results)} texts have an entity too many or too few; those with the most."
    return _Details([mistake for _, _, mistake in sorted(mistakes)[:_MOST_MISTAKES]], note)


def _place(span: entities.Span) -> int:
    return span.start


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _setting(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "not set" if value is None else str(value)


def _scored(name: str, score: float) -> str:
    return f"{name} ({score:.3f})"


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts) or "none"


_DETAILS: dict[str, Callable[[_Evaluation], _Details]] = {
    "single_label_classification": _single,
    "multi_label_classification": _multi,
    "regression": _regression,
    "token_classification": _tokens,
}


def _curves(record: dict[str, Any], task: Task) -> list["Markup"]:
    """The loss and the metric that chose the best checkpoint, over the epochs."""
    history = record["history"]
    metric = task.metric_for_best_model
    best = next((entry["epoch"] for entry in history if entry.get("step") == record["best_step"]), None)
    training = _running_mean(_points(history, "loss"))
    return [
        _line_chart("loss", {"training": training, "evaluation": _points(history, "eval_loss")}, best),
        _line_chart(metric, {"evaluation": _points(history, f"eval_{metric}")}, best),
    ]


def _points(history: list[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(entry["epoch"], entry[key]) for entry in history if key in entry]


def _running_mean(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means over an eighth of the run: a step's texts are of like length, which makes single losses jump."""
    window = max(1, len(points) // 8)
    values = [value for _, value in points]
    return [(epoch, float(np.mean(values[max(0, i + 1 - window) : i + 1]))) for i, (epoch, _) in enumerate(points)]


def _line_chart(title: str, series: dict[str, list[tuple[float, float]]], best: float | None) -> "Markup":
    def draw(axes: Any) -> None:
        # the second look must not hang on colour alone
        looks = {"training": {"color": _FIRST}, "evaluation": {"color": _SECOND, "marker": "o", "linestyle": "--"}}
        for name, points in series.items():
            if points:
                axes.plot(*zip(*points, strict=True), label=name, markersize=3, linewidth=1.5, **looks[name])
        if best is not None:
            axes.axvline(best, color=_INK, linewidth=0.8, linestyle=":", label="best checkpoint")
        axes.set(xlabel="epoch", ylabel=title)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(**_ABOVE)

    return _svg(draw, f"{title} over the epochs")


def _scatter(truth: Array, values: Array, title: str) -> "Markup":
    def draw(axes: Any) -> None:
        ends = [min(truth.min(), values.min()), max(truth.max(), values.max())]
        axes.plot(ends, ends, color=_INK, linewidth=0.8, linestyle=":", label="exact")
        axes.plot(truth, values, color=_FIRST, marker="o", markersize=3, alpha=0.5, linestyle="none")
        axes.set(xlabel=f"true {title}", ylabel=f"predicted {title}")
        axes.legend(**_ABOVE)

    return _svg(draw, f"predicted {title} against true {title}")


def _reliability_diagram(scores: Array, truth: Array) -> "Markup":
    counts, sureness, right = reliability(scores, truth)

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=":", label="honest")
        axes.plot(sureness, right, color=_FIRST, linewidth=1)
        # an area for the number of texts, and a dot where that would be too small to see
        axes.scatter(sureness, right, color=_FIRST, s=12 + 200 * counts / counts.sum(), label="texts of like score")
        axes.set(xlabel="mean score", ylabel="share that is right", xlim=(-0.02, 1.05), ylim=(-0.05, 1.08))
        axes.legend(**_ABOVE)

    return _svg(draw, f"share of right answers over the score, in {BINS} bins")


def _svg(draw: Callable[[Any], None], description: str) -> "Markup":
    """Draw a chart as SVG to stand inside a page, in the page's colours."""
    import matplotlib
    from markupsafe import Markup
    from matplotlib.figure import Figure

    # ids of drawn parts derive from the salt: alike in every run, unlike in every chart of a page
    with matplotlib.rc_context({**_CHART_STYLE, "svg.hashsalt": description}):
        figure = Figure(figsize=(4.5, 3), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.locator_params(axis="x", nbins=6)  # more numbers than that run into each other
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    # without what HTML does not need: the head of an XML file, namespaces, and group names, which repeat in each chart
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"|(?<=<g) id="[^"]*"', "", file.getvalue()[file.getvalue().index("<svg") :])
    for drawn, name in _PAGE_COLOURS.items():
        svg = svg.replace(drawn, f"rgb(var(--{name}))")
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{description}"', 1))
