"""How the prompts of labels should start: N(0, 1) as in the reference, `<pad>`'s embedding, or the labels' own words.

    python benchmarks/initialisation.py            (writes results/initialisation.jsonl and .md)

`enct5 train` with its defaults on a sample of 2,000 training rows of goemotions (28 labels, several a text), three
seeds. Macro F1 of 2,000 other training rows: no test file is touched, since the table chooses a default. The prompts of
tasks that have one for all labels are among the changes of fine_tuning.py.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from enct5.inference.evaluation import evaluate
from enct5.metrics.classification import AT_DEFAULT
from enct5.training.model_init import build_model
from fine_tuning import prompts_at_random, write_other_rows
from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import GOEMOTIONS
from training_runs import train

SEEDS = (1, 2, 3)
SAMPLE = replace(GOEMOTIONS, rows=2000)
# `enct5 train` leaves the prompts as the model has them, or starts them from the labels' words.
STARTS = {"normal": "pad", "pad": "pad", "label words": "names"}
FIGURES = {"tuned": "macro F1, tuned thresholds", "at_default": "macro F1 at 0.5"}
FILE = RESULTS / "initialisation.jsonl"


def with_normal_prompts(*args: Any, **kwargs: Any) -> Any:
    """The model that training starts from, its prompts drawn from N(0, 1)."""
    model = build_model(*args, **kwargs)
    prompts_at_random(model)
    return model


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    parts = {"build": with_normal_prompts if key["prompts"] == "normal" else build_model}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        predictor, record = train(SAMPLE, folder, key["seed"], parts=parts, label_prompts=STARTS[key["prompts"]])
        metrics = evaluate(predictor, write_other_rows(SAMPLE, folder))["metrics"]
    return {
        "tuned": metrics[SAMPLE.metric],
        "at_default": metrics[SAMPLE.metric + AT_DEFAULT],
        "steps": record["steps"],
        "seconds": record["seconds"],
    }


def main() -> None:
    """Run what is missing and write the table."""
    keys = [{"set": SAMPLE.name, "prompts": start, "seed": seed, **T5} for seed in SEEDS for start in STARTS]
    records = records_asked_for(__doc__, FILE, keys, run)
    figures = {name: mean_and_spread(records, ("prompts",), name) for name in FIGURES}
    rows = [[start, *(figures[name].get((start,), "") for name in FIGURES)] for start in STARTS]
    table = markdown_table(["prompts", *FIGURES.values()], rows)
    write_table(FILE, __doc__, records, table, "Mean ± standard deviation over the seeds on file.")


if __name__ == "__main__":
    main()
