"""Several tasks in one pass: speed against one task and against four models in turn, and quality against models apart.

    python benchmarks/several_tasks.py               (writes results/several_tasks.jsonl and .md)

- speed: the demo's four tasks (12 intents; 8 topics, several a text; urgency; five kinds of entities) on the messages
  of its test file, from token ids to logits, by `Predictor`'s folded form, in batches of like length: a model of all
  four, each task alone, and the four models of one task after another. All run in turn; a ratio is the median over the
  repetitions, with the least and the greatest; "alone" is the slowest task. Bundled T5, and random weights of T5-base's
  size.
- quality: `enct5 train` with its defaults from the bundled T5, all tasks in one run and each alone, on the demo's files
  (the best checkpoint by its validation file) and on intents and slots of snips (2,000 rows, a tenth held out); test
  files are measured once.
- adding: training of one more task (topics) on the frozen encoder of a model (of intents), against training it alone:
  time of the whole run, with reading, measuring and joining; that of its steps and their evaluations; test figures.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from enct5 import EncT5Config, EncT5ForSequenceClassification, EncT5ForTokenClassification
from enct5.assets import bundled_t5, demo_data
from enct5.data.reading import read_table
from enct5.inference.evaluation import evaluate
from enct5.inference.forms import FoldedForm
from enct5.inference.predictor import Predictor
from enct5.model.loading import load_tokenizer
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.tokenization.batches import MAX_BATCH_TOKENS, length_ordered_batches
from enct5.training import TrainConfig, train
from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import SNIPS_SLOTS, test_file, write_training_file

FILE = RESULTS / "several_tasks.jsonl"
SEEDS = (1, 2, 3)
REPETITIONS = {"bundled": 15, "t5-base": 4}
DEMO = {"intent": "intent", "topics": "topics:multi", "urgency": "urgency:regression", "entities": "entities:tokens"}
SNIPS = {"intent": "intent", "slots": "entities:tokens"}
TASKS = {"demo": DEMO, "snips": SNIPS}
FIGURES = {
    "intent": "macro_f1",
    "topics": "micro_f1",
    "urgency": "pearson",
    "entities": "entity_f1",
    "slots": "entity_f1",
}
SNIPS_ROWS = 2000
KINDS = {
    "intent": ("single_label_classification", 12),
    "topics": ("multi_label_classification", 8),
    "urgency": ("regression", 1),
    "entities": ("token_classification", 11),
}
BASE = {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "vocab_size": 32128}


def models_of(size: str) -> dict[str, Any]:
    """A model of each task, whose encoders are equal."""
    models = {}
    for name, (problem_type, labels) in KINDS.items():
        kind = EncT5ForTokenClassification if problem_type == "token_classification" else EncT5ForSequenceClassification
        if size == "bundled":
            models[name] = kind.from_t5(str(bundled_t5()), labels, problem_type=problem_type)
        else:
            torch.manual_seed(0)
            prompts = {"prompt_position_bias": False} if problem_type.startswith("multi") else {}
            models[name] = kind(EncT5Config(problem_type=problem_type, num_labels=labels, **BASE, **prompts)).eval()
    first = models["intent"].transformer.encoder
    for model in models.values():
        model.transformer.encoder.load_state_dict(first.state_dict())
    return models


def measure_speed(size: str) -> dict[str, Any]:
    """Seconds of all ways over the demo's test messages, in turn."""
    inputs = Predictor(models_of("bundled")["intent"], load_tokenizer(str(bundled_t5())))
    rows = inputs.tokenized(read_table(str(demo_data("test")))["text"][:]).rows
    batches = length_ordered_batches([len(row) for row in rows], MAX_BATCH_TOKENS)
    models = models_of(size)
    apart = {name: FoldedForm(model) for name, model in models.items()}
    ways = {**apart, "one pass": FoldedForm(EncT5ForTasks.from_models(models))}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repetition in range(REPETITIONS[size] + 1):
        for way, form in ways.items():
            started = time.perf_counter()
            for batch in batches:
                form([rows[index] for index in batch])
            if repetition:
                seconds[way].append(time.perf_counter() - started)
    one_pass = np.array(seconds.pop("one pass"))
    alone, in_turn = np.max(list(seconds.values()), axis=0), np.sum(list(seconds.values()), axis=0)
    return {
        "texts": len(rows),
        "texts_per_second": round(len(rows) / median(one_pass), 1),
        "over_one_alone": _ratio(one_pass / alone),
        "in_turn_over_it": _ratio(in_turn / one_pass),
    }


def _ratio(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in (np.median(values), values.min(), values.max())]


def files(data: str, folder: Path) -> dict[str, Any]:
    """Settings that name the data of a set."""
    if data == "demo":
        return {"data": str(demo_data("train")), "eval": str(demo_data("validation"))}
    return {"data": write_training_file(SNIPS_SLOTS, folder, SNIPS_ROWS, also=("intent",))}


def test_figures(folder: Path, data: str) -> tuple[dict[str, float], float]:
    """Figures of a run folder on the test file by task (or of its only one), and of how many rows."""
    test = str(demo_data("test")) if data == "demo" else test_file(SNIPS_SLOTS)
    measured = evaluate(Predictor.from_pretrained(folder), test)
    parts = measured.get("tasks", {"": measured})
    return {name: own["metrics"] for name, own in parts.items()}, measured["rows"]


def train_quality(key: dict[str, Any]) -> dict[str, Any]:
    """All tasks in one run, or one of them alone."""
    tasks = TASKS[key["set"]]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        out = {"text": ("text",), "out": str(folder / "run"), "seed": key["seed"], **files(key["set"], folder)}
        if key["way"] == "one run":
            record = train(TrainConfig.checked(**out, tasks=tasks))
        else:
            column, _, kind = tasks[key["way"]].partition(":")
            record = train(TrainConfig.checked(**out, label=column, task=kind or "auto"))
        found, rows = test_figures(folder / "run", key["set"])
    values = {name or key["way"]: own[FIGURES[name or key["way"]]] for name, own in found.items()}
    return {"values": values, "seconds": record["seconds"], "steps": record["steps"], "test_rows": rows}


def train_added(key: dict[str, Any]) -> dict[str, Any]:
    """The same task added to a model, and trained alone."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shared = {"text": ("text",), "seed": key["seed"], **files("demo", folder)}
        train(TrainConfig.checked(**shared, label="intent", out=str(folder / "base")))
        added = train(
            TrainConfig.checked(
                **shared, add_tasks={"topics": "topics:multi"}, base=str(folder / "base"), out=str(folder / "added")
            )
        )
        alone = train(TrainConfig.checked(**shared, label="topics", task="multi", out=str(folder / "alone")))
        figures, _ = test_figures(folder / "added", "demo")
        by_itself, _ = test_figures(folder / "alone", "demo")
    runs = {"added": added, "alone": alone}
    return {
        "seconds": {way: record["seconds"] for way, record in runs.items()},
        "training_seconds": {way: record["history"][-1]["train_runtime"] for way, record in runs.items()},
        "steps": {way: record["steps"] for way, record in runs.items()},
        "values": {"added": figures["topics"]["micro_f1"], "alone": by_itself[""]["micro_f1"]},
    }


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One measurement."""
    if key["measure"] == "speed":
        return measure_speed(key["size"])
    return train_added(key) if key["measure"] == "adding" else train_quality(key)


def main() -> None:
    """Run what is missing and write the table."""
    quality = [
        {"measure": "quality", "set": data, "way": way, "seed": seed, **T5}
        for seed in SEEDS
        for data, tasks in TASKS.items()
        for way in ("one run", *tasks)
    ]
    keys = [
        *({"measure": "speed", "size": size} for size in ("bundled", "t5-base")),
        *({"measure": "adding", "seed": seed, **T5} for seed in SEEDS),
        *quality,
    ]
    records = records_asked_for(__doc__, FILE, keys, run)
    flat = [
        {"set": r["set"], "way": "one run" if r["way"] == "one run" else "alone", "task": task, "value": value}
        for r in records
        if r["measure"] == "quality"
        for task, value in r["values"].items()
    ]
    value = mean_and_spread(flat, ("set", "task", "way"), "value")
    rows = [
        [f"{data}, {task} ({FIGURES[task]})", *(value.get((data, task, way), "") for way in ("one run", "alone"))]
        for data, tasks in TASKS.items()
        for task in tasks
    ]
    notes = [
        f"Speed, {r['size']}: one pass takes {r['over_one_alone']} times the time of the slowest task alone, and the "
        f"four in turn {r['in_turn_over_it']} times that of one pass (median, least, greatest)."
        for r in records
        if r["measure"] == "speed"
    ]
    for r in records:
        if r["measure"] == "adding":
            whole, training, steps, values = (r[name] for name in ("seconds", "training_seconds", "steps", "values"))
            notes.append(
                f"Adding topics to a frozen encoder, seed {r['seed']}: a run of {whole['added']:.0f} s against "
                f"{whole['alone']:.0f} s alone ({whole['added'] / whole['alone']:.2f}), training "
                f"{training['added']:.0f} and {training['alone']:.0f} s "
                f"({training['added'] / training['alone']:.2f}; {steps['added']} and {steps['alone']} steps); "
                f"micro F1 {values['added']:.3f} and {values['alone']:.3f}."
            )
    notes.append("Mean ± standard deviation over the seeds on file.")
    write_table(FILE, __doc__, records, markdown_table(["test", "one run", "alone"], rows), "\n".join(notes))


if __name__ == "__main__":
    main()
