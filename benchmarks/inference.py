"""Speed of prediction on one CPU thread, against the loop that a user of transformers would write.

    python benchmarks/inference.py               (writes results/inference.jsonl and .md)

- loop: transformers' T5 encoder and one layer of its decoder, eager attention, attention mask, batches of 64 in file
  order, padded.
- sorted: the same model and batches as `Predictor(fold=False)` has them, of like length under a budget of tokens.
- folded: `FoldedEncT5` on the batches of `Predictor`.

All three run under `inference_mode`, from token ids to logits, in turn, with the same random weights, and have to
agree to 1e-4. Times are medians over the repetitions, ratios medians of the repetitions' own, with the least and the
greatest.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoTokenizer, T5Config, T5Model

from enct5 import EncT5Config, EncT5ForSequenceClassification
from enct5.assets import bundled_t5
from enct5.batching import length_ordered_batches, pad
from enct5.data import read_table
from enct5.folding import FoldedEncT5
from enct5.predict import MAX_BATCH_TOKENS
from records import RESULTS, environment, markdown_table, read, run_missing
from sets import CLASSIFICATION, test_file

SIZES = {
    "t5-small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "t5-base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
}
TEXTS = ("128 sentences of sst2", "8 texts of 512 tokens", "1 text of 4096 tokens")
BATCH = 64
FILE = RESULTS / "inference.jsonl"

Rows = list[np.ndarray]


def token_ids(texts: str) -> Rows:
    """Token ids of every text, in file order."""
    tokenizer = AutoTokenizer.from_pretrained(bundled_t5())
    if texts == TEXTS[0]:
        sst2 = next(benchmark for benchmark in CLASSIFICATION if benchmark.name == "sst2")
        sentences = read_table(test_file(sst2))["sentence"][:128]
        return [np.array(ids) for ids in tokenizer(list(sentences))["input_ids"]]
    count, length = (int(word) for word in texts.split() if word.isdigit())
    return list(np.random.default_rng(0).integers(2, len(tokenizer), size=(count, length)))


class Loop:
    """A model of transformers' own parts with the weights of an EncT5 of one prompt."""

    def __init__(self, model: EncT5ForSequenceClassification) -> None:
        config = T5Config(**{name: getattr(model.config, name) for name in ("vocab_size", *SIZES["t5-base"])})
        config.num_decoder_layers, config._attn_implementation = 1, "eager"
        self.t5 = T5Model(config).eval()
        weights = model.transformer.state_dict()
        self.prompt = weights.pop("decoder.embed_tokens.weight")
        self.t5.load_state_dict(weights, strict=False)  # the decoder's embedding is not used
        self.head = model.classifier

    def __call__(self, rows: Rows) -> torch.Tensor:
        """Logits of a padded batch."""
        prompts = self.prompt.expand(len(rows), 1, -1)
        states = self.t5(**pad(rows, 0), decoder_inputs_embeds=prompts, use_cache=False).last_hidden_state
        return functional.linear(states[:, 0], self.head.weight, self.head.bias)


def systems(model: EncT5ForSequenceClassification) -> dict[str, Callable[[Rows], torch.Tensor]]:
    """From all texts to their logits, by name."""
    loop, folded = Loop(model), FoldedEncT5(model)

    def run_folded(rows: Rows) -> torch.Tensor:
        return folded(torch.from_numpy(np.concatenate(rows)), [len(row) for row in rows])

    def in_file_order(rows: Rows) -> torch.Tensor:
        return torch.cat([loop(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)])

    def by_length(forward: Callable[[Rows], torch.Tensor], rows: Rows) -> torch.Tensor:
        batches = length_ordered_batches([len(row) for row in rows], MAX_BATCH_TOKENS)
        logits = torch.cat([forward([rows[index] for index in batch]) for batch in batches])
        return logits[np.argsort(np.concatenate(batches))]

    def plain(rows: Rows) -> torch.Tensor:
        return model(**pad(rows, 0)).logits

    return {
        "loop": in_file_order,
        "sorted": lambda rows: by_length(plain, rows),
        "folded": lambda rows: by_length(run_folded, rows),
    }


@torch.inference_mode()
def run(key: dict[str, Any]) -> dict[str, Any]:
    """Seconds of every repetition, by system."""
    torch.manual_seed(0)
    rows = token_ids(key["texts"])
    vocabulary = 1 + max(int(row.max()) for row in rows)
    model = EncT5ForSequenceClassification(
        EncT5Config(**SIZES[key["size"]], vocab_size=vocabulary, num_labels=2)
    ).eval()
    ways = systems(model)
    wanted = ways["loop"](rows)  # warms it up, too
    difference = max(float((way(rows) - wanted).abs().max()) for way in ways.values())
    assert difference < 1e-4, f"the logits differ by {difference}"
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(key["repetitions"]):
        for name, way in ways.items():
            started = time.perf_counter()
            way(rows)
            seconds[name].append(round(time.perf_counter() - started, 4))
    return {"seconds": seconds, "difference": difference, "tokens": sum(len(row) for row in rows)}


def table_row(record: dict[str, Any]) -> list[str]:
    """A record's line of the table."""
    seconds = record["seconds"]
    cells = [record["size"], record["texts"]]
    for name, times in seconds.items():
        cell = f"{median(times):.2f} s"
        if name != "loop":
            ratios = [loop / own for loop, own in zip(seconds["loop"], times, strict=True)]
            cell += f", {median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})"
        cells.append(cell)
    return [*cells, f"{record['difference']:.0e}"]


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only write the table of what is on file")
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    keys = [{"size": size, "texts": texts, "repetitions": options.repetitions} for size in SIZES for texts in TEXTS]
    records = read(FILE) if options.table else run_missing(FILE, keys, run, jobs=1)
    rows = [table_row(record) for key in keys for record in records if key.items() <= record.items()]
    table = markdown_table(["size", "texts", "loop", "sorted", "folded", "greatest difference of logits"], rows)
    (RESULTS / "inference.md").write_text(f"{__doc__}\n{table}\n\n{environment()}\n", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
