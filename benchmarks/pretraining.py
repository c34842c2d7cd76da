"""What the bundled T5 is worth beside random weights and an earlier one, and what its vocabulary and corpus decide.

    python benchmarks/pretraining.py            (writes results/pretraining.jsonl and .md)

Each T5 starts `enct5 train` on 2,000 rows, 4 epochs, three seeds; figures of 2,000 other training rows of banking77 and
of sst2's dev file. (sst2's own training rows stand in the movie reviews of the corpus, which are read by one variant
alone.) Vocabularies and corpora are compared after 600 steps of scripts/pretrain_t5.py, a seventh of what the bundled
T5 had; the loss is of held-out paragraphs, in nats a target token, and says something for one vocabulary only.
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
from sets import CLASSIFICATION, DATA
from training_runs import train

ROOT = Path(__file__).parents[1]
CORPUS = Path(os.environ.get("ENCT5_CORPUS", ROOT.parent / "shared" / "corpus"))
FILES = ("books", "web", "masc", "speeches", "reviews_products")
MOVIES = "reviews_movies_OVERLAPS_SST2"
STEPS = 600
SEEDS = (1, 2, 3)
BANKING77, SST2 = (
    replace(benchmark, rows=2000, epochs=4) for benchmark in CLASSIFICATION if benchmark.name in ("banking77", "sst2")
)
FILE = RESULTS / "pretraining.jsonl"
PRETRAINING = "pretraining.json"


@dataclass(frozen=True)
class Pretraining:
    """A short run of scripts/pretrain_t5.py."""

    vocab_size: int = 8192
    files: tuple[str, ...] = FILES

    def __call__(self, out: Path) -> None:
        """Write the T5 to `out`."""
        files = [str(CORPUS / f"{name}.txt.xz") for name in self.files]
        options = f"--steps {STEPS} --vocab-size {self.vocab_size} --compile --out".split()
        subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "pretrain_t5.py"), *files, *options, str(out)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )


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
    "8,192 tokens": Pretraining(),
    "4,096 tokens": Pretraining(vocab_size=4096),
    "16,384 tokens": Pretraining(vocab_size=16384),
    "8,192 tokens, movie reviews, too": Pretraining(files=(*FILES, MOVIES)),
}


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record: a T5's loss, and what three seeds of fine-tuning make of it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = folder / "t5"
        BASES[key["base"]](base)
        record: dict[str, Any] = {}
        if (base / PRETRAINING).exists():
            loss = json.loads((base / PRETRAINING).read_text(encoding="utf-8"))["held_out_loss"]
            record["loss"] = loss["spans"] if isinstance(loss, dict) else loss
        measured_on = {BANKING77: write_other_rows(BANKING77, folder), SST2: str(DATA / "sst2" / "dev.csv")}
        for benchmark, file in measured_on.items():
            record[benchmark.name] = []
            for seed in SEEDS:
                with tempfile.TemporaryDirectory() as own:
                    predictor, trained = train(benchmark, Path(own), seed, base=str(base))
                record[benchmark.name].append(evaluate(predictor, file)["metrics"]["accuracy"])
                record["parameters"] = trained["parameters"]
        return record


def main() -> None:
    """Run what is missing and write the table."""
    keys = [{"base": name, **(T5 if base is bundled else {})} for name, base in BASES.items()]
    records = sorted(records_asked_for(__doc__, FILE, keys, run), key=lambda record: list(BASES).index(record["base"]))
    sets = (BANKING77.name, SST2.name)
    figures = [
        {"base": record["base"], "set": name, "value": value}
        for record in records
        for name in sets
        for value in record[name]
    ]
    value = mean_and_spread(figures, ("base", "set"), "value")
    rows = [
        [
            record["base"],
            f"{record['parameters'] / 1e6:.1f}",
            f"{record['loss']:.3f}" if "loss" in record else "",
            *(value[record["base"], name] for name in sets),
        ]
        for record in records
    ]
    head = ["T5", "parameters of the classifier (millions)", "loss", "banking77, accuracy", "sst2, accuracy"]
    note = "Mean ± standard deviation over three seeds of fine-tuning; every T5 was made once."
    write_table(FILE, __doc__, records, markdown_table(head, rows), note)


if __name__ == "__main__":
    main()
