"""Multi-label classification: any number of labels per text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.data.cells import read_lists
from enct5.data.notes import and_more, in_rows
from enct5.errors import EncT5Error, show
from enct5.metrics.classification import multi_label_metrics, per_label_multi
from enct5.metrics.logits import check_logits
from enct5.metrics.thresholds import Thresholds, decide, tune
from enct5.tasks import labels
from enct5.tasks.base import Task, column_of, count_lists, ids_of, rarest_labels, sigmoid, which_label
from enct5.tasks.details import MOST_MISTAKES, Details, Evaluated, Mistake, listed, scored
from enct5.tasks.notes import odd_names

Array = npt.NDArray[Any]
# Beyond it a few texts of a rare label would outweigh everything else in their batch.
LARGEST_POSITIVE_WEIGHT = 10.0


def on_label_lists(column: Sequence[Any], values: Sequence[list[str]], texts: Sequence[Any]) -> list[str]:
    """Notes on the label values of multi-label classification, as `Task.notes` gives them."""
    counts = Counter(name for names in values for name in names)
    notes = odd_names(counts)
    lists = zip(read_lists(column), values, strict=True)
    twice = [row for row, (items, names) in enumerate(lists) if isinstance(items, list) and len(items) > len(names)]
    if twice:
        notes.append(f"a label is named more than once in {in_rows(twice)}, and counts once")
    return notes


def doubts_about_label_lists(values: Sequence[list[str]]) -> list[str]:
    """What makes labels hard to learn, as `Task.doubts` gives it."""
    counts = Counter(name for names in values for name in names)
    always = [show(name) for name, count in sorted(counts.items()) if count == len(values)]
    return [f"every text has the label {and_more(always)}: nothing can be learned of it"] if always else []


def balanced_labels(labels: Array, count: int) -> list[float]:
    """Weigh the rows that have a label so that they count as much as those without it: negatives / positives.

    Args:
        labels: Zeros and ones of shape (n, labels).
        count: Number of labels.

    Returns:
        One weight per label, in id order, between 1 / `LARGEST_POSITIVE_WEIGHT` and `LARGEST_POSITIVE_WEIGHT`.
    """
    positives = (labels >= 0.5).sum(axis=0)
    ratios = (len(labels) - positives) / np.maximum(positives, 1)
    return [float(ratio) for ratio in np.clip(ratios, 1 / LARGEST_POSITIVE_WEIGHT, LARGEST_POSITIVE_WEIGHT)]


def _encode_multi(values: Sequence[list[str]], label2id: Mapping[str, int]) -> Array:
    targets = np.zeros((len(values), len(label2id)), dtype=np.float32)
    rows = [row for row, names in enumerate(values) for _ in names]
    targets[rows, ids_of([name for names in values for name in names], label2id)] = 1
    return targets


def _decode_multi(logits: Array, id2label: Mapping[int, str], thresholds: Thresholds) -> list[dict[str, Any]]:
    check_logits(logits)
    records = []
    for row, given in zip(sigmoid(logits), decide(logits, thresholds), strict=True):
        chosen = np.flatnonzero(given)
        chosen = chosen[np.argsort(-row[chosen], kind="stable")]
        records.append({"labels": [id2label[int(i)] for i in chosen], "scores": [float(row[i]) for i in chosen]})
    return records


def _relevance_multi(logits: Array, id2label: Mapping[int, str], label: str | None) -> Array:
    if label is None:
        raise which_label(id2label, "a pair can have several labels")
    return np.asarray(sigmoid(logits)[:, column_of(label, id2label)])


def _names_of_multi(values: Sequence[list[str]]) -> list[str]:
    names = labels.sort_names({name for row in values for name in row})
    if not names:
        raise EncT5Error("no row of the label column has a label; name another column with --label")
    return names


MULTI_LABEL = Task(
    name="multi_label_classification",
    alias="multi",
    description="multi-label classification: any number of labels per text",
    prediction_columns=("labels", "scores"),
    metric_for_best_model="macro_f1",
    greater_is_better=True,
    parse=labels.parse_name_lists,
    label_names=_names_of_multi,
    class_counts=count_lists,
    strata=rarest_labels,
    encode=_encode_multi,
    scores=sigmoid,
    decode=_decode_multi,
    metrics=lambda logits, wanted, names, thresholds: multi_label_metrics(logits, wanted, thresholds),
    per_label=per_label_multi,
    notes=on_label_lists,
    doubts=doubts_about_label_lists,
    has_probabilities=True,
    tune=tune,
    balance=balanced_labels,
    prompt_per_label=True,
    relevance=_relevance_multi,
)


def details_of_labels(evaluation: Evaluated) -> Details:
    """The texts whose labels are furthest off."""
    scores, names = evaluation.scores, evaluation.names
    cuts = [entry["threshold"] for entry in evaluation.per_label]
    truth, predicted, thresholds = evaluation.labels >= 0.5, decide(evaluation.logits, cuts), np.array(cuts)
    # how far on the wrong side of its threshold a score is, as a share of what is possible there
    room = np.where(predicted, 1 - thresholds, thresholds)
    distance = np.divide(np.abs(scores - thresholds), room, out=np.zeros_like(scores), where=room > 0)
    sureness = np.where(truth != predicted, distance, -1)
    wrong = np.flatnonzero((truth != predicted).any(axis=1))
    surest = wrong[np.argsort(-sureness[wrong].max(axis=1), kind="stable")][:MOST_MISTAKES]
    mistakes = []
    for row in surest:
        worst = int(sureness[row].argmax())
        facts = {
            "Worst": ("wrongly given: " if predicted[row, worst] else "missed: ")
            + scored(names[worst], scores[row, worst]),
            "Predicted": listed(scored(names[label], scores[row, label]) for label in np.flatnonzero(predicted[row])),
            "True": listed(names[label] for label in np.flatnonzero(truth[row])),
        }
        mistakes.append(Mistake(evaluation.rows[row], facts))
    note = f"{len(wrong)} of {len(truth)} texts have a label too many or too few; those that are furthest off."
    return Details(mistakes, note)
