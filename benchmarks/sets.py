"""The data sets of the benchmarks: where they lie, their columns, the reported figure, the rows that are used."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from enct5 import data
from records import PAIRS_T5, T5

DATA = Path(os.environ.get("ENCT5_DATA", Path(__file__).parents[2] / "shared" / "data"))
SAMPLE_SEED = 0


@dataclass(frozen=True)
class Benchmark:
    """One data set.

    Attributes:
        name: its folder below `DATA`.
        train: training file; a part of it is held out for early stopping.
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

    @property
    def t5(self) -> dict[str, str]:
        """Part of the key of a run that starts from the bundled T5."""
        return PAIRS_T5 if len(self.text) == 2 else T5


CLASSIFICATION = (
    Benchmark("snips", "train.jsonl", "test.jsonl", ("text",), "intent"),
    Benchmark("banking77", "train.csv", "test.csv", ("text",), "category"),
    Benchmark("sst2", "train.csv", "test.csv", ("sentence",), "label", rows=10_000),
    Benchmark("clinc150", "train.csv", "test.csv", ("text",), "intent"),
    Benchmark("cola", "train.csv", "dev.csv", ("sentence",), "label", metric="matthews_correlation"),
    Benchmark("rte", "train.csv", "dev.csv", ("sentence1", "sentence2"), "label"),
)

GOEMOTIONS = Benchmark("goemotions", "train.jsonl", "test.jsonl", ("text",), "labels", metric="macro_f1", rows=10_000)
STSB = Benchmark("stsb", "train.csv", "test.csv", ("sentence1", "sentence2"), "score", metric="pearson")
MOVIE_REVIEWS = Benchmark("movie_reviews", "train.jsonl", "test.jsonl", ("text",), "label")
WNUT17 = Benchmark("wnut17", "train.jsonl", "test.jsonl", ("tokens",), "tags", metric="entity_f1")


def read_training_rows(benchmark: Benchmark, rows: int | None = None) -> Dataset:
    """The training table, or the fixed sample of it."""
    table = data.read_table(str(DATA / benchmark.name / benchmark.train))
    table = table.select_columns([*benchmark.text, benchmark.label])
    rows = rows or benchmark.rows
    if rows is None or rows >= len(table):
        return table
    chosen = np.random.default_rng(SAMPLE_SEED).permutation(len(table))[:rows]
    return table.select(np.sort(chosen))


def examples_of_each_class(table: Dataset, label: str, examples: int, seed: int) -> Dataset:
    """So many rows of every class (all of a class that has fewer), drawn by the seed, in their old order."""
    order = np.random.default_rng(seed).permutation(len(table))
    taken: dict[Any, list[int]] = {}
    for row, value in zip(order.tolist(), np.array(table[label][:])[order].tolist(), strict=True):
        if len(rows := taken.setdefault(value, [])) < examples:
            rows.append(row)
    return table.select(sorted(row for rows in taken.values() for row in rows))


def test_file(benchmark: Benchmark) -> str:
    """Path of the file that is measured."""
    return str(DATA / benchmark.name / benchmark.test)


def write_training_file(benchmark: Benchmark, folder: Path, rows: int | None = None) -> str:
    """Write the training rows where `enct5 train` can read them; returns the path."""
    path = folder / f"{benchmark.name}.parquet"
    read_training_rows(benchmark, rows).to_parquet(str(path))
    return str(path)
