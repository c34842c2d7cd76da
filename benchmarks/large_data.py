"""What training needs before its first step, by the number of rows: short random texts of 20 classes, in a CSV file.

    python benchmarks/large_data.py                (writes results/large_data.jsonl and .md)
    python benchmarks/large_data.py --rows 10000000     (another number of rows beside them)

The rows are read, checked, split and tokenised for the bundled T5, batches are made, and the first one is read. Each
number of rows has a process of its own. Its peak is that of resident memory, in which pages of mapped files count that
the system may take back at any time; "own memory" is what is left without these, when the first batch has been read;
a row's bytes are what a process has at its peak beyond what it has with its libraries and the tokenizer alone.
"""

import argparse
import csv
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from records import RESULTS, T5, in_a_fresh_process, markdown_table, read, run_missing, write_table

ROWS = (50_000, 200_000)
FILE = RESULTS / "large_data.jsonl"


def write_rows(path: Path, count: int) -> None:
    """A file of texts of 5 to 11 words, of 5,000 random ones."""
    import numpy as np

    random = np.random.default_rng(0)
    words = ["".join(random.choice([*"abcdefghijklmnopqrstuvwxyz"], length)) for length in random.integers(2, 9, 5000)]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for length, label in zip(random.integers(5, 12, count), random.integers(0, 20, count), strict=True):
            rows.writerow([" ".join(words[place] for place in random.integers(0, 5000, length)), f"class_{label}"])


def memory() -> dict[str, float]:
    """Peak, resident and own memory of this process, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmHWM", "VmRSS", "RssAnon"))}
    return {name: int(value) / 1024 for name, value in found.items()}


def measure(key: dict[str, Any]) -> dict[str, Any]:
    """What one number of rows needs, in this process."""
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        source = Path(folder) / "rows.csv"
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
            other.submit(write_rows, source, key["rows"]).result()
        return _measured(source, Path(folder) / "run", key["rows"])


def _measured(source: Path, out: Path, count: int) -> dict[str, Any]:
    import datasets  # noqa: F401  # libraries are no part of what rows need
    import pyarrow.parquet  # noqa: F401
    import sklearn.model_selection  # noqa: F401
    import torch

    from enct5.assets import bundled_t5
    from enct5.model.loading import load_tokenizer
    from enct5.training.config import TrainConfig
    from enct5.training.data import prepare
    from enct5.training.rows import read as read_rows
    from enct5.training.trainer import EncT5Trainer

    torch.set_num_threads(1)
    tokenizer = load_tokenizer(str(bundled_t5()))
    config = TrainConfig(data=str(source), text=("text",), label="label", out=str(out), max_length=512)
    before, started = memory(), time.process_time()
    rows = read_rows(config)
    reading = time.process_time() - started
    prepared = prepare(config, rows, tokenizer)
    trainer = EncT5Trainer.__new__(EncT5Trainer)  # without a model, which is as large with one row
    trainer.train_dataset = prepared.train
    trainer.args = argparse.Namespace(per_device_train_batch_size=32, world_size=1, seed=42)
    batch = next(iter(trainer._sampler()))
    prepared.train.select_columns(["input_ids", "labels"])[batch]
    now = memory()
    return {
        "peak_mib": round(now["VmHWM"]),
        "own_mib": round(now["RssAnon"]),
        "bytes_a_row": round((now["VmHWM"] - before["VmRSS"]) * 2**20 / count),
        "cpu_seconds_of_reading": round(reading, 1),
        "cpu_seconds": round(time.process_time() - started, 1),
    }


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record, measured in a fresh process."""
    return in_a_fresh_process(measure, key)


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only write the table of what is on file")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="numbers of rows")
    parser.add_argument("--code", default="now", help="what to call the code that is measured")
    arguments = parser.parse_args()
    keys = [{"code": arguments.code, "rows": count, **T5} for count in arguments.rows]
    records = read(FILE) if arguments.table else run_missing(FILE, keys, run, jobs=1)
    records.sort(key=lambda record: (record["code"], record["rows"]))
    names = ("peak_mib", "own_mib", "bytes_a_row", "cpu_seconds_of_reading", "cpu_seconds")
    rows = [
        [f"{record['rows']:,}", f"{record['code']} ({record['commit']})", *(f"{record[name]:,}" for name in names)]
        for record in records
    ]
    heads = [
        "rows",
        "code",
        "peak MiB",
        "own memory MiB",
        "bytes a row",
        "CPU seconds: reading",
        "until the first step",
    ]
    write_table(FILE, __doc__, records, markdown_table(heads, rows), "One thread, beside other work on the machine.")


if __name__ == "__main__":
    main()
