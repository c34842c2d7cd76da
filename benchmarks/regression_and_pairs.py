"""Similarity of sentence pairs and sentiment of long reviews, beside scikit-learn.

    python benchmarks/regression_and_pairs.py            (writes results/regression_and_pairs.jsonl and .md)

stsb: pair regression by `enct5 train` with its defaults, beside a ridge regression on what two sentences share: cosine
similarities of TF-IDF (words and word pairs; character n-grams), overlap of words, length, and their products.
movie_reviews: reviews of some 700 words, cut to the default 512 tokens, beside TF-IDF with logistic regression on whole
reviews, and on what EncT5 reads of them (cut). Three seeds; test files are measured once. Other pairs (rte) are in
classification.py.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classification import command, run_enct5, tf_idf
from enct5.training_config import TrainConfig
from records import RESULTS, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import MOVIE_REVIEWS, STSB, Benchmark, read_training_rows, test_file

SEEDS = (1, 2, 3)
METHODS = ("enct5", "scikit-learn", "scikit-learn, cut")
SETS = (
    STSB,
    # The default of 15 epochs would take more than two hours a run on one core in float32.
    replace(MOVIE_REVIEWS, epochs=3),
)
FIGURES = {"stsb": ("pearson", "spearman"), "movie_reviews": ("accuracy",)}
FILE = RESULTS / "regression_and_pairs.jsonl"


class PairFeatures:
    """What two sentences have in common, as numbers; vocabularies come from the training sentences."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

        sentences = [sentence for pair in pairs for sentence in pair]
        self.words = CountVectorizer(binary=True, token_pattern=r"\w+").fit(sentences)
        self.weighted = [
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+").fit(sentences),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit(sentences),
        ]

    def __call__(self, pairs: list[tuple[str, str]]) -> npt.NDArray[np.float64]:
        """One row of features a pair."""
        first, second = zip(*pairs, strict=True)
        cosines = [
            np.asarray(vectorizer.transform(first).multiply(vectorizer.transform(second)).sum(axis=1)).ravel()
            for vectorizer in self.weighted
        ]
        one, other = self.words.transform(first), self.words.transform(second)
        shared = np.asarray(one.multiply(other).sum(axis=1)).ravel()
        sizes = [np.maximum(np.asarray(side.sum(axis=1)).ravel(), 1) for side in (one, other)]
        either = np.maximum(sizes[0] + sizes[1] - shared, 1)
        lengths = [np.array([len(sentence) for sentence in side]) for side in (first, second)]
        return np.column_stack(
            [
                *cosines,
                shared / either,
                shared / np.minimum(*sizes),
                np.abs(np.log1p(lengths[0]) - np.log1p(lengths[1])),
                np.log1p(lengths[0] + lengths[1]),
            ]
        )


def ridge(benchmark: Benchmark, seed: int) -> dict[str, Any]:
    """The baseline of pair regression; its penalty is chosen by cross-validation in the training rows."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    from enct5 import data
    from enct5.metrics import regression_metrics

    def pairs(table: Any) -> list[tuple[str, str]]:
        return list(zip(*(table[name][:] for name in benchmark.text), strict=True))

    def targets(table: Any) -> npt.NDArray[np.float64]:
        return np.array([float(value) for value in table[benchmark.label][:]])

    started = time.time()
    table = read_training_rows(benchmark)
    fraction = TrainConfig.model_fields["eval_fraction"].default
    rows, _ = data.split_rows(data.read_texts(table, benchmark.text), [""] * len(table), fraction, seed)
    train = table.select(rows)
    test = data.read_table(test_file(benchmark))
    features = PairFeatures(pairs(train))
    model = make_pipeline(StandardScaler(), PolynomialFeatures(2), RidgeCV(alphas=np.logspace(-2, 4, 13)))
    model.fit(features(pairs(train)), targets(train))
    figures = regression_metrics(model.predict(features(pairs(test))), targets(test))
    return {"seconds": round(time.time() - started, 1), "metrics": figures}


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    benchmark = next(benchmark for benchmark in SETS if benchmark.name == key["set"])
    if key["method"] == METHODS[0]:
        with tempfile.TemporaryDirectory() as temporary:
            record = run_enct5(benchmark, key["seed"], Path(temporary))
    else:
        cut = replace(benchmark, max_length=TrainConfig.model_fields["max_length"].default)
        read = cut if key["method"] == METHODS[2] else benchmark
        record = (ridge if benchmark.name == "stsb" else tf_idf)(read, key["seed"])
    return record | record.pop("metrics")


def main() -> None:
    """Run what is missing and write the table."""
    keys = [
        {"set": benchmark.name, "method": method, "seed": seed} | (benchmark.t5 if method == METHODS[0] else {})
        for benchmark in SETS
        for seed in SEEDS
        for method in METHODS
        if method != METHODS[2] or benchmark.name == MOVIE_REVIEWS.name
    ]
    records = records_asked_for(__doc__, FILE, keys, run)
    rows = []
    for benchmark in SETS:
        of_set = [record for record in records if record["set"] == benchmark.name]
        seconds = mean_and_spread(of_set, ("method",), "seconds")
        for figure in FIGURES[benchmark.name]:
            value = mean_and_spread(of_set, ("method",), figure)
            cells = [value.get((method,), "") for method in METHODS]
            rows.append([benchmark.name, figure, *cells, seconds.get((METHODS[0],), ""), f"`{command(benchmark)}`"])
    table = markdown_table(["set", "test figure", *METHODS, "seconds (enct5)", "command"], rows)
    note = (
        f"Mean ± standard deviation over the seeds on file ({', '.join(map(str, SEEDS))} when complete). Seconds: one "
        f"thread beside another run."
    )
    write_table(FILE, __doc__, records, table, note)


if __name__ == "__main__":
    main()
