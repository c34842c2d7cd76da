"""The data sets of the benchmarks: where they lie, their columns, the reported figure, the rows that are used."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from enct5.assets import demo_data
from enct5.data import reading
from enct5.data.columns import read_texts
from enct5.tasks.base import Task
from enct5.tasks.labelled import label_values

DATA = Path(os.environ.get("ENCT5_DATA", Path(__file__).parents[2] / "shared" / "data"))
SAMPLE_SEED = 0


@dataclass(frozen=True)
class Benchmark:
    """One data set.

    Attributes:
        name: what tables call it.
        train: training file, below `DATA` or absolute; a part of it is held out for early stopping.
        test: file that is measured, never trained or tuned on.
        text: text columns.
        label: label column.
        metric: the figure of `enct5 evaluate` that is reported.
        rows: size of the fixed random sample of the training file; `None` for all of it.
        epochs: passes over the training data; `None` for the default of `enct5 train`.
        max_length: tokens kept of a text; `None` for the default of `enct5 train`.
    """

    name: str
    train: str
    test: str
    text: tuple[str, ...]
    label: str
    metric: str = "accuracy"
    rows: int | None = None
    epochs: float | None = None
    max_length: int | None = None


CLASSIFICATION = (
    Benchmark("snips", "snips/train.jsonl", "snips/test.jsonl", ("text",), "intent"),
    Benchmark("banking77", "banking77/train.csv", "banking77/test.csv", ("text",), "category"),
    Benchmark("sst2", "sst2/train.csv", "sst2/test.csv", ("sentence",), "label", rows=10_000),
    Benchmark("clinc150", "clinc150/train.csv", "clinc150/test.csv", ("text",), "intent"),
    Benchmark("cola", "cola/train.csv", "cola/dev.csv", ("sentence",), "label", metric="matthews_correlation"),
    Benchmark("rte", "rte/train.csv", "rte/dev.csv", ("sentence1", "sentence2"), "label"),
)

GOEMOTIONS = Benchmark(
    *("goemotions", "goemotions/train.jsonl", "goemotions/test.jsonl", ("text",), "labels"),
    metric="macro_f1",
    rows=10_000,
)
STSB = Benchmark("stsb", "stsb/train.csv", "stsb/test.csv", ("sentence1", "sentence2"), "score", metric="pearson")
MOVIE_REVIEWS = Benchmark("movie_reviews", "movie_reviews/train.jsonl", "movie_reviews/test.jsonl", ("text",), "label")
WNUT17 = Benchmark("wnut17", "wnut17/train.jsonl", "wnut17/test.jsonl", ("tokens",), "tags", metric="entity_f1")
SNIPS_SLOTS = Benchmark(
    "snips slots", "snips/train.jsonl", "snips/test.jsonl", ("text",), "entities", metric="entity_f1", rows=4000
)
DEMO = Benchmark("demo", str(demo_data("train")), str(demo_data("test")), ("text",), "intent")


def command(benchmark: Benchmark) -> str:
    """What a user would type for a run."""
    epochs = "" if benchmark.epochs is None else f" --epochs {benchmark.epochs:g}"
    sample = "" if benchmark.rows is None else f"  # a fixed sample of {benchmark.rows} rows"
    return (
        f"enct5 train {benchmark.train} --text {','.join(benchmark.text)} --label {benchmark.label}"
        f"{epochs} --seed SEED{sample}"
    )


def _classes(value: Any) -> list[Any]:
    """The classes that a cell of a label column names: none where it holds a number to predict."""
    values = value if isinstance(value, list) else [value]
    names = [one["label"] if isinstance(one, dict) else one for one in values]
    return [name for name in names if isinstance(name, (str, int))]


def read_training_rows(benchmark: Benchmark, rows: int | None = None, also: Sequence[str] = ()) -> Dataset:
    """The training table, or the fixed random sample of it, which has a row of every class at least.

    Args:
        benchmark: whose.
        rows: of the sample, where they are not the benchmark's.
        also: columns beside texts and label.
    """
    table = reading.read_table(str(DATA / benchmark.train))
    table = table.select_columns([*benchmark.text, benchmark.label, *also])
    rows = rows or benchmark.rows
    if rows is None or rows >= len(table):
        return table
    order = np.random.default_rng(SAMPLE_SEED).permutation(len(table)).tolist()
    labels = table[benchmark.label][:]
    known: set[Any] = set()
    firsts = []
    for row in order:
        if new := set(_classes(labels[row])) - known:
            known |= new
            firsts.append(row)
    taken = set(firsts)
    return table.select(sorted([*firsts, *(row for row in order if row not in taken)][:rows]))


def examples_of_each_class(table: Dataset, label: str, examples: int, seed: int) -> Dataset:
    """So many rows of every class (all of a class that has fewer), drawn by the seed, in their old order.

    A row of several labels counts for each of them, and is taken where one of them lacks rows.
    """
    labels = table[label][:]
    counts: Counter[Any] = Counter()
    taken = []
    for row in np.random.default_rng(seed).permutation(len(table)).tolist():
        classes = _classes(labels[row])
        if any(counts[name] < examples for name in classes):
            counts.update(classes)
            taken.append(row)
    return table.select(sorted(taken))


def test_file(benchmark: Benchmark) -> str:
    """Path of the file that is measured."""
    return str(DATA / benchmark.test)


def test_rows(benchmark: Benchmark, task: Task, names: list[str]) -> tuple[list[Any], Any]:
    """Texts of the file that is measured, and their labels as the task encodes them."""
    table = reading.read_table(test_file(benchmark))
    values = label_values(table, benchmark.label, task, text=benchmark.text)
    return read_texts(table, benchmark.text), task.encode(values, {name: i for i, name in enumerate(names)})


def write_training_file(benchmark: Benchmark, folder: Path, rows: int | None = None, also: Sequence[str] = ()) -> str:
    """Write what `read_training_rows` gives where `enct5 train` can read it; returns the path."""
    path = folder / "rows.parquet"
    read_training_rows(benchmark, rows, also).to_parquet(str(path))
    return str(path)
