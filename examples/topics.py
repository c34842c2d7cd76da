"""Several topics a message, each with a threshold of its own.

python examples/topics.py
"""

import argparse
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
        label="topics",  # a column of lists, so it is multi-label
        out=f"{folder}/run",
        epochs=arguments.epochs,
        base=arguments.base,
    )
    record = train(config)
    tagger = Predictor.from_pretrained(f"{folder}/run")

print("macro F1 on the validation messages:", round(record["metrics"]["macro_f1"], 3))
thresholds = tagger.model.config.thresholds
for index, name in sorted(tagger.model.config.id2label.items()):
    print(f"  {name:18} is given from {thresholds[index]:.2f} on")

for text in ["The courier lost my parcel and I want my money back.", "Your site does not let me log in."]:
    (result,) = tagger.predict([text])
    print(text, "->", ", ".join(result["labels"]) or "none")
