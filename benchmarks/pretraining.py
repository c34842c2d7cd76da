"""What the bundled T5 is worth beside random weights and others: less training, twice as much, vocabularies, corpora.

    python benchmarks/pretraining.py            (writes results/pretraining.jsonl and .md)

Each T5 starts `enct5 train` on 2,000 rows (4 epochs, three seeds) and on a few of them (8 or 32 of every class, default
epochs, five seeds, which also draw the few). Accuracy on 2,000 other training rows; on sst2's dev file, as its training
rows stand in the movie reviews of the corpus, which one variant reads. Vocabularies and corpora are compared after 600
steps of scripts/pretrain_t5.py; the bundled T5 had 4,000. The loss is of held-out paragraphs, in nats a target token,
and says something for one vocabulary only. T5s that were made stay in runs/pretraining.
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

from filelock import FileLock
from transformers import T5Config, T5ForConditionalGeneration, set_seed

from enct5.assets import bundled_t5
from enct5.evaluation import evaluate
from fine_tuning import write_other_rows
from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import CLASSIFICATION, DATA, examples_of_each_class, read_training_rows
from training_runs import train

ROOT = Path(__file__).parents[1]
CORPUS = Path(os.environ.get("ENCT5_CORPUS", ROOT.parent / "shared" / "corpus"))
FILES = ("books", "web", "masc", "speeches", "reviews_products")
MOVIES = "reviews_movies_OVERLAPS_SST2"
MADE = ROOT / "runs" / "pretraining"
SETS = {benchmark.name: replace(benchmark, rows=2000, epochs=4) for benchmark in CLASSIFICATION}
# Set, examples of every class (`None`: all rows of the sample), seeds.
MEASURED = (
    ("banking77", None, (1, 2, 3)),
    ("sst2", None, (1, 2, 3)),
    ("snips", 8, (1, 2, 3, 4, 5)),
    ("sst2", 32, (1, 2, 3, 4, 5)),
)
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
    MADE.mkdir(parents=True, exist_ok=True)
    with FileLock(MADE / f"{name}.lock"):
        if not folder.exists():
            shutil.rmtree(partial, ignore_errors=True)
            BASES[name](partial)
            partial.rename(folder)
    return folder


def size_and_loss(base: Path) -> dict[str, float]:
    """Millions of parameters, and the loss of pre-training."""
    facts = {"millions": T5ForConditionalGeneration.from_pretrained(base).num_parameters() / 1e6}
    if (base / PRETRAINING).exists():
        loss = json.loads((base / PRETRAINING).read_text(encoding="utf-8"))["held_out_loss"]
        facts["loss"] = loss["spans"] if isinstance(loss, dict) else loss
    return facts


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record: a T5, and what a classifier that starts from it gets right of the rows to measure on."""
    base, benchmark, seed = made(key["base"]), SETS[key["set"]], key["seed"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dev = DATA / "sst2" / "dev.csv"
        measured_on = str(dev) if benchmark.name == "sst2" else write_other_rows(benchmark, folder)
        few: dict[str, Any] = {}
        if key["examples"] is not None:
            rows = examples_of_each_class(read_training_rows(benchmark), benchmark.label, key["examples"], seed)
            few = {"data": str(folder / "few.parquet"), "epochs": None}
            rows.to_parquet(few["data"])
        predictor, _ = train(benchmark, folder, seed, base=str(base), **few)
        return {**size_and_loss(base), "value": evaluate(predictor, measured_on)["metrics"]["accuracy"]}


def keys() -> list[dict[str, Any]]:
    """All runs."""
    return [
        {"base": base, "set": name, "examples": examples, "seed": seed, **(T5 if make is bundled else {})}
        for base, make in BASES.items()
        for name, examples, seeds in MEASURED
        for seed in seeds
    ]


def main() -> None:
    """Run what is missing and write the table."""
    records = records_asked_for(__doc__, FILE, keys(), run)
    value = mean_and_spread(records, ("base", "set", "examples"), "value")
    facts = {record["base"]: record for record in records}
    rows = [
        [
            base,
            f"{facts[base]['millions']:.1f}",
            f"{facts[base]['loss']:.3f}" if "loss" in facts[base] else "",
            *(value.get((base, name, examples), "") for name, examples, _ in MEASURED),
        ]
        for base in BASES
        if base in facts
    ]
    columns = [name if examples is None else f"{name}, {examples} a class" for name, examples, _ in MEASURED]
    head = ["T5", "parameters (millions)", "loss", *columns]
    note = "Mean ± standard deviation over the seeds of fine-tuning; every T5 was made once."
    write_table(FILE, __doc__, records, markdown_table(head, rows), note)


if __name__ == "__main__":
    main()
