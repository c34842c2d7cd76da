"""Out-of-scope requests on clinc150: does the highest score tell texts of no known intent from the others?

    python benchmarks/out_of_scope.py            (writes results/out_of_scope.jsonl and .md)

Trained on the 150 intents only, by `enct5 train` with its defaults, and by TF-IDF with logistic regression as in
quality.py; three seeds. A text is called out of scope where its highest score is below a threshold, which is
chosen on dev.csv and dev_oos.csv for the best mean of accuracy on the one and recall on the other. Test files are
measured once. AUROC needs no threshold: how often a text in scope has a higher score than one out of scope.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import linear
from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import CLASSIFICATION, DATA, command, read_training_rows
from training_runs import train

SEEDS = (1, 2, 3)
METHODS = ("enct5", "tf-idf + logistic regression")
FIGURES = {
    "accuracy": "in-scope accuracy",
    "auroc": "AUROC",
    "recall": "out-of-scope recall",
    "accuracy_at_threshold": "in-scope accuracy with the threshold",
    "threshold": "threshold",
}
BENCHMARK = next(benchmark for benchmark in CLASSIFICATION if benchmark.name == "clinc150")
FILE = RESULTS / "out_of_scope.jsonl"

# From texts to the predicted intents and their scores.
Classifier = Callable[[list[str]], tuple[npt.NDArray[Any], npt.NDArray[np.float64]]]


def train_enct5(seed: int, folder: Path, **settings: Any) -> Classifier:
    """One run of `enct5 train`."""
    predictor, _ = train(BENCHMARK, folder, seed, **settings)

    def classify(texts: list[str]) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
        results = predictor.predict(texts)
        return np.array([result["label"] for result in results]), np.array([result["score"] for result in results])

    return classify


def train_tf_idf(seed: int) -> Classifier:
    """The scikit-learn baseline."""
    model = linear.fit(read_training_rows(BENCHMARK), BENCHMARK, linear.tf_idf, seed)

    def classify(texts: list[str]) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
        scores = model.task.scores(model.logits(texts))
        return np.array(model.names)[scores.argmax(axis=1)], scores.max(axis=1)

    return classify


def read_part(part: str) -> tuple[list[str], npt.NDArray[Any]]:
    """Texts and intents of a file."""
    from enct5.data import reading

    table = reading.read_table(str(DATA / BENCHMARK.name / f"{part}.csv"))
    return table["text"][:], np.array(table["intent"][:])


def choose_threshold(
    right: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], scores_out_of_scope: npt.NDArray[np.float64]
) -> float:
    """The threshold with the best mean of in-scope accuracy and out-of-scope recall; the lowest of equals."""
    candidates = np.unique(np.concatenate([scores, scores_out_of_scope]))
    accuracy = [(right & (scores >= threshold)).mean() for threshold in candidates]
    recall = [(scores_out_of_scope < threshold).mean() for threshold in candidates]
    return float(candidates[np.argmax(np.add(accuracy, recall))])


def measure(classify: Classifier) -> dict[str, float]:
    """The figures of a trained classifier on the test files."""
    from sklearn.metrics import roc_auc_score

    texts, intents = read_part("dev")
    predicted, scores = classify(texts)
    threshold = choose_threshold(predicted == intents, scores, classify(read_part("dev_oos")[0])[1])
    texts, intents = read_part("test")
    predicted, scores = classify(texts)
    right, out_of_scope = predicted == intents, classify(read_part("test_oos")[0])[1]
    in_scope = np.concatenate([np.ones(len(scores)), np.zeros(len(out_of_scope))])
    return {
        "accuracy": float(right.mean()),
        "auroc": float(roc_auc_score(in_scope, np.concatenate([scores, out_of_scope]))),
        "recall": float((out_of_scope < threshold).mean()),
        "accuracy_at_threshold": float((right & (scores >= threshold)).mean()),
        "threshold": threshold,
    }


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    started = time.time()
    with tempfile.TemporaryDirectory() as temporary:
        classify = (
            train_enct5(key["seed"], Path(temporary)) if key["method"] == METHODS[0] else train_tf_idf(key["seed"])
        )
    return {**measure(classify), "seconds": round(time.time() - started, 1)}


def main() -> None:
    """Run what is missing and write the table."""
    keys = [{"method": method, "seed": seed, **T5} for seed in SEEDS for method in METHODS]
    records = records_asked_for(__doc__, FILE, keys, run)
    figures = {name: mean_and_spread(records, ("method",), name) for name in (*FIGURES, "seconds")}
    rows = [[method, *(figures[name].get((method,), "") for name in figures)] for method in METHODS]
    table = markdown_table(["method", *FIGURES.values(), "seconds"], rows)
    note = (
        f"Mean ± standard deviation over the seeds on file ({', '.join(map(str, SEEDS))} when complete). Trained by\n"
        f"`{command(BENCHMARK)}`. Seconds: one thread beside another run."
    )
    write_table(FILE, __doc__, records, table, note)


if __name__ == "__main__":
    main()
