"""Single-label classification: one class per text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.errors import EncT5Error, show
from enct5.metrics import calibration
from enct5.metrics.classification import per_label, single_label_metrics
from enct5.metrics.logits import check_logits
from enct5.metrics.thresholds import Thresholds
from enct5.tasks import labels
from enct5.tasks.base import Task, column_of, count_names, ids_of, softmax, which_label
from enct5.tasks.details import MOST_MISTAKES, Details, Evaluated, Mistake, Usage, scored
from enct5.tasks.labels import are_whole_numbers
from enct5.tasks.notes import odd_names

_FEW_ROWS = 5  # of a class; on average, where classes are more than the most grades there are
_MOST_GRADES = 20
_SEPARATORS = (",", ";", "|", "/")
Array = npt.NDArray[Any]
# Of two labels, the one that says that a pair belongs together.
_POSITIVE = {"true", "yes", "positive", "relevant", "match", "similar", "duplicate", "entailment"}
_MOST_PAIRS = 20
_LARGEST_MATRIX = 30  # classes; a larger matrix has no room on a page


def _are_ids(numbers: Sequence[int]) -> bool:
    """Whether they count from 0 or 1 with few gaps, as ids of classes do."""
    return min(numbers) in (0, 1) and len(numbers) >= 0.9 * (max(numbers) - min(numbers) + 1)


def _combinations(counts: Mapping[str, int]) -> list[str]:
    """A note where names are made of the same few parts."""
    for separator in _SEPARATORS:
        parts = {name: {part.strip() for part in name.split(separator) if part.strip()} for name in counts}
        several = [name for name in counts if len(parts[name]) > 1]
        single = set().union(*parts.values())
        if several and len(single) < len(counts):
            return [
                f"{len(counts)} labels look like combinations of {len(single)}, such as {show(several[0])}; "
                f"--label-separator '{separator}' reads them as several labels a text"
            ]
    return []


class SingleLabel(Task):
    """One class per text."""

    name = "single_label_classification"
    alias = "single"
    synonyms = (
        *("classification", "text-classification", "sequence-classification", "sentiment-analysis"),
        *("single-label", "single-label-classification", "multi-class", "multiclass", "multi-class-classification"),
        *("multiclass-classification", "binary", "binary-classification"),
    )
    description = "single-label classification: one class per text"
    prediction_columns = ("label", "score")
    # not accuracy, for which a model that always gives the commonest class can be the best
    metric_for_best_model = "macro_f1"
    has_probabilities = True
    can_abstain = True
    options = ("label_smoothing",)
    usage = Usage(
        predicts="one label",
        decoding="""\
for scores in logits.softmax(dim=-1):
    print(model.config.id2label[int(scores.argmax())], float(scores.max()))""",
    )

    def label_names(self, values: Sequence[str]) -> list[str]:
        """Sorted, by value when all are whole numbers."""
        names = labels.sort_names(set(values))
        if len(names) < 2:
            raise EncT5Error(
                f"the label column holds {len(names)} class ({', '.join(map(show, names)) or 'none'}); "
                "classification needs at least 2: check the column, or add rows of another class"
            )
        return names

    def encode(self, values: Sequence[str], label2id: Mapping[str, int]) -> Array:
        """Ids, int64 (n,)."""
        return np.array(ids_of(values, label2id), dtype=np.int64)

    def decode(self, logits: Array, id2label: Mapping[int, str], thresholds: Thresholds) -> list[dict[str, Any]]:
        """The likeliest class and its probability."""
        check_logits(logits)
        scores, best = softmax(logits), logits.argmax(axis=-1)
        return [
            {"label": id2label[int(label)], "score": float(row[label])} for row, label in zip(scores, best, strict=True)
        ]

    def relevance(self, logits: Array, id2label: Mapping[int, str], label: str | None) -> Array:
        """The expected grade, or the probability of the label that says yes."""
        scores = softmax(logits)
        if label is not None:
            return np.asarray(scores[:, column_of(label, id2label)])
        names = [id2label[index] for index in range(len(id2label))]
        if labels.are_whole_numbers(names):
            return np.asarray(scores @ np.array([int(name) for name in names], dtype=scores.dtype))
        positive = [index for index, name in enumerate(names) if name.casefold() in _POSITIVE]
        if len(names) != 2 or len(positive) != 1:
            raise which_label(id2label, "the labels are no grades, nor one of them plainly the relevant one")
        return np.asarray(scores[:, positive[0]])

    def notes(self, column: Sequence[Any], values: Sequence[str], texts: Sequence[Any]) -> list[str]:
        """Notes on labels that look like combinations, are alike, or read like missing values."""
        counts = Counter(values)
        return [*_combinations(counts), *odd_names(counts)]

    def doubts(self, values: Sequence[str]) -> list[str]:
        """What makes the classes hard to learn."""
        counts = Counter(values)
        many, per_class = len(counts) > _MOST_GRADES, len(values) / len(counts)
        numbers = many and are_whole_numbers(counts)
        if many and per_class < _FEW_ROWS:
            remedy = (
                "--task regression predicts numbers" if numbers else "check that the column holds labels, or add rows"
            )
            return [
                f"{len(counts)} classes in {len(values)} rows, {per_class:.1f} of a class, are few to learn from; "
                f"{remedy}"
            ]
        if numbers and not _are_ids([int(name) for name in counts]):
            return [
                f"{len(counts)} different whole numbers are read as classes; --task regression predicts them as numbers"
            ]
        return []

    def balance(self, labels: Array, classes: int) -> list[float]:
        """Weigh classes so that each has the same total: n / (classes * its number of rows).

        Args:
            labels: Class ids of shape (n,).
            classes: Number of classes, each of which occurs.

        Returns:
            One weight per class, in id order; their mean over the rows is 1.
        """
        from sklearn.utils.class_weight import compute_class_weight

        return [float(weight) for weight in compute_class_weight("balanced", classes=np.arange(classes), y=labels)]

    def details(self, evaluation: Evaluated) -> Details:
        """The surest of the wrong labels, and which classes are taken for which."""
        scores, truth, names = evaluation.scores, evaluation.labels, evaluation.names
        predicted = scores.argmax(axis=-1)
        wrong = np.flatnonzero(predicted != truth)
        surest = wrong[np.argsort(-scores[wrong, predicted[wrong]], kind="stable")][:MOST_MISTAKES]
        count = len(names)
        confusion = np.bincount(truth * count + predicted, minlength=count * count).reshape(count, count)
        small = count <= _LARGEST_MATRIX
        return Details(
            mistakes=[
                Mistake(
                    evaluation.rows[row],
                    {
                        "Predicted": scored(names[predicted[row]], scores[row, predicted[row]]),
                        "True": scored(names[truth[row]], scores[row, truth[row]]),
                    },
                )
                for row in surest
            ],
            mistakes_note=f"{len(wrong)} of {len(truth)} texts got the wrong label; those with the highest score "
            "for it.",
            classes=names if small else [],
            confusion=confusion.tolist() if small else [],
            confused_pairs=[] if small else _confused_pairs(confusion, names),
            reliability=(scores, truth),
        )

    def parse(self, values: Sequence[Any], column: str, separator: str | None) -> list[str]:
        """One name a row."""
        return labels.parse_names(values, column, separator)

    def class_counts(self, values: Sequence[str]) -> dict[str, int]:
        """The number of rows of each class."""
        return count_names(values)

    def strata(self, values: Sequence[str]) -> list[str]:
        """The classes."""
        return list(values)

    def scores(self, logits: Array) -> Array:
        """Probabilities, which add up to 1."""
        return softmax(logits)

    def metrics(self, logits: Array, labels: Array, names: Sequence[str], thresholds: Thresholds) -> dict[str, float]:
        """Accuracy, F1 and the calibration error."""
        return single_label_metrics(logits, labels)

    def per_label(
        self, logits: Array, labels: Array, names: Sequence[str], thresholds: Thresholds
    ) -> list[dict[str, Any]]:
        """Precision, recall and F1 of each class."""
        return per_label(logits, labels, names)

    def fit_temperature(self, logits: Array, labels: Array) -> float:
        """The number that calibrates the probabilities when it divides the logits."""
        return calibration.fit_temperature(logits, labels)


SINGLE_LABEL = SingleLabel()


def _confused_pairs(confusion: Array, names: Sequence[str]) -> list[dict[str, Any]]:
    wrong = confusion - np.diag(np.diag(confusion))
    most = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    return [
        {"true": names[i], "predicted": names[j], "count": int(wrong[i, j]), "of": int(confusion[i].sum())}
        for i, j in zip(*np.unravel_index(most, wrong.shape), strict=True)
        if wrong[i, j]
    ]
