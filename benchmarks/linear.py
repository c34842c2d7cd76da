"""Linear models on features of texts: what a user would try before fine-tuning anything.

Features are fitted on training rows alone. How strongly a model is held back is chosen on training rows, too: by
cross-validation of up to 1,000 rows, on a held-out tenth of more; the model is then fitted on all of them.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from enct5.data.columns import read_texts
from enct5.data.split import split_rows, text_keys
from enct5.tasks.base import Task
from enct5.tasks.labelled import infer_task, label_values
from sets import Benchmark, test_rows

Array = npt.NDArray[Any]
Texts = Sequence[Any]  # strings, or pairs of strings
Transform = Callable[[Texts], Any]  # to a matrix, one row a text

FOLDS, FEW_ROWS, HELD_OUT = 5, 1000, 0.1
# C of a logistic regression, 1 / alpha of a ridge: for vectors of unit length, and for standardised features.
STRENGTHS, STRENGTHS_OF_PAIRS = (1.0, 10.0, 100.0), (1e-4, 1e-3, 1e-2, 0.1, 1.0)


def are_pairs(texts: Texts) -> bool:
    """Whether each text is a pair of texts."""
    return isinstance(texts[0], tuple)


def tf_idf(texts: Texts) -> Transform:
    """Words and word pairs of a text, or what the texts of a pair have in common."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if are_pairs(texts):
        return standardised(SharedWords(texts), texts, degree=2)
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts).transform


def standardised(features: Transform, texts: Texts, degree: int = 1) -> Transform:
    """Features, and products of up to so many of them, with mean 0 and deviation 1 on these texts."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    scaled = make_pipeline(StandardScaler(), PolynomialFeatures(degree, include_bias=False), StandardScaler())
    scaled.fit(features(texts))
    return lambda others: scaled.transform(features(others))


class SharedWords:
    """What two texts have in common, as numbers; vocabularies come from the training texts."""

    def __init__(self, pairs: Texts) -> None:
        from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

        texts = [text for pair in pairs for text in pair]
        self.words = CountVectorizer(binary=True, token_pattern=r"\w+").fit(texts)
        self.weighted = [
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+").fit(texts),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit(texts),
        ]

    def __call__(self, pairs: Texts) -> Array:
        """One row of features a pair."""
        first, second = zip(*pairs, strict=True)
        cosines = [
            np.asarray(vectorizer.transform(first).multiply(vectorizer.transform(second)).sum(axis=1)).ravel()
            for vectorizer in self.weighted
        ]
        one, other = self.words.transform(first), self.words.transform(second)
        shared = np.asarray(one.multiply(other).sum(axis=1)).ravel()
        sizes = [np.maximum(np.asarray(side.sum(axis=1)).ravel(), 1) for side in (one, other)]
        lengths = [np.array([len(text) for text in side]) for side in (first, second)]
        return np.column_stack(
            [
                *cosines,
                shared / np.maximum(sizes[0] + sizes[1] - shared, 1),
                *(shared / size for size in sizes),
                np.abs(np.log1p(lengths[0]) - np.log1p(lengths[1])),
                np.log1p(lengths[0] + lengths[1]),
            ]
        )


@dataclass
class LinearModel:
    """A fitted model.

    Attributes:
        task: what it has learned.
        names: its labels, in the order of its logits.
        logits: from texts to them.
        thresholds: from which score on it gives each label, where the task has thresholds.
        held_out: figures on the training rows that chose its strength.
    """

    task: Task
    names: list[str]
    logits: Callable[[Texts], Array]
    thresholds: list[float] | None
    held_out: dict[str, float]


def fit(table: Dataset, benchmark: Benchmark, features: Callable[[Texts], Transform], seed: int) -> LinearModel:
    """A linear model of a benchmark's task.

    Args:
        table: training rows.
        benchmark: their columns, and the figure that chooses the strength.
        features: from training texts to what makes features of texts.
        seed: of the split.
    """
    task = infer_task(table, benchmark.label)
    values = label_values(table, benchmark.label, task, text=benchmark.text)
    names = task.label_names(values)
    labels = task.encode(values, {name: index for index, name in enumerate(names)})
    texts = read_texts(table, benchmark.text)

    def parts(rows: Array) -> tuple[list[Any], Array]:
        return [texts[row] for row in rows], labels[rows]

    strengths = STRENGTHS_OF_PAIRS if are_pairs(texts) else STRENGTHS
    # Classes of fewer rows than folds, and as many classes as half the rows: with a few rows a class both are meant.
    warnings.filterwarnings("ignore", "The (least populated class|number of unique classes)", UserWarning)
    found: dict[float, list[Array]] = {strength: [] for strength in strengths}
    wanted = []
    for train, held_out in _splits(texts, task.strata(values), seed):
        train_texts, train_labels = parts(train)
        held_out_texts, held_out_labels = parts(held_out)
        transform = features(train_texts)
        train_features, held_out_features = transform(train_texts), transform(held_out_texts)
        wanted.append(held_out_labels)
        for strength in strengths:
            found[strength].append(_fit(task, train_features, train_labels, len(names), strength)(held_out_features))
    truth = np.concatenate(wanted)
    measured = {}
    for strength, logits in found.items():
        joined = np.concatenate(logits)
        thresholds = task.tune(joined, truth) if task.tune is not None else None
        measured[strength] = (task.metrics(joined, truth, names, thresholds), thresholds)
    best = max(strengths, key=lambda strength: measured[strength][0][benchmark.metric])
    transform = features(texts)
    predict = _fit(task, transform(texts), labels, len(names), best)
    return LinearModel(task, names, lambda others: predict(transform(others)), measured[best][1], measured[best][0])


def measure(table: Dataset, benchmark: Benchmark, features: Callable[[Texts], Transform], seed: int) -> dict[str, Any]:
    """The record of a linear model: its figures on the test file."""
    started = time.time()
    model = fit(table, benchmark, features, seed)
    texts, labels = test_rows(benchmark, model.task, model.names)
    figures = model.task.metrics(model.logits(texts), labels, model.names, model.thresholds)
    return {
        "value": figures[benchmark.metric],
        "eval_value": model.held_out[benchmark.metric],
        "seconds": round(time.time() - started, 1),
        "metrics": figures,
    }


def _splits(texts: Texts, strata: Sequence[str], seed: int) -> list[tuple[Array, Array]]:
    """Rows to fit on and rows to measure on, once or for every fold."""
    from sklearn.model_selection import StratifiedKFold

    if len(texts) > FEW_ROWS:
        return [split_rows(text_keys(texts), strata, HELD_OUT, seed)]
    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(texts)), strata))


def _fit(task: Task, features: Any, labels: Array, count: int, strength: float) -> Callable[[Any], Array]:
    """From features to logits; labels without a row here are never given."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if task.alias == "regression":
        return Ridge(alpha=1 / strength).fit(features, labels).predict

    def logistic(targets: Array) -> Any:
        return LogisticRegression(C=strength, max_iter=1000).fit(features, targets)

    if task.alias == "single":
        model = logistic(labels)

        def of_classes(others: Any) -> Array:
            logits = np.full((others.shape[0], count), -np.inf)
            logits[:, model.classes_] = model.predict_log_proba(others)
            return logits

        return of_classes

    models = [logistic(column) if len(set(column.tolist())) > 1 else None for column in labels.T]

    def of_labels(others: Any) -> Array:
        never = np.full(others.shape[0], -np.inf)
        return np.column_stack([never if model is None else model.decision_function(others) for model in models])

    return of_labels
