"""What a long text costs: windows of the encoder against every token attending to every other.

    python benchmarks/long_texts.py --jobs 1           (writes results/long_texts.jsonl and .md)

One text of T5-small's size, random weights, from token ids to logits by the folded model (`Predictor`'s default) under
`inference_mode`, on one thread. All windows run in turn, so that what else the machine does meets them alike; a ratio
is that to full attention in the same turn: the median over the turns, with the least and the greatest. Memory is the
peak of a process of its own, above what it held before the text.
"""

import re
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from enct5 import EncT5Config, EncT5ForSequenceClassification
from enct5.inference.forms import FoldedForm
from inference import SIZES, VOCABULARY
from records import RESULTS, markdown_table, records_asked_for, write_table

LENGTHS, WINDOWS, TURNS = (1024, 2048, 4096, 8192), (None, 512, 256, 128), 5
FILE = RESULTS / "long_texts.jsonl"


def form(window: int | None) -> FoldedForm:
    """The folded model with a window, always of the same weights."""
    torch.manual_seed(0)
    config = EncT5Config(**SIZES["t5-small"], vocab_size=VOCABULARY, num_labels=2, encoder_window=window)
    return FoldedForm(EncT5ForSequenceClassification(config).eval())


def text(tokens: int) -> list[np.ndarray]:
    """Random token ids."""
    return [np.random.default_rng(0).integers(2, VOCABULARY, tokens)]


def memory(window: int | None, tokens: int) -> float:
    """MiB at the peak of a run above what the process held before it; in a process of its own."""

    def held(what: str) -> float:
        found = re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
        assert found is not None
        return int(found[1]) / 1024

    torch.set_num_threads(1)
    run_form, rows = form(window), text(tokens)
    run_form(text(16))  # what is made at the first call is no memory of the text
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak is counted from here
    before = held("VmRSS")
    run_form(rows)
    return round(held("VmHWM") - before, 1)


def run(key: dict[str, Any]) -> dict[str, Any]:
    """Seconds of every turn and memory, by window."""
    rows, forms = text(key["tokens"]), {str(window): form(window) for window in WINDOWS}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(TURNS + 1):
        for name, way in forms.items():
            started = time.perf_counter()
            way(rows)
            if turn:  # the first one warms up
                seconds[name].append(round(time.perf_counter() - started, 4))
    found = {}
    for window in WINDOWS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[str(window)] = pool.submit(memory, window, key["tokens"]).result()
    return {"seconds": seconds, "memory": found}


def lines(record: dict[str, Any]) -> list[list[str]]:
    """The lines of a length."""
    full, full_memory = record["seconds"]["None"], record["memory"]["None"]
    result = []
    for name, seconds in record["seconds"].items():
        ratios = [other / own for other, own in zip(full, seconds, strict=True)]
        used = record["memory"][name]
        result.append(
            [
                f"{record['tokens']:,}",
                "full attention" if name == "None" else f"windows of {name}",
                f"{median(seconds):.2f}",
                f"{median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
                f"{used:,.0f} MiB",
                f"{used / full_memory:.2f}",
            ]
        )
    return result


def main() -> None:
    """Run what is missing and write the table."""
    records = records_asked_for(__doc__, FILE, [{"tokens": tokens} for tokens in LENGTHS], run)
    rows = [line for record in sorted(records, key=lambda record: record["tokens"]) for line in lines(record)]
    head = ["tokens", "encoder", "seconds", "times as fast", "memory", "as a share"]
    write_table(FILE, __doc__, records, markdown_table(head, rows), f"{TURNS} turns.")


if __name__ == "__main__":
    main()
