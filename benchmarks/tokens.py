"""Entity F1 of `enct5 train` on test files: a linear head against a decoder that reads the text's own tokens.

    python benchmarks/tokens.py            (writes results/tokens.jsonl and .md)

wnut17 (six kinds of entities in messages, lists of words) and the slots of snips (39 kinds, offsets in characters, a
fixed sample of the training rows), three seeds, defaults of `enct5 train`. The best checkpoint is chosen on rows held
out of the training file; test files are measured once. wnut17 is measured in words, as published figures are.
"""

import tempfile
from pathlib import Path
from typing import Any

from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import SNIPS_SLOTS, WNUT17, command
from training_runs import train_and_measure

SEEDS = (1, 2, 3)
HEADS = ("linear", "token decoder")
FILE = RESULTS / "tokens.jsonl"
SETS = (WNUT17, SNIPS_SLOTS)


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One run of `enct5 train` and one of `enct5 evaluate`."""
    benchmark = next(benchmark for benchmark in SETS if benchmark.name == key["set"])
    with tempfile.TemporaryDirectory() as temporary:
        record, measured = train_and_measure(
            benchmark, Path(temporary), key["seed"], token_decoder=key["head"] == "token decoder"
        )
    return {
        "value": measured["metrics"][benchmark.metric],
        "precision": measured["metrics"]["entity_precision"],
        "recall": measured["metrics"]["entity_recall"],
        "eval_value": record["metrics"][benchmark.metric],
        "seconds": record["seconds"],
        "steps": record["steps"],
        "parameters": record["parameters"],
        "train_rows": record["data"]["train_rows"],
        "test_rows": measured["rows"],
    }


def main() -> None:
    """Run what is missing and write the table."""
    keys = [
        {"set": benchmark.name, "head": head, "seed": seed, "metric": benchmark.metric, **T5}
        for seed in SEEDS
        for benchmark in SETS
        for head in HEADS
    ]
    records = records_asked_for(__doc__, FILE, keys, run)
    value, held_out, seconds = (
        mean_and_spread(records, ("set", "head"), name) for name in ("value", "eval_value", "seconds")
    )
    rows = [
        [
            benchmark.name,
            head,
            *(column.get((benchmark.name, head), "") for column in (value, held_out, seconds)),
            f"`{command(benchmark)}`",
        ]
        for benchmark in SETS
        for head in HEADS
    ]
    table = markdown_table(["set", "head", "test entity F1", "held-out entity F1", "seconds", "command"], rows)
    seeds = ", ".join(map(str, SEEDS))
    note = f"Mean ± standard deviation over the seeds on file ({seeds} when complete). Token decoder: --token-decoder."
    write_table(FILE, __doc__, records, table, note)


if __name__ == "__main__":
    main()
