"""Test figures of `enct5 train` with its defaults, beside random weights and TF-IDF with logistic regression.

    python benchmarks/classification.py            (writes results/classification.jsonl and .md)

Every set: three seeds from the bundled T5, three from random weights of the same shape, and scikit-learn's TF-IDF of
words and word pairs with logistic regression, its C chosen on the same held-out split. Test files are measured once.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from enct5.assets import bundled_t5
from enct5.loading import load_tokenizer
from records import RESULTS, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import CLASSIFICATION, Benchmark, read_training_rows, test_file
from training_runs import train_and_measure

SEEDS = (1, 2, 3)
METHODS = ("enct5", "random weights", "tf-idf + logistic regression")
FILE = RESULTS / "classification.jsonl"


def command(benchmark: Benchmark) -> str:
    """What a user would type for a run."""
    epochs = "" if benchmark.epochs is None else f" --epochs {benchmark.epochs:g}"
    sample = "" if benchmark.rows is None else f"  # a fixed sample of {benchmark.rows} rows"
    return (
        f"enct5 train {benchmark.name}/{benchmark.train} --text {','.join(benchmark.text)} --label {benchmark.label}"
        f"{epochs} --seed SEED{sample}"
    )


def random_t5(folder: Path, seed: int) -> str:
    """A T5 checkpoint of the bundled one's shape and tokenizer, its weights drawn as T5 draws them."""
    from transformers import AutoConfig, AutoTokenizer, T5ForConditionalGeneration, set_seed

    set_seed(seed)
    T5ForConditionalGeneration(AutoConfig.from_pretrained(bundled_t5())).save_pretrained(folder)
    AutoTokenizer.from_pretrained(bundled_t5()).save_pretrained(folder)
    return str(folder)


def run_enct5(benchmark: Benchmark, seed: int, folder: Path, base: str = "bundled") -> dict[str, Any]:
    """The record of one run of `enct5 train` and one of `enct5 evaluate`."""
    record, measured = train_and_measure(benchmark, folder, seed, base=base)
    return {
        "value": measured["metrics"][benchmark.metric],
        "eval_value": record["metrics"][benchmark.metric],
        "seconds": record["seconds"],
        "steps": record["steps"],
        "train_rows": record["data"]["train_rows"],
        "test_rows": measured["rows"],
        "metrics": measured["metrics"],
    }


def joined_texts(benchmark: Benchmark, table: Any) -> list[str]:
    """The texts of a table, cut where the benchmark says so; those of a pair with a blank between them."""
    texts = [" ".join(parts) for parts in zip(*(table[name][:] for name in benchmark.text), strict=True)]
    if benchmark.max_length is None:
        return texts
    tokenizer = load_tokenizer(str(bundled_t5()))
    kept = tokenizer(texts, truncation=True, max_length=benchmark.max_length)["input_ids"]
    return tokenizer.batch_decode(kept, skip_special_tokens=True)


def fit_tf_idf(benchmark: Benchmark, seed: int) -> tuple[Any, float]:
    """TF-IDF with logistic regression, and its accuracy on the rows held out as `enct5 train` holds them out."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from enct5 import data
    from enct5.training_config import TrainConfig

    table = read_training_rows(benchmark)
    fraction = TrainConfig.model_fields["eval_fraction"].default
    texts = data.read_texts(table, benchmark.text)
    train, held_out = map(table.select, data.split_rows(texts, table[benchmark.label][:], fraction, seed))
    best: tuple[float, Any] = (-1.0, None)
    for c in (1.0, 10.0, 100.0):
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=c, max_iter=1000)
        )
        model.fit(joined_texts(benchmark, train), train[benchmark.label][:])
        score = model.score(joined_texts(benchmark, held_out), held_out[benchmark.label][:])
        best = max(best, (score, model), key=lambda pair: pair[0])
    return best[1], best[0]


def tf_idf(benchmark: Benchmark, seed: int) -> dict[str, Any]:
    """The scikit-learn baseline."""
    from enct5 import data
    from enct5.metrics import single_label_metrics

    started = time.time()
    model, eval_value = fit_tf_idf(benchmark, seed)
    test = data.read_table(test_file(benchmark))
    classes = model.classes_.tolist()
    labels = [classes.index(label) for label in test[benchmark.label][:]]
    figures = single_label_metrics(model.predict_log_proba(joined_texts(benchmark, test)), np.array(labels))
    return {
        "value": figures[benchmark.metric],
        "eval_value": eval_value,
        "seconds": round(time.time() - started, 1),
        "metrics": figures,
    }


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    benchmark = next(benchmark for benchmark in CLASSIFICATION if benchmark.name == key["set"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if key["method"] == METHODS[2]:
            return tf_idf(benchmark, key["seed"])
        base = "bundled" if key["method"] == METHODS[0] else random_t5(folder / "t5", key["seed"])
        return run_enct5(benchmark, key["seed"], folder, base)


def main() -> None:
    """Run what is missing and write the table."""
    keys = [
        {"set": benchmark.name, "method": method, "seed": seed, "metric": benchmark.metric}
        | (benchmark.t5 if method == METHODS[0] else {})
        for seed in SEEDS
        for benchmark in CLASSIFICATION
        for method in METHODS
        # Logistic regression has no randomness of its own; its seed is that of the split.
    ]
    records = records_asked_for(__doc__, FILE, keys, run)
    value = mean_and_spread(records, ("set", "method"), "value")
    seconds = mean_and_spread(records, ("set", "method"), "seconds")
    rows = [
        [
            benchmark.name,
            benchmark.metric,
            *(value.get((benchmark.name, method), "") for method in METHODS),
            seconds.get((benchmark.name, METHODS[0]), ""),
            f"`{command(benchmark)}`",
        ]
        for benchmark in CLASSIFICATION
    ]
    table = markdown_table(["set", "test figure", *METHODS, "seconds (enct5)", "command"], rows)
    note = (
        f"Mean ± standard deviation over the seeds on file ({', '.join(map(str, SEEDS))} when complete). cola and rte "
        "have no labelled test file: "
        "measured on their dev file, which nothing was tuned on. Seconds: one thread beside another run."
    )
    write_table(FILE, __doc__, records, table, note)


if __name__ == "__main__":
    main()
