"""SVG charts of plain numbers, in the colours of the page that they stand in."""

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.metrics.calibration import BINS, reliability
from enct5.tasks.base import Task

if TYPE_CHECKING:
    from markupsafe import Markup


Array = npt.NDArray[Any]
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

_DOTTED: dict[str, Any] = {"linewidth": 1.2, "linestyle": (0, (1, 2))}
_ABOVE: dict[str, Any] = {
    "loc": "lower left",
    "bbox_to_anchor": (0, 1.02),
    "ncols": 3,
    "columnspacing": 1,
    "handlelength": 1.5,
}  # the legend, off the curves
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def curves(record: dict[str, Any], task: Task) -> list["Markup"]:
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
            axes.axvline(best, color=_INK, **_DOTTED, label="best checkpoint")
        axes.set(xlabel="epoch", ylabel=title)
        axes.set_xlim(left=0)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(**_ABOVE)

    told = [f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in series.items() if points]
    told += [] if best is None else [f"best checkpoint at epoch {best:.1f}"]
    return _svg(draw, ", ".join([f"{title} over the epochs", *told]))


def scatter(truth: Array, values: Array, title: str) -> "Markup":
    """Predicted values against true ones, (n,) each."""

    def draw(axes: Any) -> None:
        ends = [min(truth.min(), values.min()), max(truth.max(), values.max())]
        axes.plot(ends, ends, color=_INK, **_DOTTED, label="exact")
        axes.plot(truth, values, color=_FIRST, marker="o", markersize=3, alpha=0.5, linestyle="none")
        axes.set(xlabel=f"true {title}", ylabel=f"predicted {title}")
        axes.legend(**_ABOVE)

    return _svg(draw, f"predicted {title} against true {title} of {len(truth):,} texts")


def reliability_diagram(scores: Array, truth: Array) -> "Markup":
    """How often predictions of like score are right, of scores (n, classes) and right classes (n,)."""
    counts, sureness, right = reliability(scores, truth)

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=_INK, **_DOTTED, label="perfect calibration")
        axes.plot(sureness, right, color=_FIRST, linewidth=1)
        # an area for the number of texts, and a dot where that would be too small to see
        axes.scatter(sureness, right, color=_FIRST, s=12 + 200 * counts / counts.sum(), label="texts of like score")
        axes.set(xlabel="mean score", ylabel="share that is right", xlim=(-0.02, 1.05), ylim=(-0.05, 1.08))
        axes.legend(**_ABOVE)

    told = [f"{share:.2f} right at {mean:.2f}" for mean, share in zip(sureness, right, strict=True)]
    return _svg(draw, f"share of right answers over the score, in {BINS} bins: {', '.join(told)}")


def _svg(draw: Callable[[Any], None], description: str) -> "Markup":
    """Draw a chart as SVG to stand inside a page, in the page's colours."""
    import matplotlib
    from markupsafe import Markup, escape
    from matplotlib.figure import Figure

    # ids of drawn parts derive from the salt: alike in every run, unlike in every chart of a page
    with matplotlib.rc_context({**_CHART_STYLE, "svg.hashsalt": description}):
        figure = Figure(figsize=(4, 2.75), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.locator_params(axis="x", nbins=6)  # more numbers than that run into each other
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    # without what HTML does not need: the head of an XML file, namespaces, and group names, which repeat in each chart
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"|(?<=<g) id="[^"]*"', "", file.getvalue()[file.getvalue().index("<svg") :])
    for drawn, name in _PAGE_COLOURS.items():
        svg = svg.replace(drawn, f"rgb(var(--{name}))")
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1))
