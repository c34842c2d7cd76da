"""One record per kind of task: all that differs between the kinds, so that no other file asks which kind it has."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5 import calibration, data_notes, entities, labels, metrics
from enct5.class_weights import balanced_classes, balanced_labels
from enct5.entities import Entities
from enct5.errors import EncT5Error, nearest, show, unknown
from enct5.inputs import TaggedText, WholeTexts, Windows
from enct5.thresholds import Thresholds, decide, tune

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler

Array = npt.NDArray[Any]

# Of two labels, the one that says that a pair belongs together.
_POSITIVE = {"true", "yes", "positive", "relevant", "match", "similar", "duplicate", "entailment"}
_MOST_LISTED = 5
# float32 numbers in a standard deviation of targets: with fewer, rounding is more than a few per cent of what differs.
_FEWEST_STEPS = 10


@dataclass(frozen=True)
class Task:
    """What one kind of task does with label values and logits.

    A label value is a name (single-label), a list of names (multi-label), a number or list of numbers (regression), or
    `Entities` (tokens). Logits are an array (n, labels), but a list of `TaggedText` for tokens.

    Attributes:
        name: The `problem_type` of the model's configuration.
        alias: The name on the command line.
        description: What is learned, for a message to the user.
        prediction_columns: Keys of the records that `decode` makes.
        metric_for_best_model: The figure of `metrics` that chooses the best checkpoint.
        greater_is_better: Whether a higher figure is the better one.
        parse: From a raw label column, its name and the label separator to label values.
        label_names: From label values to output names, in id order.
        class_counts: From label values to the number of rows of each class, in id order; empty for regression. For
            tokens, the number of entities of each label.
        strata: From label values to one group name per row, for a split that keeps the groups' shares.
        encode: From label values and `label2id` to the array a model is trained on: int64 (n,), float32 (n, labels),
            or float64 (n,) or (n, targets). For tokens, spans from which `inputs` makes the tokens' tags.
        scores: From logits to probabilities (or values) of the same shape; for tokens the logits themselves.
        decode: From logits, `id2label` and thresholds to one record of prediction columns per row.
        metrics: From logits, encoded labels, label names and thresholds to figures.
        per_label: From the same to one record of figures per label, in id order; none for regression.
        tune: From logits and encoded labels to the thresholds for `decode`; None where scores are not cut off.
        balance: From encoded labels and their number to `class_weights` that make up for rare ones; None where texts
            have no classes.
        prompt_per_label: Whether each label has a prompt of its own, which may start from the label's words.
        relevance: From logits of pairs, `id2label` and the label that means relevant (or None) to one number per pair,
            higher for a better match; None where pairs cannot be ranked.
        fit_scaler: From encoded labels to what standardises them, target by target; None where labels have no unit.
        fit_temperature: From logits and encoded labels to the number that calibrates the scores when it divides the
            logits; None where scores are not probabilities of classes that exclude each other.
        has_probabilities: Whether `scores` are probabilities of labels.
        can_abstain: Whether predictions are a label and its score, so that those of low score can be withheld.
        inputs: How texts become what the model reads, and its logits those of the texts.
        align: From label values, their texts and the label column's name to label values that fit their texts.
        counted: What `class_counts` and the support of `per_label` count.
        notes: From a raw label column, its label values and their texts to what is odd about them, a line each.
        doubts: From label values to train with to what makes them hard to learn, a line each.
        options: Settings of a training run that only this kind has.
    """

    name: str
    alias: str
    description: str
    prediction_columns: tuple[str, ...]
    metric_for_best_model: str
    greater_is_better: bool
    parse: Callable[[Sequence[Any], str, str | None], list[Any]]
    label_names: Callable[[Sequence[Any]], list[str]]
    class_counts: Callable[[Sequence[Any]], dict[str, int]]
    strata: Callable[[Sequence[Any]], list[str]]
    encode: Callable[[Sequence[Any], Mapping[str, int]], Array]
    scores: Callable[[Array], Array]
    decode: Callable[[Any, Mapping[int, str], Thresholds], list[dict[str, Any]]]
    metrics: Callable[[Any, Any, Sequence[str], Thresholds], dict[str, float]]
    per_label: Callable[[Any, Any, Sequence[str], Thresholds], list[dict[str, Any]]]
    notes: Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], list[str]]
    doubts: Callable[[Sequence[Any]], list[str]]
    relevance: Callable[[Array, Mapping[int, str], str | None], Array] | None = None
    fit_scaler: Callable[[Array], "StandardScaler"] | None = None
    fit_temperature: Callable[[Array, Array], float] | None = None
    has_probabilities: bool = False
    can_abstain: bool = False
    tune: Callable[[Array, Array], list[float]] | None = None
    balance: Callable[[Array, int], list[float]] | None = None
    prompt_per_label: bool = False
    inputs: type[WholeTexts] | type[Windows] = WholeTexts
    align: Callable[[Sequence[Any], Sequence[Any], str], list[Any]] = lambda values, texts, column: list(values)
    counted: str = "texts"
    options: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Callable[[str], "Task"], tuple[str]]:
        """Pickled and copied by name: there is one of each, and lambdas cannot be pickled."""
        return find_task, (self.name,)


def find_task(name: str) -> Task:
    """Look a task up by its `problem_type`, its short name, or what else it is often called.

    Args:
        name: Such as "single_label_classification", "single" or "multi-class".

    Returns:
        The task.

    Raises:
        EncT5Error: If there is no such task.
    """
    if name in TASKS:
        return TASKS[name]
    plain = name.lower().replace("_", "-").replace(" ", "-")
    for alias, synonyms in _SYNONYMS.items():
        if plain in (alias, *synonyms):
            return TASKS[alias]
    raise unknown("task", name, TASKS)


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


def _ids(names: Sequence[str], label2id: Mapping[str, int]) -> list[int]:
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


def _encode_single(values: Sequence[str], label2id: Mapping[str, int]) -> Array:
    return np.array(_ids(values, label2id), dtype=np.int64)


def _encode_multi(values: Sequence[list[str]], label2id: Mapping[str, int]) -> Array:
    targets = np.zeros((len(values), len(label2id)), dtype=np.float32)
    rows = [row for row, names in enumerate(values) for _ in names]
    targets[rows, _ids([name for names in values for name in names], label2id)] = 1
    return targets


def _encode_regression(values: Sequence[Any], label2id: Mapping[str, int]) -> Array:
    numbers = np.array(values, dtype=np.float64)
    targets = numbers.shape[1] if numbers.ndim == 2 else 1
    if targets != len(label2id):
        raise EncT5Error(
            f"rows have {targets} number(s) to predict, the model gives {len(label2id)}; use matching data"
        )
    return numbers


def _encode_entities(values: Sequence[Entities], label2id: Mapping[str, int]) -> Any:
    tags = sorted(label2id, key=label2id.__getitem__)
    index = {label: number for number, label in enumerate(entities.entity_labels(tags))}
    _ids([label for row in values for label in row.labels], index)  # refuses labels that the model does not know
    return entities.encode(values, index)


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _sigmoid(logits: Array) -> Array:
    # 1 / (1 + exp(-x)) overflows for very negative x
    return np.asarray(np.exp(-np.logaddexp(0, -logits)))


def _decode_single(logits: Array, id2label: Mapping[int, str], thresholds: Thresholds) -> list[dict[str, Any]]:
    metrics.check_logits(logits)
    scores, best = _softmax(logits), logits.argmax(axis=-1)
    return [
        {"label": id2label[int(label)], "score": float(row[label])} for row, label in zip(scores, best, strict=True)
    ]


def _decode_multi(logits: Array, id2label: Mapping[int, str], thresholds: Thresholds) -> list[dict[str, Any]]:
    metrics.check_logits(logits)
    records = []
    for row, given in zip(_sigmoid(logits), decide(logits, thresholds), strict=True):
        chosen = np.flatnonzero(given)
        chosen = chosen[np.argsort(-row[chosen], kind="stable")]
        records.append({"labels": [id2label[int(i)] for i in chosen], "scores": [float(row[i]) for i in chosen]})
    return records


def _decode_regression(logits: Array, id2label: Mapping[int, str], thresholds: Thresholds) -> list[dict[str, Any]]:
    metrics.check_logits(logits)
    rows = logits.reshape(len(logits), -1).tolist()
    return [{"value": row[0] if len(row) == 1 else row} for row in rows]


def _scaler(targets: Array) -> "StandardScaler":
    from sklearn.preprocessing import StandardScaler

    columns = targets.reshape(len(targets), -1).astype(np.float64)
    for column in columns.T:
        apart = float(np.spacing(np.abs(column).max().astype(np.float32)))
        if np.ptp(column) and column.std() < _FEWEST_STEPS * apart:
            raise EncT5Error(
                f"the numbers to predict, {column.min():.15g} to {column.max():.15g}, lie too close together for a "
                f"model, whose numbers (float32) are {apart:g} apart there; subtract {np.floor(column.min()):.15g} "
                "from all of them"
            )
    # It divides by 1 where a target is constant.
    return StandardScaler().fit(columns)


def _column_of(label: str, id2label: Mapping[int, str]) -> int:
    names = [id2label[index] for index in range(len(id2label))]
    if label not in names:
        raise unknown("label", label, names)
    return names.index(label)


def _which_label(id2label: Mapping[int, str], why: str) -> EncT5Error:
    listed = ", ".join([id2label[index] for index in range(len(id2label))][:20])
    return EncT5Error(f"{why}; say by which label to rank, as in `label={id2label[0]!r}` (labels: {listed})")


def _relevance_single(logits: Array, id2label: Mapping[int, str], label: str | None) -> Array:
    scores = _softmax(logits)
    if label is not None:
        return np.asarray(scores[:, _column_of(label, id2label)])
    names = [id2label[index] for index in range(len(id2label))]
    if labels.are_whole_numbers(names):
        return np.asarray(scores @ np.array([int(name) for name in names], dtype=scores.dtype))
    positive = [index for index, name in enumerate(names) if name.casefold() in _POSITIVE]
    if len(names) != 2 or len(positive) != 1:
        raise _which_label(id2label, "the labels are no grades, nor one of them plainly the relevant one")
    return np.asarray(scores[:, positive[0]])


def _relevance_multi(logits: Array, id2label: Mapping[int, str], label: str | None) -> Array:
    if label is None:
        raise _which_label(id2label, "a pair can have several labels")
    return np.asarray(_sigmoid(logits)[:, _column_of(label, id2label)])


def _relevance_regression(logits: Array, id2label: Mapping[int, str], label: str | None) -> Array:
    if label is None and len(id2label) > 1:
        raise _which_label(id2label, f"the model gives {len(id2label)} numbers")
    return np.asarray(logits[:, 0 if label is None else _column_of(label, id2label)])


def _decode_entities(
    tagged: Sequence[TaggedText], id2label: Mapping[int, str], thresholds: Thresholds
) -> list[dict[str, Any]]:
    return [{"entities": _entities_of(one, id2label)} for one in tagged]


def _entities_of(tagged: TaggedText, id2label: Mapping[int, str]) -> list[dict[str, Any]]:
    """The entities of a text; a score is the mean probability of the tags of an entity's tokens."""
    if not len(tagged.offsets):
        return []
    best, probabilities = tagged.logits.argmax(axis=-1), _softmax(tagged.logits).max(axis=-1)
    spans, scores, reached = [], [], 0
    for found in entities.spans_of_tags([id2label[int(tag)] for tag in best]):
        start, end = int(tagged.offsets[found.start, 0]), int(tagged.offsets[found.end - 1, 1])
        # tokens of one character (its bytes, say) may have different tags
        start, end = entities.without_blanks(tagged.text, max(start, reached), end)
        if start < end:
            spans.append(entities.Span(start, end, found.label))
            scores.append(float(probabilities[found.start : found.end].mean()))
            reached = end
    return entities.as_records(tagged.text, spans, scores)


def _entity_pairs(tagged: Any, wanted: Any, names: Sequence[str]) -> tuple[metrics.Spans, metrics.Spans]:
    """Predicted and right entities as `(start, end, label)`."""
    known = entities.entity_labels(names)
    predicted = _decode_entities(tagged, dict(enumerate(names)), None)
    return (
        [[(one["start"], one["end"], one["label"]) for one in row["entities"]] for row in predicted],
        [[(start, end, known[label]) for start, end, label in row] for row in wanted],
    )


def _names_of_single(values: Sequence[str]) -> list[str]:
    names = labels.sort_names(set(values))
    if len(names) < 2:
        raise EncT5Error(
            f"the label column holds {len(names)} class ({', '.join(map(show, names)) or 'none'}); "
            "classification needs at least 2: check the column, or add rows of another class"
        )
    return names


def _names_of_multi(values: Sequence[list[str]]) -> list[str]:
    names = labels.sort_names({name for row in values for name in row})
    if not names:
        raise EncT5Error("no row of the label column has a label; name another column with --label")
    return names


def _names_of_regression(values: Sequence[Any]) -> list[str]:
    targets = len(values[0]) if values and isinstance(values[0], list) else 1
    return ["value"] if targets == 1 else [f"value_{target}" for target in range(1, targets + 1)]


def _count_single(values: Sequence[str]) -> dict[str, int]:
    counts = Counter(values)
    return {name: counts[name] for name in labels.sort_names(set(counts))}


def _count_multi(values: Sequence[list[str]]) -> dict[str, int]:
    return _count_single([name for row in values for name in row])


def _rarest_labels(values: Sequence[list[str]]) -> list[str]:
    # of a row's labels the rarest one is the hardest to find in both parts of a split
    counts = _count_multi(values)
    return [min(row, key=lambda name: (counts[name], name), default="") for row in values]


def _count_entities(values: Sequence[Entities]) -> dict[str, int]:
    return _count_single([label for row in values for label in row.labels])


_SINGLE_LABEL = Task(
    name="single_label_classification",
    alias="single",
    description="single-label classification: one class per text",
    prediction_columns=("label", "score"),
    # not accuracy, for which a model that always gives the commonest class can be the best
    metric_for_best_model="macro_f1",
    greater_is_better=True,
    parse=labels.parse_names,
    label_names=_names_of_single,
    class_counts=_count_single,
    strata=list,
    encode=_encode_single,
    scores=_softmax,
    decode=_decode_single,
    metrics=lambda logits, wanted, names, thresholds: metrics.single_label_metrics(logits, wanted),
    per_label=lambda logits, wanted, names, thresholds: metrics.per_label(logits, wanted, names),
    notes=data_notes.on_classes,
    doubts=data_notes.doubts_about_classes,
    balance=balanced_classes,
    relevance=_relevance_single,
    fit_temperature=calibration.fit_temperature,
    has_probabilities=True,
    can_abstain=True,
    options=("label_smoothing",),
)

_MULTI_LABEL = Task(
    name="multi_label_classification",
    alias="multi",
    description="multi-label classification: any number of labels per text",
    prediction_columns=("labels", "scores"),
    metric_for_best_model="macro_f1",
    greater_is_better=True,
    parse=labels.parse_name_lists,
    label_names=_names_of_multi,
    class_counts=_count_multi,
    strata=_rarest_labels,
    encode=_encode_multi,
    scores=_sigmoid,
    decode=_decode_multi,
    metrics=lambda logits, wanted, names, thresholds: metrics.multi_label_metrics(logits, wanted, thresholds),
    per_label=metrics.per_label_multi,
    notes=data_notes.on_label_lists,
    doubts=data_notes.doubts_about_label_lists,
    has_probabilities=True,
    tune=tune,
    balance=balanced_labels,
    prompt_per_label=True,
    relevance=_relevance_multi,
)

_REGRESSION = Task(
    name="regression",
    alias="regression",
    description="regression: a number (or several) per text",
    prediction_columns=("value",),
    # the error itself, not a correlation: a checkpoint that is right but for its scale is not the best one
    metric_for_best_model="rmse",
    greater_is_better=False,
    parse=labels.parse_numbers,
    label_names=_names_of_regression,
    class_counts=lambda values: {},
    strata=lambda values: [""] * len(values),
    encode=_encode_regression,
    scores=np.asarray,
    decode=_decode_regression,
    metrics=lambda logits, wanted, names, thresholds: metrics.regression_metrics(logits, wanted),
    per_label=lambda logits, wanted, names, thresholds: [],
    notes=lambda column, values, texts: [],
    doubts=data_notes.doubts_about_numbers,
    relevance=_relevance_regression,
    fit_scaler=_scaler,
)

_TAGGING = Task(
    name="token_classification",
    alias="tokens",
    description="token tagging: entities within a text",
    prediction_columns=("entities",),
    metric_for_best_model="entity_f1",
    greater_is_better=True,
    parse=entities.parse_entities,
    label_names=entities.tags_of_values,
    class_counts=_count_entities,
    strata=lambda values: _rarest_labels([row.labels for row in values]),
    encode=_encode_entities,
    scores=lambda logits: logits,
    decode=_decode_entities,
    metrics=lambda logits, wanted, names, thresholds: metrics.entity_metrics(*_entity_pairs(logits, wanted, names)),
    per_label=lambda logits, wanted, names, thresholds: metrics.per_label_entities(
        *_entity_pairs(logits, wanted, names), entities.entity_labels(names)
    ),
    notes=data_notes.on_entities,
    doubts=lambda values: [],
    inputs=Windows,
    align=entities.align_entities,
    counted="entities",
    options=("token_decoder",),
)

_RECORDS = (_SINGLE_LABEL, _MULTI_LABEL, _REGRESSION, _TAGGING)

# What else the tasks are called, with hyphens.
_SYNONYMS = {
    "single": (
        *("classification", "text-classification", "sequence-classification", "sentiment-analysis"),
        *("single-label", "single-label-classification", "multi-class", "multiclass", "multi-class-classification"),
        *("multiclass-classification", "binary", "binary-classification"),
    ),
    "multi": ("multi-label", "multilabel", "multi-label-classification", "multilabel-classification"),
    "regression": ("regressor", "text-regression"),
    "tokens": (
        *("token", "token-classification", "ner", "named-entity-recognition", "tagging", "entities"),
        *("sequence-labeling", "sequence-labelling"),
    ),
}

TASKS: dict[str, Task] = {key: task for task in _RECORDS for key in (task.name, task.alias)}
