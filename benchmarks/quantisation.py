"""What approximate arithmetic costs a trained model: bfloat16 and int8 against float32.

    python benchmarks/quantisation.py            (writes results/quantisation.jsonl and .md)

One `enct5 train` for every set and seed, 5 epochs of a fixed sample of 2,000 rows; then its test file with each
arithmetic. Agreement: the share of test texts that get the label they get in float32. int8 is dynamic: weights and
inputs in 8 bits (`quantize="int8"`); int8 weights: only they are rounded, to 255 steps a row, which saves memory alone.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from enct5.data.reading import read_table
from enct5.inference.predictor import Predictor
from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import CLASSIFICATION, test_file
from training_runs import train

SEEDS, EPOCHS, ROWS = (1, 2, 3), 5, 2000
SETS = tuple(benchmark for benchmark in CLASSIFICATION if benchmark.name in ("banking77", "sst2", "snips"))
WAYS: dict[str, dict[str, str]] = {
    "float32": {"dtype": "float32"},
    "bfloat16": {"dtype": "bfloat16"},
    "int8": {"quantize": "int8"},
    "int8 weights": {"dtype": "float32"},
}
FILE = RESULTS / "quantisation.jsonl"


@torch.no_grad()
def round_weights(model: nn.Module) -> None:
    """Give every matrix the values that it would have in 8 bits, with one scale a row."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            scale = module.weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
            module.weight.copy_((module.weight / scale).round() * scale)


def predict(folder: Path, way: str, texts: list[str]) -> np.ndarray:
    """The labels that a trained model gives with an arithmetic."""
    predictor = Predictor.from_pretrained(folder, device="cpu", **WAYS[way])
    if way == "int8 weights":
        assert isinstance(predictor.model, nn.Module)
        round_weights(predictor.model)
    return np.array([record["label"] for record in predictor.predict(texts)])


def run(key: dict[str, Any]) -> dict[str, Any]:
    """Accuracy and agreement of every arithmetic, of one trained model."""
    benchmark = next(benchmark for benchmark in SETS if benchmark.name == key["set"])
    table = read_table(test_file(benchmark))
    texts, labels = table[benchmark.text[0]][:], np.array([str(label) for label in table[benchmark.label][:]])
    with tempfile.TemporaryDirectory() as temporary:
        train(benchmark, Path(temporary), key["seed"], ROWS, epochs=EPOCHS)
        folder = Path(temporary) / "run"
        predicted = {way: predict(folder, way, texts) for way in WAYS}
    return {
        **{way: float((found == labels).mean()) for way, found in predicted.items()},
        **{f"{way} agrees": float((found == predicted["float32"]).mean()) for way, found in predicted.items()},
    }


def main() -> None:
    """Run what is missing and write the table."""
    keys = [{"set": benchmark.name, "seed": seed, **T5} for seed in SEEDS for benchmark in SETS]
    records = records_asked_for(__doc__, FILE, keys, run)
    accuracy = {way: mean_and_spread(records, ("set",), way) for way in WAYS}
    agreement = {way: mean_and_spread(records, ("set",), f"{way} agrees") for way in WAYS}
    rows = [
        [name, *(accuracy[way][name,] for way in WAYS), *(agreement[way][name,] for way in list(WAYS)[1:])]
        for name in dict.fromkeys(record["set"] for record in records)
    ]
    head = ["set", *(f"accuracy, {way}" for way in WAYS), *(f"{way} agrees" for way in list(WAYS)[1:])]
    write_table(FILE, __doc__, records, markdown_table(head, rows), "Mean ± standard deviation over the seeds on file.")


if __name__ == "__main__":
    main()
