"""Find products, places, dates, amounts and order numbers in messages.

python examples/entities.py
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
        label="entities",  # spans with start, end and label, so tokens are tagged
        out=f"{folder}/run",
        epochs=arguments.epochs,
        base=arguments.base,
    )
    record = train(config)
    finder = Predictor.from_pretrained(f"{folder}/run")

print("entity F1 on the validation messages:", round(record["metrics"]["entity_f1"], 3))
for text in ["I ordered a lamp on 3 May, order 48213.", "Please refund the 25 euros for the teapot."]:
    (result,) = finder.predict([text])
    print(text)
    for entity in result["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        print(f"  {entity['label']:12} {entity['text']} ({entity['score']:.2f})")
