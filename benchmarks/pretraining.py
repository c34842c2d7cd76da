"""What the bundled T5 is worth beside random weights and others: less training, twice as much, vocabularies, corpora.

    python benchmarks/pretraining.py            (writes results/pretraining.jsonl and .md)

Each T5 starts `enct5 train` on 2,000 rows (4 epochs) and on a few of them (8 or 32 of every class, default epochs),
five seeds, which also draw the few; figures of 2,000 other training rows, of sst2 of the dev file. (sst2's own training
rows stand in the movie reviews of the corpus, which are read by one variant alone.) Vocabularies and corpora are
compared after 600 steps of scripts/pretrain_t5.py; the bundled T5 had 4,000. The loss is of held-out paragraphs, in
nats a target token, and says something for one vocabulary only. T5s that were made stay in runs/pretraining.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import T5Config, T5ForConditionalGeneration, set_seed

from enct5.assets import bundled_t5
from enct5.evaluation import evaluate
from fine_tuning import write_other_rows
from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import CLASSIFICATION, DATA, Benchmark, examples_of_each_class, read_training_rows
from training_runs import train

ROOT = Path(__file__).parents[1]
CORPUS = Path(os.environ.get("ENCT5_CORPUS", ROOT.parent / "shared" / "corpus"))
FILES = ("books", "web", "masc", "speeches", "reviews_products")
MOVIES = "reviews_movies_OVERLAPS_SST2"
MADE = ROOT / "runs" / "pretraining"
SEEDS = (1, 2, 3, 4, 5)
SETS = {benchmark.name: replace(benchmark, rows=2000, epochs=4) for benchmark in CLASSIFICATION}
# Set, and examples of every class (`None`: all rows of the sample).
MEASURED = (("banking77", None), ("sst2", None), ("snips", 8), ("sst2", 32))
FILE = RESULTS / "pretraining.jsonl"
PRETRAINING = "pretraining.json"


@dataclass(frozen=True)
class Pretraining:
    """A run of scripts/pretrain_t5.py."""

    vocab_size: int = 8192
    steps: int = 600
    files: tuple[str, ...] = FILES

    def __call__(self, out: Path) -> None:
        """Write the T5 to `out`."""
        files = [str(CORPUS / f"{name}.txt.xz") for name in self.files]
        options = f"--steps {self.steps} --vocab-size {self.vocab_size} --compile --out".split()
        subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "pretrain_t5.py"), *files, *options, str(out)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        shutil.rmtree(out / "training")


def bundled(out: Path) -> None:
    """The bundled T5."""
    shutil.copytree(bundled_t5(pairs=False), out)


def earlier(out: Path) -> None:
    """The T5 that was bundled before attention started near its neighbours, from the repository's history."""
    path = bundled_t5(pairs=False).relative_to(ROOT)
    archive = subprocess.run(["git", "archive", f"9f3d5b2~1:{path}"], cwd=ROOT, capture_output=True, check=True).stdout
    out.mkdir()
    subprocess.run(["tar", "-x", "-C", str(out)], input=archive, check=True)


def random_weights(out: Path) -> None:
    """The bundled T5's shape and tokenizer, with T5's own initialisation."""
    bundled(out)
    (out / PRETRAINING).unlink()  # not theirs
    set_seed(0)
    T5ForConditionalGeneration(T5Config.from_pretrained(out)).save_pretrained(out)


BASES = {
    "bundled": bundled,
    "random weights": random_weights,
    "bundled earlier": earlier,
    "8,192 tokens, 8,000 steps": Pretraining(steps=8000),
    "8,192 tokens": Pretraining(),
    "4,096 tokens": Pretraining(vocab_size=4096),
    "16,384 tokens": Pretraining(vocab_size=16384),
    "8,192 tokens, movie reviews, too": Pretraining(files=(*FILES, MOVIES)),
}


def made(name: str) -> Path:
    """The folder of a T5, which is made where it is not there yet."""
    folder, partial = MADE / name, MADE / f"{name}.partial"
    if not folder.exists():
        shutil.rmtree(partial, ignore_errors=True)
        MADE.mkdir(parents=True, exist_ok=True)
        BASES[name](partial)
        partial.rename(folder)
    return folder


def accuracy(base: Path, benchmark: Benchmark, examples: int | None, seed: int) -> float:
    """What a classifier that starts from a T5 gets right of the rows to measure on."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        measured_on = (
            str(DATA / "sst2" / "dev.csv") if benchmark.name == "sst2" else write_other_rows(benchmark, folder)
        )
        few: dict[str, Any] = {}
        if examples is not None:
            rows = examples_of_each_class(read_training_rows(benchmark), benchmark.label, examples, seed)
            few = {"data": str(folder / "few.parquet"), "epochs": None}
            rows.to_parquet(few["data"])
        predictor, _ = train(benchmark, folder, seed, base=str(base), **few)
        return evaluate(predictor, measured_on)["metrics"]["accuracy"]


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record: a T5's size and loss, and what fine-tuning makes of it."""
    base = made(key["base"])
    parameters = T5ForConditionalGeneration.from_pretrained(base).num_parameters()
    record: dict[str, Any] = {"millions": parameters / 1e6}
    if (base / PRETRAINING).exists():
        loss = json.loads((base / PRETRAINING).read_text(encoding="utf-8"))["held_out_loss"]
        record["loss"] = loss["spans"] if isinstance(loss, dict) else loss
    for name, examples in MEASURED:
        record[measure(name, examples)] = [accuracy(base, SETS[name], examples, seed) for seed in SEEDS]
    return record


def measure(name: str, examples: int | None) -> str:
    """What a column of the table is called."""
    return name if examples is None else f"{name}, {examples} a class"


def main() -> None:
    """Run what is missing and write the table."""
    keys = [{"base": name, **(T5 if base is bundled else {})} for name, base in BASES.items()]
    records = sorted(records_asked_for(__doc__, FILE, keys, run), key=lambda record: list(BASES).index(record["base"]))
    columns = [measure(*measured) for measured in MEASURED]
    figures = [
        {"base": record["base"], "column": column, "value": value}
        for record in records
        for column in columns
        for value in record[column]
    ]
    value = mean_and_spread(figures, ("base", "column"), "value")
    rows = [
        [
            record["base"],
            f"{record['millions']:.1f}",
            f"{record['loss']:.3f}" if "loss" in record else "",
            *(value[record["base"], column] for column in columns),
        ]
        for record in records
    ]
    head = ["T5", "parameters (millions)", "loss", *columns]
    note = "Accuracy, mean ± standard deviation over five seeds of fine-tuning; every T5 was made once."
    write_table(FILE, __doc__, records, markdown_table(head, rows), note)


if __name__ == "__main__":
    main()
