"""Train small matrices beside those of a base (LoRA), and load what was learned onto it with peft.

The base is the bundled T5, so that this runs anywhere; LoRA is for bases of billions of parameters.

python examples/lora.py
"""

import argparse
import sys
import tempfile
from pathlib import Path

from enct5 import Predictor
from enct5.assets import demo_data
from enct5.errors import is_installed
from enct5.training import TrainConfig, train

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=float, default=5, help="the defaults of a real run are 20 for so few texts")
parser.add_argument("--base", default="bundled", help="T5 to start from, such as google/flan-t5-xl")
arguments = parser.parse_args()

if not is_installed("peft"):
    sys.exit("LoRA needs peft: pip install 'enct5[peft]'")

with tempfile.TemporaryDirectory() as folder:
    config = TrainConfig.checked(
        data=str(demo_data("train")),
        eval=str(demo_data("validation")),
        text="text",
        label="intent",
        lora=True,
        out=f"{folder}/run",
        epochs=arguments.epochs,
        base=arguments.base,
    )
    record = train(config)
    run = Path(folder) / "run"
    learned = sum(path.stat().st_size for path in (run / "adapter").glob("*.safetensors"))
    whole = (run / "model.safetensors").stat().st_size
    print(f"what was learned has {learned / 1e6:.1f} MB, the whole model {whole / 1e6:.1f} MB")
    classifier = Predictor.from_pretrained(str(run))  # the run folder is that of any run, and needs no peft

print("accuracy on the validation messages:", round(record["metrics"]["accuracy"], 3))
print(classifier.predict("where is my parcel?"))
