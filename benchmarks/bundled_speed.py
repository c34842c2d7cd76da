"""How fast the bundled T5 predicts beside its teacher all-MiniLM-L6-v2, from texts to labels, on one thread.

    python benchmarks/bundled_speed.py --jobs 1      (writes results/bundled_speed.jsonl and .md)

Both classify the demo's messages (12 labels; random heads, which cost what trained ones do): `Predictor`, also of the
exported model in int8, and MiniLM with a linear head by transformers, in a loop over batches of 64 texts sorted by
length, and by transformers' pipeline in batches of 64. All run in turn; a ratio is the median over the repetitions,
with the least and the greatest. MiniLM is looked for as `minilm.py` says.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

import minilm
from enct5 import EncT5ForSequenceClassification, Predictor
from enct5.assets import bundled_t5, demo_data
from enct5.data.reading import read_table
from enct5.export.onnx import export
from enct5.model.loading import load_tokenizer
from records import RESULTS, T5, markdown_table, records_asked_for, times_as_fast, write_table

FILE = RESULTS / "bundled_speed.jsonl"
LABELS, BATCH, REPETITIONS = 12, 64, 9
LOOP = "MiniLM, sorted batches"


def of_minilm(texts: list[str]) -> dict[str, Callable[[], Any]]:
    """MiniLM in a loop, and in transformers' pipeline."""
    tokenizer = AutoTokenizer.from_pretrained(minilm.folder())
    model = AutoModelForSequenceClassification.from_pretrained(minilm.folder(), num_labels=LABELS).eval()
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")

    @torch.inference_mode()
    def loop() -> None:
        ordered = sorted(texts, key=len)
        for start in range(0, len(ordered), BATCH):
            batch = tokenizer(ordered[start : start + BATCH], padding=True, truncation=True, return_tensors="pt")
            model(**batch).logits.softmax(-1)

    return {LOOP: loop, "MiniLM, pipeline": lambda: classify(texts, batch_size=BATCH, truncation=True)}


def run(key: dict[str, Any]) -> dict[str, Any]:
    """Seconds of every repetition, by system."""
    texts = read_table(str(demo_data("train")))["text"][:]
    tokenizer = load_tokenizer(str(bundled_t5()))
    with tempfile.TemporaryDirectory() as temporary:
        folder, exported = Path(temporary) / "model", Path(temporary) / "exported"
        EncT5ForSequenceClassification.from_t5(str(bundled_t5()), LABELS).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        export(str(folder), exported, int8=True)
        ours = {"enct5": Predictor.from_pretrained(folder), "enct5, int8": Predictor.from_pretrained(exported)}
        systems: dict[str, Callable[[], Any]] = {
            **{name: lambda own=own: own.predict(texts) for name, own in ours.items()},  # type: ignore[misc]
            **of_minilm(texts),
        }
        seconds: dict[str, list[float]] = {name: [] for name in systems}
        for repetition in range(REPETITIONS + 1):
            for name, predict in systems.items():
                started = time.perf_counter()
                predict()
                if repetition:  # the first one warms up
                    seconds[name].append(time.perf_counter() - started)
    tokens = sum(len(ids) for ids in tokenizer(texts)["input_ids"]) / len(texts)
    return {"texts": len(texts), "tokens_a_text": round(tokens, 1), "seconds": seconds}


def main() -> None:
    """Run what is missing and write the table."""
    records = records_asked_for(__doc__, FILE, [{"labels": LABELS, **T5, **minilm.weights()}], run)
    rows = []
    for record in records:
        for name, own in record["seconds"].items():
            rows.append([name, f"{record['texts'] / median(own):.0f}", times_as_fast(record, name, LOOP)])
    note = "\n".join(f"{record['texts']} texts of {record['tokens_a_text']} tokens on average." for record in records)
    write_table(FILE, __doc__, records, markdown_table(["", "texts a second", f"times as fast as {LOOP}"], rows), note)


if __name__ == "__main__":
    main()
