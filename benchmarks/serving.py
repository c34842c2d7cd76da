"""A server under load: `enct5 serve`, and what one would write instead, over the same model.

    python benchmarks/serving.py --jobs 1           (writes results/serving.jsonl and .md)

Texts: nine short ones (messages of the demo) to a long one (about 300 tokens), one a request, in random order.
**Offline** is `Predictor` on the same texts at once, in this process, before the server is started. **Saturated** is
the best of 1 to 256 clients that each ask again as soon as they are answered. **At half** and **at four times** of
that, requests arrive at random times, whatever the answers are doing, and a request's time counts from its arrival, so
that a server that stalls is not asked less meanwhile. The load comes from the same machine, which leaves less
to the server. Servers that are not installed are left out.
"""

import asyncio
import importlib.util
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import torch

from http_load import Answers, as_fast_as_answered, at_a_rate
from records import RESULTS, T5, markdown_table, records_asked_for, write_table

FILE = RESULTS / "serving.jsonl"
SERVERS = ("enct5", "fastapi", "litserve")
SIZES: dict[str, dict[str, int]] = {
    "bundled": {},
    "t5-base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
}
CLIENTS = (1, 4, 16, 64, 256)
SECONDS = 10
OVERLOAD_SECONDS = {"enct5": 60, "fastapi": 10, "litserve": 10}  # the others refuse nobody, and take long to answer all
LONG_TOKENS = 300


def texts() -> list[str]:
    """Nine short texts to a long one."""
    from enct5.assets import demo_data

    lines = demo_data("train").read_text(encoding="utf-8").splitlines()
    short = [json.loads(line)["text"] for line in lines]
    random = Random(0)
    words = [word for text in short for word in text.split()]
    long = [" ".join(random.choices(words, k=LONG_TOKENS * 3 // 4)) for _ in range(len(short) // 9)]
    mixed = short + long
    random.shuffle(mixed)
    return mixed


def save_model(size: str, folder: Path) -> None:
    """A classifier of twelve labels on the bundled T5, or of another size with random weights."""
    from enct5 import EncT5Config, EncT5ForSequenceClassification
    from enct5.assets import bundled_t5
    from enct5.model.conversion import convert
    from enct5.model.loading import load_tokenizer

    base = str(bundled_t5())
    tokenizer = load_tokenizer(base)
    tokenizer.model_max_length = 512
    if SIZES[size]:
        config = EncT5Config(**SIZES[size], vocab_size=len(tokenizer), num_labels=12)
        model: Any = EncT5ForSequenceClassification(config)
    else:
        model = convert(base, num_labels=12, problem_type="single_label_classification").model
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def offline(folder: Path, given: list[str], seconds: float) -> float:
    """Texts a second of `Predictor`."""
    from enct5 import Predictor

    torch.set_num_threads(os.cpu_count() or 1)  # what the server has
    predictor = Predictor.from_pretrained(folder)
    predictor.predict(given[:32])
    count, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        predictor.predict(given)
        count += len(given)
    return count / (time.perf_counter() - started)


@contextmanager
def serving(server: str, folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A server in a process of its own, ready; its port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    if server == "enct5":
        command = [sys.executable, "-m", "enct5.cli", "serve", str(folder), "--port", str(port)]
    else:
        command = [sys.executable, str(Path(__file__).with_name("pipeline_server.py")), server, str(folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while True:
            assert process.poll() is None, f"{server} has ended"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port, process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started
            process.wait()


def resident(process: subprocess.Popen[bytes]) -> float:
    """Megabytes in memory, of the process and those that it started."""
    import psutil

    started = psutil.Process(process.pid)
    return sum(one.memory_info().rss for one in (started, *started.children(recursive=True))) / 1e6


def requests(given: list[str]) -> Iterator[bytes]:
    """Requests of one text each, over and over."""
    for text in itertools.cycle(given):
        body = json.dumps({"texts": [text]}).encode()
        lines = [
            "POST /v1/predict HTTP/1.1",
            "Host: x",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        yield "\r\n".join([*lines, "", ""]).encode() + body


def figures(answers: Answers) -> dict[str, Any]:
    """What a table shows of answers."""
    return {
        "per_second": round(answers.rate, 1),
        "median_ms": round(answers.median, 1),
        "p99_ms": round(answers.percentile(99), 1),
        "statuses": answers.statuses,
    }


def run(key: dict[str, Any]) -> dict[str, Any]:
    """All figures of a server and a size."""
    given = texts()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        save_model(key["size"], folder)
        record: dict[str, Any] = {"offline_per_second": round(offline(folder, given, key["seconds"]), 1)}
        with serving(key["server"], folder) as (port, process):
            source = requests(given)
            for clients in CLIENTS:
                answers = asyncio.run(as_fast_as_answered(port, source, clients, key["seconds"]))
                record[f"clients_{clients}"] = figures(answers)
            best = max(record[f"clients_{clients}"]["per_second"] for clients in CLIENTS)
            record["saturated_per_second"] = best
            record["of_offline"] = round(best / record["offline_per_second"], 3)
            half = asyncio.run(at_a_rate(port, source, best / 2, 256, key["seconds"]))
            record["at_half"] = figures(half)
            record["p99_of_alone"] = round(record["at_half"]["p99_ms"] / record["clients_1"]["p99_ms"], 2)
            before = resident(process)
            # so many clients that the server's queue fills, and not that before it
            flood = asyncio.run(at_a_rate(port, source, 4 * best, 4096, key["overload_seconds"]))
            record["at_four_times"] = figures(flood)
            record["at_four_times"]["of_saturated"] = round(flood.rate / best, 3)
            record["megabytes"] = [round(before), round(resident(process))]
    return record


def main() -> None:
    """Run what is missing and write the table."""
    installed = [name for name in SERVERS if importlib.util.find_spec(name) is not None]
    keys = [
        {"size": size, "server": server, "seconds": SECONDS, "overload_seconds": OVERLOAD_SECONDS[server], **T5}
        for size in SIZES
        for server in installed
    ]
    records = records_asked_for(__doc__, FILE, keys, run)
    head = [
        "model, server",
        "offline/s",
        "saturated/s",
        "of offline",
        "alone p99 ms",
        "at half: p50, p99 ms",
        "of alone",
    ]
    head += ["at four times/s", "of saturated", "answered", "MB before, after"]
    rows = [
        [
            f"{one['size']}, {one['server']}",
            str(one["offline_per_second"]),
            str(one["saturated_per_second"]),
            str(one["of_offline"]),
            str(one["clients_1"]["p99_ms"]),
            f"{one['at_half']['median_ms']}, {one['at_half']['p99_ms']}",
            str(one["p99_of_alone"]),
            str(one["at_four_times"]["per_second"]),
            str(one["at_four_times"]["of_saturated"]),
            ", ".join(f"{status}: {count}" for status, count in one["at_four_times"]["statuses"].items()),
            " → ".join(map(str, one["megabytes"])),
        ]
        for one in records
    ]
    write_table(FILE, __doc__, records, markdown_table(head, rows), "")


if __name__ == "__main__":
    main()
