"""How fast a model is on this machine, by every way to run it: short texts, long ones, and single requests."""

import logging
import platform
import time
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers

from enct5 import progress
from enct5.inference.engine import Form
from enct5.inference.predictor import Predictor
from enct5.tokenization.batches import MAX_BATCH_TOKENS, length_ordered_batches

logger = logging.getLogger(__name__)

ROUNDS, REQUESTS = 5, 20
SHORT, LONG = "256 texts of 4 to 64 tokens", "8 texts of 512 tokens"
REQUEST = "single texts of 16 tokens"


def workloads(vocab_size: int) -> dict[str, list[Any]]:
    """Random token ids by name; lengths of the short ones are spread like those of sentences."""
    random = np.random.default_rng(0)
    short = np.clip(random.lognormal(3, 0.6, 256), 4, 64).astype(int)
    lengths = {SHORT: short.tolist(), LONG: [512] * 8, REQUEST: [16] * REQUESTS}
    return {name: [random.integers(2, vocab_size, n) for n in sizes] for name, sizes in lengths.items()}


def _seconds(form: Form, rows: list[Any]) -> float:
    """Time of all rows, in the batches of `Predictor`."""
    started = time.perf_counter()
    for batch in length_ordered_batches([len(row) for row in rows], MAX_BATCH_TOKENS):
        form([rows[index] for index in batch])
    return time.perf_counter() - started


@torch.inference_mode()
def bench(source: str) -> dict[str, Any]:
    """Measure a model, from token ids to logits.

    All ways run in turn, so that what else the machine does meets them alike.

    Args:
        source: folder or hub id of an EncT5 checkpoint or exported model.

    Returns:
        `model`, `device`, `threads`, versions, and `results`: one record a way and workload with `texts_per_second`,
        `tokens_per_second` and `ratio` (to the first way), or of single requests `p50_ms`, `p99_ms` and `ratio`.

    Raises:
        EncT5Error: when there is no such model.
    """
    with progress.bar("loading"):
        engine = Predictor.from_pretrained(source).engine
        ways = engine.ways()
    work = workloads(engine.config.vocab_size)
    seconds: dict[tuple[str, str], list[float]] = {(load, way): [] for load in work for way in ways}
    with progress.bar("measuring", total=len(work) * (ROUNDS + 1) * len(ways)):
        for load, rows in work.items():
            logger.info(f"measuring {load}, {ROUNDS} times in each of {len(ways)} ways")
            for round_number in range(ROUNDS + 1):
                for way, form in ways.items():
                    parts = [[row] for row in rows] if load == REQUEST else [rows]
                    times = [_seconds(form, part) for part in parts]
                    progress.advance()
                    if round_number:  # the first warms up
                        seconds[load, way] += times
    return {
        "model": source,
        "device": engine.device,
        "threads": engine.threads,
        "processor": platform.machine(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "results": [_record(load, rows, way, seconds, next(iter(ways))) for load, rows in work.items() for way in ways],
    }


def _record(
    load: str, rows: list[Any], way: str, seconds: dict[tuple[str, str], list[float]], first: str
) -> dict[str, Any]:
    own, reference = seconds[load, way], seconds[load, first]
    ratio = round(median(theirs / ours for theirs, ours in zip(reference, own, strict=True)), 2)
    if load == REQUEST:
        p50, p99 = np.percentile(own, (50, 99)) * 1000
        return {"work": load, "way": way, "p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "ratio": ratio}
    return {
        "work": load,
        "way": way,
        "texts_per_second": round(len(rows) / median(own), 1),
        "tokens_per_second": round(sum(map(len, rows)) / median(own)),
        "ratio": ratio,
    }
