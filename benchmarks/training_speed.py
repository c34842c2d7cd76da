"""Training speed and quality: batches of like length (the default) against fixed-size random padded batches.

    python benchmarks/training_speed.py            (writes results/training_speed.jsonl and .md)

Speed: seconds of one epoch of 1,500 sst2 training sentences, forward, backward and optimiser as `enct5 train` runs
them on one thread, and of the encoder's matrix products alone (forward and backward, on the same tokens without
padding): the least that an epoch can take. All interleaved in one process. Quality: held-out accuracy after 5 epochs of
2,000 rows.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enct5.training.data import prepare, read_rows
from enct5.training.model_init import build_model
from enct5.training.sampler import TokenBatchSampler
from limit import MatrixProducts
from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, times_as_fast, write_table
from sets import CLASSIFICATION, write_training_file
from training_runs import train

REPETITIONS, SPEED_ROWS = 5, 1500
SEEDS, QUALITY_ROWS, EPOCHS = (1, 2, 3), 2000, 5
SETS = tuple(benchmark for benchmark in CLASSIFICATION if benchmark.name in ("sst2", "banking77"))
SIDES, LIMIT = ("random", "like length"), "limit"
FILE = RESULTS / "training_speed.jsonl"


def trainer_class(side: str) -> type:
    """The trainer of `enct5 train`, or the same with the stock Trainer's random batches."""
    from alternatives import RandomBatches
    from enct5.training.trainer import EncT5Trainer

    return EncT5Trainer if side == "like length" else RandomBatches


def trainer_of_an_epoch(side: str, file: str, folder: Path, seed: int) -> Any:
    """What trains one epoch, without evaluation."""
    from transformers import AutoTokenizer, DataCollatorWithPadding, TrainingArguments

    from enct5.assets import bundled_t5
    from enct5.training.config import TrainConfig

    tokenizer = AutoTokenizer.from_pretrained(bundled_t5())
    config = TrainConfig.checked(data=file, text=("sentence",), label="label", out=str(folder))
    prepared = prepare(config, read_rows(config), tokenizer)
    model = build_model(str(bundled_t5()), prepared.task, prepared.label_names)
    return trainer_class(side)(
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


def products_of_an_epoch(trainer: Any) -> Callable[[], None]:
    """What does the matrix products of a trainer's epoch of batches of like length, and nothing else."""
    args, lengths = trainer.args, trainer.train_dataset["length"][:]
    sampler = TokenBatchSampler(lengths, args.per_device_train_batch_size, args.seed)
    batches = [sum(lengths[row] for row in rows) for rows in sampler]
    products = MatrixProducts(trainer.model.transformer.encoder, max(batches))

    def train() -> None:
        for tokens in batches:
            products.train(tokens)

    return train


def measure_speed() -> dict[str, Any]:
    """Both sides and the limit in turn, after a warm-up of each."""
    seconds: dict[str, list[float]] = {name: [] for name in (*SIDES, LIMIT)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = write_training_file(next(b for b in SETS if b.name == "sst2"), folder, SPEED_ROWS)
        for repetition in range(REPETITIONS + 1):
            trainers = {side: trainer_of_an_epoch(side, file, folder / "run", repetition) for side in SIDES}
            epochs = {side: trainer.train for side, trainer in trainers.items()}
            for name, train_epoch in {**epochs, LIMIT: products_of_an_epoch(trainers["like length"])}.items():
                started = time.perf_counter()
                train_epoch()
                if repetition:
                    seconds[name].append(time.perf_counter() - started)
    return {"seconds": seconds}


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
        {"measure": "accuracy", "set": b.name, "batches": side, "seed": seed, **T5}
        for seed in SEEDS
        for b in SETS
        for side in SIDES
    ]
    records = records_asked_for(__doc__, FILE, [{"measure": "speed", **T5}, *runs], run)
    value = mean_and_spread([r for r in records if r["measure"] == "accuracy"], ("set", "batches"), "value")
    rows = [[b.name, *(value.get((b.name, side), "") for side in SIDES)] for b in SETS]
    table = markdown_table(["held-out accuracy", *SIDES], rows)
    notes = [
        f"Batches of like length: {times_as_fast(r, 'like length', 'random')} times as fast as random ones, and "
        f"at {times_as_fast(r, 'like length', LIMIT)} of the speed of the matrix products alone (medians, least and "
        "greatest)."
        for r in records
        if r["measure"] == "speed"
    ]
    write_table(FILE, __doc__, records, table, "\n".join([*notes, "Mean ± standard deviation over the seeds on file."]))


if __name__ == "__main__":
    main()
