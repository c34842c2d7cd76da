"""The demo: from labelled messages to a model of four tasks in a few minutes on two cores."""

import tempfile
from pathlib import Path
from typing import Any

from enct5.assets import demo_data
from enct5.cli import start, tables
from enct5.cli.options import say
from enct5.data import reading
from enct5.data.columns import read_texts
from enct5.files.writing import refuse_occupied
from enct5.inference.evaluation import evaluate
from enct5.training.config import TrainConfig

SHOWN = 6
TASKS = {"intent": "intent", "topics": "topics:multi", "urgency": "urgency:regression", "entities": "entities:tokens"}


def run(out: str | None) -> None:
    """Train on the bundled messages, measure on their test split and show some predictions.

    Args:
        out: run folder to keep; `None` for a temporary one.
    """
    if out:
        refuse_occupied(Path(out), "choose another --out, or delete it")
    with tempfile.TemporaryDirectory(prefix="enct5-demo-") as temporary:
        folder = out or str(Path(temporary) / "run")
        config = TrainConfig.checked(
            data=str(demo_data("train")), eval=str(demo_data("validation")), text=("text",), tasks=TASKS, out=folder
        )
        options = " ".join(f"--task {name}={column}" for name, column in TASKS.items())
        say(f"$ enct5 train train.jsonl --eval validation.jsonl --text text {options}")
        record = start.train(config, False)
        from enct5.inference.predictor import Predictor

        predictor = Predictor.from_pretrained(folder)
        test = str(demo_data("test"))
        measured = evaluate(predictor, test)
        tables.show_metrics(measured["metrics"], [], f"{measured['rows']} test messages")
        texts = read_texts(reading.read_table(test), ["text"])[:SHOWN]
        tables.show_predictions(
            [_row(text, found) for text, found in zip(texts, predictor.predict(texts), strict=True)]
        )
        say(
            f"one model, one pass over a message, {len(TASKS)} tasks; trained in {record['seconds']:.0f} s from the "
            "bundled T5, which is tiny: with a real one (--base google-t5/t5-base) expect much better"
        )
        if out:
            say(f"the run folder is {out}")


def _row(text: str, found: dict[str, Any]) -> dict[str, Any]:
    """A message with what the model makes of it, in a line."""
    return {
        "message": text,
        "intent": found["intent"]["label"],
        "topics": ", ".join(found["topics"]["labels"]),
        "urgency": f"{found['urgency']['value']:.2f}",
        "entities": ", ".join(f"{one['text']} ({one['label']})" for one in found["entities"]["entities"]),
    }
