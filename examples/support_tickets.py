"""Sort support tickets, and leave to a person what the model is not sure of.

python examples/support_tickets.py
"""

import argparse
import json
import tempfile

from enct5 import Predictor
from enct5.assets import demo_data
from enct5.training import TrainConfig, train

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=float, default=5, help="the defaults of a real run are 20 for so few texts")
parser.add_argument("--base", default="bundled", help="T5 to start from, such as google-t5/t5-base")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as folder:
    config = TrainConfig.checked(
        data=str(demo_data("train")),
        eval=str(demo_data("validation")),
        text="text",
        label="intent",
        out=f"{folder}/run",
        epochs=arguments.epochs,
        base=arguments.base,
    )
    train(config)
    classifier = Predictor.from_pretrained(f"{folder}/run")

tickets = [json.loads(line) for line in demo_data("test").read_text(encoding="utf-8").splitlines()]
results = classifier.predict([ticket["text"] for ticket in tickets])

print("score from   answered   of these right")
for threshold in (0.0, 0.3, 0.5, 0.7):
    answered = [
        result["label"] == ticket["intent"]
        for ticket, result in zip(tickets, results, strict=True)
        if result["score"] >= threshold
    ]
    right = f"{sum(answered) / len(answered):.2f}" if answered else "-"
    print(f"{threshold:10.1f} {len(answered) / len(tickets):10.2f} {right:>16}")

new = ["where is my parcel?", "The lamp came in two pieces.", "hello?"]
for text, result in zip(new, classifier.predict(new, abstain_below=0.3), strict=True):
    print(f"{text:32} -> {result['label'] or 'a person'} ({result['score']:.2f})")
