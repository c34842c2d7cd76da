"""Multi-label classification: any number of labels per text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.data.cells import read_lists
from enct5.data.notes import and_more, in_rows
from enct5.errors import EncT5Error, show
from enct5.files import scratch
from enct5.metrics.classification import multi_label_metrics, per_label_multi
from enct5.metrics.logits import check_logits
from enct5.metrics.thresholds import Thresholds, decide, tune
from enct5.tasks import labels
from enct5.tasks.base import Task, column_of, count_lists, ids_of, rarest_labels, sigmoid, which_label
from enct5.tasks.details import MOST_MISTAKES, Details, Evaluated, Mistake, Usage, listed, scored
from enct5.tasks.notes import odd_names

Array = npt.NDArray[Any]
# Beyond it a few texts of a rare label would outweigh everything else in their batch.
LARGEST_POSITIVE_WEIGHT = 10.0


class MultiLabel(Task):
    """Any number of labels per text."""

    name = "multi_label_classification"
    alias = "multi"
    synonyms = ("multi-label", "multilabel", "multi-label-classification", "multilabel-classification")
    description = "multi-label classification: any number of labels per text"
    prediction_columns = ("labels", "scores")
    metric_for_best_model = "macro_f1"
    prompt_per_label = True
    has_probabilities = True
    usage = Usage(
        predicts="any number of labels (those whose score reaches the label's threshold)",
        decoding="""\
thresholds = model.config.thresholds or [0.5] * model.config.num_labels
for scores in logits.sigmoid():
    print({model.config.id2label[i]: float(score) for i, score in enumerate(scores) if score >= thresholds[i]})""",
        pipeline_options=", truncation=True, top_k=None",
        pipeline_note="The pipeline knows no thresholds: it gives every label's score. A label is meant from its own "
        "threshold on, which is in `thresholds` of `config.json` (`classify.model.config.thresholds`), in the order "
        "of `id2label`.",
        limitation="The labels' thresholds were tuned on that split, too, so its figures with them are optimistic. "
        "Those that end in `_at_0.5` use none. A label with fewer than 10 positives there has the threshold that is "
        "best for all labels together.",
    )

    def label_names(self, values: Sequence[list[str]]) -> list[str]:
        """Sorted, by value when all are whole numbers."""
        names = labels.sort_names({name for row in values for name in row})
        if not names:
            raise EncT5Error("no row of the label column has a label; name another column with --label")
        return names

    def encode(self, values: Sequence[list[str]], label2id: Mapping[str, int]) -> Array:
        """Zeros and ones, float32 (n, labels)."""
        targets = scratch.zeros((len(values), len(label2id)), np.float32)
        ids_of(list({name for names in values for name in names}), label2id)  # what is unknown is told of all rows
        for row, names in enumerate(values):
            targets[row, [label2id[name] for name in names]] = 1
        return targets

    def decode(self, logits: Array, id2label: Mapping[int, str], thresholds: Thresholds) -> list[dict[str, Any]]:
        """The labels that reach their thresholds, likeliest first."""
        check_logits(logits)
        records = []
        for row, given in zip(sigmoid(logits), decide(logits, thresholds), strict=True):
            chosen = np.flatnonzero(given)
            chosen = chosen[np.argsort(-row[chosen], kind="stable")]
            records.append({"labels": [id2label[int(i)] for i in chosen], "scores": [float(row[i]) for i in chosen]})
        return records

    def relevance(self, logits: Array, id2label: Mapping[int, str], label: str | None) -> Array:
        """The probability of a label."""
        if label is None:
            raise which_label(id2label, "a pair can have several labels")
        return np.asarray(sigmoid(logits)[:, column_of(label, id2label)])

    def notes(self, column: Sequence[Any], values: Sequence[list[str]], texts: Sequence[Any]) -> list[str]:
        """Notes on labels that are alike, read like missing values, or are named twice."""
        counts = Counter(name for names in values for name in names)
        notes = odd_names(counts)
        lists = zip(read_lists(column), values, strict=True)
        twice = [row for row, (items, names) in enumerate(lists) if isinstance(items, list) and len(items) > len(names)]
        if twice:
            notes.append(f"a label is named more than once in {in_rows(twice)}, and counts once")
        return notes

    def doubts(self, values: Sequence[list[str]]) -> list[str]:
        """What makes the labels hard to learn."""
        counts = Counter(name for names in values for name in names)
        always = [show(name) for name, count in sorted(counts.items()) if count == len(values)]
        return [f"every text has the label {and_more(always)}: nothing can be learned of it"] if always else []

    def balance(self, labels: Array, count: int) -> list[float]:
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

    def details(self, evaluation: Evaluated) -> Details:
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
                "Predicted": listed(
                    scored(names[label], scores[row, label]) for label in np.flatnonzero(predicted[row])
                ),
                "True": listed(names[label] for label in np.flatnonzero(truth[row])),
            }
            mistakes.append(Mistake(evaluation.rows[row], facts))
        note = f"{len(wrong)} of {len(truth)} texts have a label too many or too few; those that are furthest off."
        return Details(mistakes, note)

    def parse(self, values: Sequence[Any], column: str, separator: str | None) -> list[list[str]]:
        """Any number of names a row."""
        return labels.parse_name_lists(values, column, separator)

    def class_counts(self, values: Sequence[list[str]]) -> dict[str, int]:
        """The number of rows that have each label."""
        return count_lists(values)

    def strata(self, values: Sequence[list[str]]) -> list[str]:
        """Of each row's labels the rarest."""
        return rarest_labels(values)

    def scores(self, logits: Array) -> Array:
        """Probabilities, each by itself."""
        return sigmoid(logits)

    def metrics(self, logits: Array, labels: Array, names: Sequence[str], thresholds: Thresholds) -> dict[str, float]:
        """F1 and its kin, at the thresholds."""
        return multi_label_metrics(logits, labels, thresholds)

    def per_label(
        self, logits: Array, labels: Array, names: Sequence[str], thresholds: Thresholds
    ) -> list[dict[str, Any]]:
        """Precision, recall, F1 and threshold of each label."""
        return per_label_multi(logits, labels, names, thresholds)

    def tune(self, logits: Array, labels: Array) -> list[float]:
        """A threshold for each label."""
        return tune(logits, labels)


MULTI_LABEL = MultiLabel()
