"""Result files: one JSON line a run, with what it ran on; a run that is on file is not repeated."""

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
import transformers

from enct5.assets import bundled_t5

RESULTS = Path(__file__).parent / "results"


# Part of the key of every run that starts from the bundled T5: another T5, another figure.
T5 = {"t5": hashlib.sha256((bundled_t5() / "model.safetensors").read_bytes()).hexdigest()[:8]}


def environment() -> dict[str, Any]:
    """Commit, versions and machine of a result."""
    root = Path(__file__).parents[1]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True).stdout
    return {
        "commit": commit.strip(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a result file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def with_keys(path: Path, keys: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of a result file that have one of the keys."""
    keys = list(keys)
    return [record for record in read(path) if any(key.items() <= record.items() for key in keys)]


def _prepare_worker() -> None:
    # A worker whose benchmark was killed would go on for hours.
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    # Two processes of one thread each get more done on small models than one of two threads.
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def run_missing(
    path: Path, keys: Iterable[dict[str, Any]], run: Callable[[dict[str, Any]], dict[str, Any]], jobs: int
) -> list[dict[str, Any]]:
    """Run `run(key)` for every key that the file has no record of, several at a time.

    Args:
        path: result file; every finished run is appended at once, so an interrupted benchmark goes on where it was.
        keys: what identifies a run, such as data set, method and seed.
        run: returns the figures of a run; a module-level function.
        jobs: runs at a time, one thread each.

    Returns:
        The records of the file that have one of the keys.
    """
    keys = list(keys)
    path.parent.mkdir(exist_ok=True)
    done = read(path)
    missing = [key for key in keys if not any(key.items() <= record.items() for record in done)]
    context = environment()
    with ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker
    ) as pool:
        futures = {pool.submit(run, key): key for key in missing}
        try:
            for future in as_completed(futures):
                record = {**futures[future], **future.result(), **context}
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
                print(record, flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else all other runs are made, and lost, before the error is told
            raise
    return with_keys(path, keys)


def in_a_fresh_process(measure: Callable[[dict[str, Any]], dict[str, Any]], key: dict[str, Any]) -> dict[str, Any]:
    """The figures of `measure(key)`, a module-level function, in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(measure, key).result()


def benchmark_parser(description: str | None) -> argparse.ArgumentParser:
    """The options of a benchmark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--table", action="store_true", help="only write the table of what is on file")
    return parser


def records_asked_for(
    description: str | None, path: Path, keys: Iterable[dict[str, Any]], run: Callable[[dict[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The records with these keys after the runs that the command line asks for: those missing, or with --table none.

    Args:
        description: the program's, for its --help.
        path, keys, run: as for `run_missing`.
    """
    arguments = benchmark_parser(description).parse_args()
    return with_keys(path, keys) if arguments.table else run_missing(path, keys, run, arguments.jobs)


def environment_of(records: Iterable[dict[str, Any]]) -> str:
    """Commits, versions and machines that runs had."""
    records = list(records)
    return "; ".join(
        f"{name} {', '.join(dict.fromkeys(str(record[name]) for record in records))}" for name in environment()
    )


def write_table(path: Path, description: str | None, records: Iterable[dict[str, Any]], table: str, note: str) -> None:
    """Print the table of records, and write it beside their file, between the program's description and a note."""
    ran = environment_of(records)
    path.with_suffix(".md").write_text(f"{description}\n{table}\n\n{note}\n\n{ran}\n", encoding="utf-8")
    print(table)


def times_as_fast(record: dict[str, Any], name: str, against: str) -> str:
    """The ratio of a record's times: the median, the least and the greatest."""
    seconds = record["seconds"]
    ratios = [theirs / own for theirs, own in zip(seconds[against], seconds[name], strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def mean_and_spread(records: list[dict[str, Any]], group: tuple[str, ...], value: str) -> dict[tuple, str]:
    """`mean ± standard deviation` of a figure for every group of records."""
    groups: dict[tuple, list[float]] = defaultdict(list)
    for record in records:
        groups[tuple(record[name] for name in group)].append(record[value])
    return {
        key: f"{statistics.mean(values):.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")
        for key, values in groups.items()
    }


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
