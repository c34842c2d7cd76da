"""The demo: from labelled messages to a working classifier in a few minutes on two cores."""

import tempfile
from pathlib import Path

from enct5.assets import demo_data
from enct5.cli import start, tables
from enct5.cli.options import say
from enct5.data import reading
from enct5.data.columns import read_texts
from enct5.files.writing import refuse_occupied
from enct5.inference.evaluation import evaluate
from enct5.training.config import TrainConfig

SHOWN = 8


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
            data=str(demo_data("train")), eval=str(demo_data("validation")), text=("text",), label="intent", out=folder
        )
        say("$ enct5 train train.jsonl --eval validation.jsonl --text text --label intent")
        record = start.train(config, False)
        from enct5.inference.predictor import Predictor

        predictor = Predictor.from_pretrained(folder)
        test = str(demo_data("test"))
        measured = evaluate(predictor, test)
        tables.show_metrics(measured["metrics"], measured["per_label"], f"{measured['rows']} test messages")
        table = reading.read_table(test)
        texts = read_texts(table, ["text"])[:SHOWN]
        rows = [
            {"text": text, "intent": intent, "predicted": result["label"], "score": result["score"]}
            for text, intent, result in zip(texts, table["intent"][:SHOWN], predictor.predict(texts), strict=True)
        ]
        tables.show_predictions(rows)
        say(
            f"trained in {record['seconds']:.0f} s from the bundled T5, which is tiny: with a real one (--base "
            "google-t5/t5-base) expect much better"
        )
        if out:
            say(f"the run folder is {out}")
