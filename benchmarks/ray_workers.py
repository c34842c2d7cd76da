"""Two workers of Ray against one: how much sooner `predict_dataset` is done with a table.

    python benchmarks/ray_workers.py             (writes results/ray_workers.jsonl and .md; extra `ray`)

The bundled T5, untrained beyond its encoder, with the demo's 12 intents as labels, predicts for 120,000 rows (or
`--rows`) in eight Parquet files: the demo's training messages over and over, each with a number of its own. A worker is
an actor of one CPU and one thread; on two cores the second one's is also that of reading and writing. One and two
workers take turns, each on a Ray of its own, which is started before the clock is: seconds are those of the whole call,
in which files are checked, actors started, and at the end all rows are looked for. A ratio is that of a repetition.
"""

import tempfile
import time
from pathlib import Path
from statistics import median, stdev
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from enct5 import EncT5ForSequenceClassification
from enct5.assets import bundled_t5, demo_data
from enct5.data.reading import read_table
from enct5.model.loading import load_tokenizer
from records import RESULTS, T5, benchmark_parser, markdown_table, run_missing, with_keys, write_table

FILE = RESULTS / "ray_workers.jsonl"
ROWS, FILES, LABELS = 120_000, 8, 12
REPETITIONS = (1, 2, 3)
WORKERS = (1, 2)


def write_data(folder: Path, rows: int) -> None:
    """Files of as many rows together."""
    messages = read_table(str(demo_data("train")))["text"][:]
    folder.mkdir()
    for number in range(FILES):
        texts = [f"{messages[row % len(messages)]} {row}" for row in range(number, rows, FILES)]
        pa.parquet.write_table(pa.table({"text": texts}), folder / f"{number}.parquet")


def run(key: dict[str, Any]) -> dict[str, Any]:
    """Seconds of one call."""
    import ray

    from enct5.ray import predict_dataset

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        EncT5ForSequenceClassification.from_t5(str(bundled_t5()), LABELS).save_pretrained(folder / "model")
        load_tokenizer(str(bundled_t5())).save_pretrained(folder / "model")
        write_data(folder / "data", key["rows"])
        ray.init(num_cpus=max(WORKERS), include_dashboard=False, log_to_driver=False)
        try:
            started = time.perf_counter()
            rows = predict_dataset(
                str(folder / "model"),
                str(folder / "data"),
                str(folder / "out"),
                text="text",
                compute=ray.data.ActorPoolStrategy(size=key["workers"]),
                num_cpus=1,
                device="cpu",
            )
            seconds = time.perf_counter() - started
        finally:
            ray.shutdown()
    assert rows == key["rows"]
    return {"seconds": round(seconds, 1), "ray": ray.__version__}


def main() -> None:
    """Run what is missing, one at a time, and write the table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="of the table")
    parser.set_defaults(jobs=1)  # two at a time would be no measurement
    arguments = parser.parse_args()
    keys = [
        {"workers": workers, "repetition": repetition, "rows": arguments.rows, **T5}
        for repetition in REPETITIONS
        for workers in WORKERS
    ]
    records = with_keys(FILE, keys) if arguments.table else run_missing(FILE, keys, run, arguments.jobs)
    seconds = {
        workers: {one["repetition"]: one["seconds"] for one in records if one["workers"] == workers}
        for workers in WORKERS
    }
    rows = [
        [
            str(workers),
            f"{median(own.values()):.1f}" + (f" ± {stdev(own.values()):.1f}" if len(own) > 1 else ""),
            f"{arguments.rows / median(own.values()):,.0f}",
        ]
        for workers, own in seconds.items()
        if own
    ]
    one, two = seconds.values()
    ratios = sorted(one[repetition] / two[repetition] for repetition in one.keys() & two.keys())
    note = f"{arguments.rows:,} rows. Seconds: median ± standard deviation."
    if ratios:
        note += f" Two workers are {median(ratios):.2f} times as fast as one ({ratios[0]:.2f} to {ratios[-1]:.2f})."
    table = markdown_table(["workers", "seconds", "rows a second"], rows)
    write_table(FILE, __doc__, records, table, note)


if __name__ == "__main__":
    main()
