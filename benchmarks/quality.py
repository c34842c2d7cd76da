"""EncT5 beside other ways to make a classifier of the same T5 checkpoint: equal data, steps and early stopping.

    python benchmarks/quality.py                (writes results/quality.jsonl and .md)

The base is the bundled T5; the training data a fixed sample of 2,000 rows (rte 1,000; movie_reviews 800, cut to 128
tokens), a tenth of which chooses the best checkpoint; 4 epochs; three seeds; test files are measured once. Learning
curves: 8, 32 and 128 examples a class, drawn anew for every seed, the same for all methods, with the default epochs,
and without early stopping where fewer than 50 rows are held out (banking77: 128 of its 77 classes would be nearly all
of its rows).
Each method is `enct5 train` with one part replaced:

- enct5: nothing replaced, defaults.
- reference recipe: prompts from N(0, 1), dropout in the decoder, too, AdamW at 5e-5, random batches: the published
  model's way, with the label smoothing of all the others.
  Its padding to a fixed length is left out: with a mask it changes the time, not the result.
- mean pooling, last token: the encoder's states pooled in the decoder's place (tokens are tagged without a decoder, so
  these two have no row there).
- full decoder: transformers' T5ForSequenceClassification.
- text-to-text: T5 learns to write the label's name (greedy search; what is no label's name counts as wrong).
"""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from alternatives import ReferenceRecipe, encoder_with, full_decoder, with_normal_prompts
from enct5 import starting_model, training
from enct5.evaluation import evaluate
from enct5.loading import load_tokenizer
from enct5.predict import Predictor
from enct5.starting_model import build_model
from enct5.trained_on import TrainedOn
from enct5.trainer import EncT5Trainer
from enct5.training_config import TrainConfig
from records import RESULTS, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import (
    CLASSIFICATION,
    GOEMOTIONS,
    MOVIE_REVIEWS,
    STSB,
    WNUT17,
    Benchmark,
    examples_of_each_class,
    read_training_rows,
    test_file,
)
from text_to_text import text_to_text

SEEDS = (1, 2, 3)
ROWS, EPOCHS = 2000, 4
FILE = RESULTS / "quality.jsonl"
LONG_TEXTS = {"rte": 1000, "movie_reviews": 800}
# Fewer rows of long texts, so that a run takes a few minutes on every set.
SETS = tuple(
    replace(benchmark, rows=LONG_TEXTS.get(benchmark.name, ROWS), epochs=EPOCHS)
    for benchmark in (*CLASSIFICATION, STSB, GOEMOTIONS, replace(MOVIE_REVIEWS, max_length=128), WNUT17)
)
FEW_SHOT = {"sst2": (8, 32, 128), "snips": (8, 32, 128), "banking77": (8, 32)}
ON_ALL, ON_FOUR = ("enct5", "reference recipe", "mean pooling"), ("sst2", "cola", "snips", "banking77")


@dataclass(frozen=True)
class Method:
    """What replaces a part of `enct5 train`."""

    build: Callable[..., Any] = build_model
    trainer: type = EncT5Trainer
    options: dict[str, Any] = field(default_factory=dict)


METHODS = {
    "enct5": Method(),
    "reference recipe": Method(with_normal_prompts, ReferenceRecipe, {"learning_rate": 5e-5}),
    "mean pooling": Method(encoder_with("mean"), options={"label_prompts": "pad"}),
    "last token": Method(encoder_with("last"), options={"label_prompts": "pad"}),
    "full decoder": Method(full_decoder, options={"label_prompts": "pad"}),
    "text-to-text": Method(),
}


def write_rows(benchmark: Benchmark, examples: int | None, seed: int, folder: Path) -> str:
    """The training file: the benchmark's sample, or so many examples of every class."""
    table = read_training_rows(benchmark)
    if examples is not None:
        table = examples_of_each_class(
            read_training_rows(replace(benchmark, rows=None)), benchmark.label, examples, seed
        )
    path = folder / f"{benchmark.name}.parquet"
    table.to_parquet(str(path))
    return str(path)


def train_and_measure(method: Method, config: TrainConfig, benchmark: Benchmark) -> dict[str, Any]:
    """`enct5 train` with the method's part, then the test file by the model it made."""
    made: list[Any] = []

    def build(*args: Any, **kwargs: Any) -> Any:
        made.append(method.build(*args, **kwargs))
        return made[-1]

    with (
        mock.patch.object(starting_model, "build_model", build),
        mock.patch.object(training, "EncT5Trainer", method.trainer),
    ):
        record = training.train(config, say=lambda line: None)
    trained_on = TrainedOn(config.data, config.text, config.label, config.label_separator)
    measured = evaluate(Predictor(made[0], load_tokenizer(config.out), trained_on), test_file(benchmark))
    return {
        "value": measured["metrics"][benchmark.metric],
        "eval_value": record["metrics"][benchmark.metric],
        "millions": record["parameters"] / 1e6,
        "steps": record["steps"],
        "seconds": record["seconds"],
    }


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    benchmark = next(benchmark for benchmark in SETS if benchmark.name == key["set"])
    method = METHODS[key["method"]]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = TrainConfig.checked(
            data=write_rows(benchmark, key["examples"], key["seed"], folder),
            text=benchmark.text,
            label=benchmark.label,
            out=str(folder / "run"),
            epochs=benchmark.epochs if key["examples"] is None else None,
            seed=key["seed"],
            **({} if benchmark.max_length is None else {"max_length": benchmark.max_length}),
            **method.options,
        )
        if method is METHODS["text-to-text"]:
            return text_to_text(config, benchmark)
        return train_and_measure(method, config, benchmark)


def keys() -> list[dict[str, Any]]:
    """All runs, those first that say most."""
    whole = [
        (benchmark.name, name, None, benchmark.t5)
        for benchmark in SETS
        for name in METHODS
        if name in ON_ALL or benchmark.name in ON_FOUR
        if not (name == "mean pooling" and benchmark.name == WNUT17.name)
    ]
    few = [
        (benchmark.name, method, examples, benchmark.t5)
        for benchmark in SETS
        for examples in FEW_SHOT.get(benchmark.name, ())
        for method in ON_ALL
    ]
    return [
        {"set": name, "method": method, "examples": examples, "seed": seed, **t5}
        for runs in (whole, few)
        for seed in SEEDS
        for name, method, examples, t5 in runs
    ]


def standing(records: list[dict[str, Any]], name: str) -> str:
    """Where enct5 stands on a set: a spread is the larger standard deviation of its seeds and the best method's."""
    values: dict[str, list[float]] = {}
    for record in records:
        if record["set"] == name and record["examples"] is None:
            values.setdefault(record["method"], []).append(record["value"])
    best = max(values, key=lambda method: statistics.mean(values[method]), default="enct5")
    if best == "enct5" or min(len(values[best]), len(values.get("enct5", ()))) < len(SEEDS):
        return best
    behind = statistics.mean(values[best]) - statistics.mean(values["enct5"])
    spread = max(statistics.stdev(values[best]), statistics.stdev(values["enct5"]))
    return f"{best}, by {behind / spread:.1f} spreads"


def tables(records: list[dict[str, Any]]) -> str:
    """Test figures of all methods, learning curves, then what the methods cost."""
    value = mean_and_spread(records, ("set", "method", "examples"), "value")
    whole = [
        [
            benchmark.name,
            benchmark.metric,
            *(value.get((benchmark.name, name, None), "") for name in METHODS),
            standing(records, benchmark.name),
        ]
        for benchmark in SETS
    ]
    examples = max(FEW_SHOT.values(), key=len)
    few = [
        [name, method, *(value.get((name, method, n), "") for n in (*examples, None))]
        for name in FEW_SHOT
        for method in ON_ALL
    ]
    of_four = [record for record in records if record["set"] in ON_FOUR and record["examples"] is None]
    seconds, parameters = (mean_and_spread(of_four, ("method",), name) for name in ("seconds", "millions"))
    cost = [[name, parameters.get((name,), ""), seconds.get((name,), "")] for name in METHODS]
    return "\n\n".join(
        (
            markdown_table(["set", "test figure", *METHODS, "best"], whole),
            markdown_table(["set", "method", *(f"{n} a class" for n in examples), "the sample"], few),
            markdown_table([f"mean over {', '.join(ON_FOUR)}", "parameters (millions)", "training seconds"], cost),
        )
    )


def main() -> None:
    """Run what is missing and write the tables."""
    records = records_asked_for(__doc__, FILE, keys(), run)
    text = tables(records)
    note = (
        f"Mean ± standard deviation over the seeds on file ({', '.join(map(str, SEEDS))} when complete). cola and rte: "
        f"their dev file, which nothing was tuned on. Seconds: one thread beside another run."
    )
    write_table(FILE, __doc__, records, text, note)


if __name__ == "__main__":
    main()
