"""What a kind of task is, and what several kinds share."""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.errors import EncT5Error, nearest, show, unknown
from enct5.metrics.thresholds import Thresholds
from enct5.tasks import labels
from enct5.tasks.details import Details, Evaluated, Usage
from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import Windows

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler


Array = npt.NDArray[Any]
_MOST_LISTED = 5


class Task(ABC):
    """What one kind of task does with label values and logits; all that differs between the kinds.

    A label value is a name (single-label), a list of names (multi-label), a number or list of numbers (regression), or
    `Entities` (tokens). Logits are an array (n, labels), but a list of `TaggedText` for tokens.

    A kind without a method that may be None refuses what needs it. There is one of each kind, in `registry.TASKS`.

    Attributes:
        name: The `problem_type` of the model's configuration.
        alias: The name on the command line.
        synonyms: What else it is called, with hyphens.
        description: What is learned, for a message to the user.
        prediction_columns: Keys of the records that `decode` makes.
        metric_for_best_model: The figure of `metrics` that chooses the best checkpoint.
        greater_is_better: Whether a higher figure is the better one.
        prompt_per_label: Whether each label has a prompt of its own, which may start from the label's words.
        has_probabilities: Whether `scores` are probabilities of labels.
        can_abstain: Whether predictions are a label and its score, so that those of low score can be withheld.
        inputs: How texts become what the model reads, and its logits those of the texts.
        bears_dropout: Whether dropout in the encoder helps. It makes states larger in training than in prediction
            (arXiv 1801.05134, section 3), which the order of scores bears and a number does not.
        counted: What `class_counts` and the support of `per_label` count.
        options: Settings of a training run that only this kind has.
        usage: What a model card says of the outputs.
        relevance: From logits of pairs, `id2label` and the label that means relevant (or None) to one number per pair,
            higher for a better match; None where pairs cannot be ranked.
        fit_scaler: From encoded labels to what standardises them, target by target; None where labels have no unit.
        fit_head: From a new model's states (n, d_model) and what it is to learn to the head it starts with, weight
            (labels, d_model) and bias (labels,); None where a head from nothing does as well.
        fit_temperature: From logits and encoded labels to the number that calibrates the scores when it divides the
            logits; None where scores are not probabilities of classes that exclude each other.
        tune: From logits and encoded labels to the thresholds for `decode`; None where scores are not cut off.
        balance: From encoded labels and their number to `class_weights` that make up for rare ones; None where texts
            have no classes.
    """

    name: str
    alias: str
    synonyms: tuple[str, ...]
    description: str
    prediction_columns: tuple[str, ...]
    metric_for_best_model: str
    greater_is_better = True
    prompt_per_label = False
    has_probabilities = False
    can_abstain = False
    inputs: type[WholeTexts] | type[Windows] = WholeTexts
    bears_dropout = True
    counted = "texts"
    options: tuple[str, ...] = ()
    usage: Usage
    relevance: Callable[[Array, Mapping[int, str], str | None], Array] | None = None
    fit_scaler: Callable[[Array], "StandardScaler"] | None = None
    fit_head: Callable[[Array, Array], tuple[Array, Array]] | None = None
    fit_temperature: Callable[[Array, Array], float] | None = None
    tune: Callable[[Array, Array], list[float]] | None = None
    balance: Callable[[Array, int], list[float]] | None = None

    @abstractmethod
    def parse(self, values: Sequence[Any], column: str, separator: str | None) -> list[Any]:
        """From a raw label column, its name and the label separator to label values."""

    def align(self, values: Sequence[Any], texts: Sequence[Any], column: str) -> list[Any]:
        """From label values, their texts and the label column's name to label values that fit their texts."""
        return list(values)

    @abstractmethod
    def label_names(self, values: Sequence[Any]) -> list[str]:
        """From label values to output names, in id order.

        Classes are sorted, by value when all are whole numbers; a regression has `value`, or `value_1`, ...

        Raises:
            EncT5Error: If there are too few classes to learn anything.
        """

    def class_counts(self, values: Sequence[Any]) -> dict[str, int]:
        """From label values to the number of rows of each class, in id order; of tokens, entities of each label."""
        return {}

    def strata(self, values: Sequence[Any]) -> list[str]:
        """From label values to one group name per row, for a split that keeps the groups' shares."""
        return [""] * len(values)

    @abstractmethod
    def encode(self, values: Sequence[Any], label2id: Mapping[str, int]) -> Any:
        """From label values and `label2id` to the array a model is trained on.

        It is int64 (n,), float32 (n, labels), or float64 (n,) or (n, targets); for tokens, spans from which `inputs`
        makes the tokens' tags.
        """

    @abstractmethod
    def scores(self, logits: Any) -> Any:
        """From logits to probabilities (or values) of the same shape; for tokens the logits themselves."""

    @abstractmethod
    def decode(self, logits: Any, id2label: Mapping[int, str], thresholds: Thresholds) -> list[dict[str, Any]]:
        """From logits, `id2label` and thresholds to one record of prediction columns per row."""

    def cells(self, record: Mapping[str, Any]) -> list[Any]:
        """From a record of `decode` to its values in the order of `prediction_columns`."""
        return list(record.values())

    @abstractmethod
    def metrics(self, logits: Any, labels: Any, names: Sequence[str], thresholds: Thresholds) -> dict[str, float]:
        """From logits, encoded labels, label names and thresholds to figures."""

    def per_label(self, logits: Any, labels: Any, names: Sequence[str], thresholds: Thresholds) -> list[dict[str, Any]]:
        """From the same to one record of figures per label, in id order; none for regression."""
        return []

    def notes(self, column: Sequence[Any], values: Sequence[Any], texts: Sequence[Any]) -> list[str]:
        """From a raw label column, its label values and their texts to what is odd about them, a line each."""
        return []

    def doubts(self, values: Sequence[Any]) -> list[str]:
        """From label values to train with to what makes them hard to learn, a line each."""
        return []

    @abstractmethod
    def details(self, evaluation: Evaluated) -> Details:
        """What a report shows of single rows and classes."""

    def __reduce__(self) -> str:
        """Pickled and copied by name, as there is one of each: `REGRESSION` in the kind's own file."""
        return self._global

    @property
    def _global(self) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).upper()


def check_abstention(task: Task, below: float) -> None:
    """Refuse to abstain where it means nothing.

    Args:
        task: The task of a model.
        below: The lowest score of a prediction that is given.

    Raises:
        EncT5Error: If the task's predictions are not a label with its score, or `below` is no probability.
    """
    if not task.can_abstain:
        raise EncT5Error(
            f"this model does {task.description}, where no prediction can be withheld for its score; leave out "
            "`abstain_below` (--abstain-below)"
        )
    if not 0 <= below <= 1:
        raise EncT5Error(f"`abstain_below` (--abstain-below) is {below}; give a score from 0 to 1")


def check_top_k(task: Task, top_k: int | None) -> None:
    """Refuse to tell the scores of several labels where there are none.

    Args:
        task: The task of a model.
        top_k: How many labels; None for all.

    Raises:
        EncT5Error: If the task has no probabilities of labels, or `top_k` is no such number.
    """
    if not task.has_probabilities:
        raise EncT5Error(
            f"this model does {task.description}, which has no probabilities of labels; leave out `top_k` (--top-k, "
            "--all-scores)"
        )
    if top_k is not None and top_k < 1:
        raise EncT5Error(f"`top_k` (--top-k) is {top_k}; give a number from 1 on")


def best_labels(
    task: Task, logits: Array, id2label: Mapping[int, str], top_k: int | None
) -> list[list[dict[str, Any]]]:
    """The likeliest labels of every row.

    Args:
        task: A task that has probabilities.
        logits: Of shape (n, labels).
        id2label: Names of the labels.
        top_k: How many; None for all.

    Returns:
        Records of `label` and `score` (its probability), best first; labels of equal score keep their order.
    """
    scores = task.scores(logits)
    order = np.argsort(-scores, axis=-1, kind="stable")[:, :top_k]
    return [
        [{"label": id2label[int(label)], "score": float(row[label])} for label in best]
        for row, best in zip(scores, order, strict=True)
    ]


def withhold(record: dict[str, Any], below: float) -> dict[str, Any]:
    """A prediction of a task that can abstain, without its label when the score is below the given one."""
    return {**record, "label": None} if record["score"] < below else record


def ids_of(names: Sequence[str], label2id: Mapping[str, int]) -> list[int]:
    """The ids of label names, which are refused where the model does not know them."""
    missing = labels.sort_names({name for name in names if name not in label2id})
    if missing:
        listed = ", ".join(show(name) for name in missing[:_MOST_LISTED])
        if len(missing) > _MOST_LISTED:
            listed += f" and {len(missing) - _MOST_LISTED} more"
        guess = nearest(missing[0], label2id)
        proposal = f"did you mean `{guess}` for `{missing[0]}`?" if guess else "correct them or train with them"
        known = ", ".join(list(label2id)[:20]) + (f" and {len(label2id) - 20} more" if len(label2id) > 20 else "")
        raise EncT5Error(f"labels unknown to the model: {listed}; {proposal} (known: {known})")
    return [label2id[name] for name in names]


def softmax(logits: Array) -> Array:
    """Probabilities of labels that exclude each other, (..., labels)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(logits: Array) -> Array:
    """Probabilities of labels by themselves, of the same shape."""
    # 1 / (1 + exp(-x)) overflows for very negative x
    return np.asarray(np.exp(-np.logaddexp(0, -logits)))


def column_of(label: str, id2label: Mapping[int, str]) -> int:
    """The id of a label that a user has named."""
    names = [id2label[index] for index in range(len(id2label))]
    if label not in names:
        raise unknown("label", label, names)
    return names.index(label)


def which_label(id2label: Mapping[int, str], why: str) -> EncT5Error:
    """The error where a label to rank by is wanted, for the caller to raise."""
    listed = ", ".join([id2label[index] for index in range(len(id2label))][:20])
    return EncT5Error(f"{why}; say by which label to rank, as in `label={id2label[0]!r}` (labels: {listed})")


def count_names(values: Sequence[str]) -> dict[str, int]:
    """The number of rows of each name, in id order."""
    counts = Counter(values)
    return {name: counts[name] for name in labels.sort_names(set(counts))}


def count_lists(values: Sequence[list[str]]) -> dict[str, int]:
    """The number of rows that have each name, in id order."""
    return count_names([name for row in values for name in row])


def rarest_labels(values: Sequence[list[str]]) -> list[str]:
    """One group name per row: of its labels the rarest."""
    # of a row's labels the rarest one is the hardest to find in both parts of a split
    counts = count_lists(values)
    return [min(row, key=lambda name: (counts[name], name), default="") for row in values]
