"""Peak memory with thousands of labels: 4,271 labels, 8 texts of 512 tokens, a model of T5-base's size, on a CPU.

    python benchmarks/many_labels.py               (writes results/many_labels.jsonl and .md)

A training step is forward, backward and AdamW in float32, with dropout, its optimiser's state in memory from the start.
Each pass has a process of its own, whose peak resident memory is what counts; weights and token ids are random.
"""

import argparse
import resource
import time
from typing import Any

from records import RESULTS, in_a_fresh_process, markdown_table, read, run_missing, write_table

SIZE = {"labels": 4271, "tokens": 512, "batch": 8}
T5_BASE = {"vocab_size": 32128, "d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12}
PASSES = ("prediction", "training step")
FILE = RESULTS / "many_labels.jsonl"


def measure(key: dict[str, Any]) -> dict[str, Any]:
    """One pass in this process."""
    import torch

    from enct5 import EncT5Config, EncT5ForSequenceClassification

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = EncT5Config(
        **T5_BASE, num_labels=key["labels"], problem_type="multi_label_classification", prompt_position_bias=False
    )
    model = EncT5ForSequenceClassification(config)
    ids = torch.randint(2, config.vocab_size, (key["batch"], key["tokens"]))
    ids[0, key["tokens"] // 2 :] = config.pad_token_id  # with padding, so that there is a mask
    started = time.process_time()
    if key["pass"] == "prediction":
        with torch.inference_mode():
            finite = model.eval()(ids).logits.isfinite().all()
    else:
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimiser.step()
        optimiser.zero_grad()
        labels = (torch.rand(key["batch"], key["labels"]) < 0.001).float()
        loss = model.train()(ids, labels=labels).loss
        loss.backward()
        optimiser.step()
        finite = loss.isfinite()
    assert finite
    return {
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),  # Linux counts KiB
        "cpu_seconds": round(time.process_time() - started, 1),
        "parameters": model.num_parameters(),
    }


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record, measured in a fresh process."""
    return in_a_fresh_process(measure, key)


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only write the table of what is on file")
    keys = [{"pass": name, **SIZE} for name in PASSES]
    records = read(FILE) if parser.parse_args().table else run_missing(FILE, keys, run, jobs=1)
    rows = [
        [record["pass"], f"{record['peak_gib']:.1f} GiB", f"{record['cpu_seconds']:.0f}"]
        for key in keys
        for record in records
        if key.items() <= record.items()
    ]
    table = markdown_table(["pass", "peak memory", "CPU seconds (one thread)"], rows)
    write_table(FILE, __doc__, records, table, "Each pass in a process of its own.")


if __name__ == "__main__":
    main()
