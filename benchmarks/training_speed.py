"""Training speed and quality: batches of like length (the default) against fixed-size random padded batches.

    python benchmarks/training_speed.py            (writes results/training_speed.jsonl and .md)

Speed: text tokens a second over one epoch of 1,500 sst2 training sentences, forward, backward and optimiser as `enct5
train` runs them, the two sides interleaved in one process. Quality: held-out accuracy after 5 epochs of 2,000 rows.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from enct5.training.data import prepare, read_rows
from enct5.training.model_init import build_model
from records import RESULTS, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import CLASSIFICATION, write_training_file
from training_runs import train

REPETITIONS, SPEED_ROWS = 5, 1500
SEEDS, QUALITY_ROWS, EPOCHS = (1, 2, 3), 2000, 5
SETS = tuple(benchmark for benchmark in CLASSIFICATION if benchmark.name in ("sst2", "banking77"))
SIDES = ("random", "like length")
FILE = RESULTS / "training_speed.jsonl"


def trainer_class(side: str) -> type:
    """The trainer of `enct5 train`, or the same with the stock Trainer's random batches."""
    from alternatives import RandomBatches
    from enct5.training.trainer import EncT5Trainer

    return EncT5Trainer if side == "like length" else RandomBatches


def seconds_an_epoch(side: str, file: str, folder: Path, seed: int) -> tuple[float, int]:
    """Time of one epoch without evaluation, and the text tokens in it."""
    from transformers import AutoTokenizer, DataCollatorWithPadding, TrainingArguments

    from enct5.assets import bundled_t5
    from enct5.training.config import TrainConfig

    tokenizer = AutoTokenizer.from_pretrained(bundled_t5())
    config = TrainConfig.checked(data=file, text=("sentence",), label="label", out=str(folder))
    prepared = prepare(config, read_rows(config), tokenizer)
    model = build_model(str(bundled_t5()), prepared.task, prepared.label_names)
    trainer = trainer_class(side)(
        model,
        TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=1,
            per_device_train_batch_size=config.batch_size,
            learning_rate=1e-2,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=seed,
        ),
        train_dataset=prepared.train,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    started = time.perf_counter()
    trainer.train()
    return time.perf_counter() - started, sum(prepared.train["length"])


def measure_speed() -> dict[str, Any]:
    """Both sides in turn, after a warm-up of each."""
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = write_training_file(next(b for b in SETS if b.name == "sst2"), folder, SPEED_ROWS)
        for repetition in range(REPETITIONS + 1):
            for side in SIDES:
                seconds, tokens = seconds_an_epoch(side, file, folder / "run", repetition)
                if repetition:
                    rates[side].append(tokens / seconds)
    ratios = [fast / slow for slow, fast in zip(rates["random"], rates["like length"], strict=True)]
    return {
        "tokens_per_second": {side: round(statistics.median(values), 1) for side, values in rates.items()},
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


def run(key: dict[str, Any]) -> dict[str, Any]:
    """The speed of both sides, or the held-out accuracy of one training run."""
    if key["measure"] == "speed":
        return measure_speed()
    benchmark = next(benchmark for benchmark in SETS if benchmark.name == key["set"])
    parts = {"trainer_class": trainer_class(key["batches"])}
    with tempfile.TemporaryDirectory() as temporary:
        _, record = train(benchmark, Path(temporary), key["seed"], QUALITY_ROWS, parts, epochs=EPOCHS, patience=100)
    return {"value": record["metrics"]["accuracy"], "seconds": record["seconds"]}


def main() -> None:
    """Run what is missing and write the tables."""
    runs = [
        {"measure": "accuracy", "set": b.name, "batches": side, "seed": seed}
        for seed in SEEDS
        for b in SETS
        for side in SIDES
    ]
    records = records_asked_for(__doc__, FILE, [{"measure": "speed"}, *runs], run)
    value = mean_and_spread([r for r in records if r["measure"] == "accuracy"], ("set", "batches"), "value")
    rows = [[b.name, *(value.get((b.name, side), "") for side in SIDES)] for b in SETS]
    table = markdown_table(["held-out accuracy", *SIDES], rows)
    notes = [
        f"Speed: {r['ratio_median']} times as many text tokens a second ({r['ratio_min']} to {r['ratio_max']}, "
        f"{REPETITIONS} repetitions): {r['tokens_per_second']}."
        for r in records
        if r["measure"] == "speed"
    ]
    write_table(FILE, __doc__, records, table, "\n".join([*notes, "Mean ± standard deviation over the seeds on file."]))


if __name__ == "__main__":
    main()
