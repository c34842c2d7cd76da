"""How the prompts should start: N(0, 1) as in the reference, `<pad>`'s embedding, or the label's own words.

    python benchmarks/initialisation.py            (writes results/initialisation.jsonl and .md)

Samples of 2,000 training rows, 4 epochs, three seeds; figures of the held-out rows (no test file is touched, since the
table chooses a default). Label words are for the multi-label set only: other tasks have one prompt for all labels.
"""

import tempfile
from pathlib import Path
from typing import Any

from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import CLASSIFICATION, GOEMOTIONS, read_training_rows
from training_runs import train

SEEDS = (1, 2, 3)
ROWS, EPOCHS = 2000, 4
SETS = (
    *(benchmark for benchmark in CLASSIFICATION if benchmark.name in ("banking77", "sst2")),
    GOEMOTIONS,
)
STARTS = ("normal", "pad", "label words")
FILE = RESULTS / "initialisation.jsonl"


def start_prompts(model: Any, tokenizer: Any, start: str, seed: int) -> None:
    """Set the prompts of a freshly converted model (which start as `<pad>`)."""
    import torch

    from enct5.training.label_prompts import label_words, start_from_words

    if start == "normal":
        with torch.no_grad():
            model.transformer.decoder.embed_tokens.weight.normal_(generator=torch.Generator().manual_seed(seed))
    elif start == "label words":
        start_from_words(model, tokenizer, [label_words(label) for _, label in sorted(model.config.id2label.items())])


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    from transformers import AutoTokenizer, set_seed

    from enct5.assets import bundled_t5
    from enct5.metrics.classification import AT_DEFAULT
    from enct5.tasks.labelled import infer_task, label_values
    from enct5.training.model_init import build_model

    benchmark = next(benchmark for benchmark in SETS if benchmark.name == key["set"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table = read_training_rows(benchmark, ROWS)
        task = infer_task(table, benchmark.label)
        set_seed(key["seed"])
        tokenizer = AutoTokenizer.from_pretrained(bundled_t5())
        model = build_model(str(bundled_t5()), task, task.label_names(label_values(table, benchmark.label, task)))
        start_prompts(model, tokenizer, key["prompts"], key["seed"])
        model.save_pretrained(folder / "base")
        tokenizer.save_pretrained(folder / "base")
        _, record = train(
            benchmark,
            folder,
            key["seed"],
            ROWS,
            base=str(folder / "base"),
            label_prompts="pad",  # those of the base stay
            epochs=EPOCHS,
            patience=100,
        )
        losses = [entry["loss"] for entry in record["history"] if "loss" in entry]
        figures = record["metrics"]
        return {
            # of a multi-label set the figure at 0.5: its thresholds were tuned on these rows
            "value": figures.get(f"{benchmark.metric}{AT_DEFAULT}", figures[benchmark.metric]),
            "mean_loss": sum(losses) / len(losses),
            "seconds": record["seconds"],
        }


def main() -> None:
    """Run what is missing and write the table."""
    keys = [
        {"set": benchmark.name, "prompts": start, "seed": seed, "metric": benchmark.metric, **T5}
        for seed in SEEDS
        for benchmark in SETS
        for start in STARTS
        if start != "label words" or benchmark.name == "goemotions"
    ]
    records = records_asked_for(__doc__, FILE, keys, run)
    value = mean_and_spread(records, ("set", "prompts"), "value")
    loss = mean_and_spread(records, ("set", "prompts"), "mean_loss")
    rows = [
        [
            benchmark.name,
            benchmark.metric,
            *(
                f"{value[benchmark.name, start]} (loss {loss[benchmark.name, start]})"
                if (benchmark.name, start) in value
                else "n/a"
                for start in STARTS
            ),
        ]
        for benchmark in SETS
    ]
    table = markdown_table(["set", "held-out figure", *STARTS], rows)
    note = "In brackets: training loss averaged over the run, a measure of how fast it learns."
    write_table(FILE, __doc__, records, table, note)


if __name__ == "__main__":
    main()
