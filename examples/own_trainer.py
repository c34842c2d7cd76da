"""EncT5 in a loop of your own: an ordinary transformers model, the stock Trainer, a data set in memory.

python examples/own_trainer.py
"""

import argparse
import json
import tempfile

from datasets import Dataset
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

from enct5 import EncT5ForSequenceClassification, Predictor
from enct5.assets import bundled_t5, demo_data

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=float, default=5)
parser.add_argument("--base", default=str(bundled_t5()), help="T5 to start from, such as google-t5/t5-base")
arguments = parser.parse_args()


def rows(split: str) -> list[dict]:
    """The demo's messages of a split."""
    return [json.loads(line) for line in demo_data(split).read_text(encoding="utf-8").splitlines()]


tokenizer = AutoTokenizer.from_pretrained(arguments.base)
labels = sorted({row["intent"] for row in rows("train")})


def as_dataset(split: str) -> Dataset:
    """Token ids and label numbers, as a Trainer wants them."""
    found = rows(split)
    tokens = tokenizer([row["text"] for row in found], truncation=True, max_length=128)
    return Dataset.from_dict({**tokens, "labels": [labels.index(row["intent"]) for row in found]})


model = EncT5ForSequenceClassification.from_t5(arguments.base, id2label=dict(enumerate(labels)))
# For a T5 whose decoder has learned to write, as Google's have, `enct5.training.model_init.start_as_mean(model)` gives
# the start that `enct5 train` gives it; the bundled T5's has learned to read already.

with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model,
        TrainingArguments(
            folder,
            num_train_epochs=arguments.epochs,
            learning_rate=1e-3,  # AdamW's; a small model needs a high rate
            per_device_train_batch_size=32,
            warmup_steps=10,
            label_smoothing_factor=0.1,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=as_dataset("train"),
        eval_dataset=as_dataset("validation"),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda given: {"accuracy": float((given.predictions.argmax(1) == given.label_ids).mean())},
    )
    trainer.train()

classifier = Predictor(model, tokenizer)  # of a model in memory; it is fast for it, too
print(classifier.predict("where is my parcel?"))
