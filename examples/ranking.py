"""Learn from judged pairs which answer fits a question, and rank answers for a new one.

python examples/ranking.py
"""

import argparse
import json
import tempfile
from pathlib import Path

from enct5 import Predictor
from enct5.training import TrainConfig, train

ANSWERS = {
    "Returns are free within 30 days; print the label in your account.": [
        "how do I return a parcel?",
        "can I send the shoes back?",
        "I do not want it any more, what now?",
        "is sending something back free?",
    ],
    "Parcels arrive within three working days; the e-mail has a tracking number.": [
        "when will my order arrive?",
        "where is my delivery?",
        "how long does shipping take?",
        "can I track my parcel?",
    ],
    "We take cards, PayPal and bank transfers.": [
        "how can I pay?",
        "do you take credit cards?",
        "is PayPal possible?",
        "may I pay by bank transfer?",
    ],
    "Invoices are in your account, under Orders, as PDF.": [
        "where do I find the invoice?",
        "I need a receipt for my taxes",
        "can you send me the bill as PDF?",
        "invoice for order 4711, please",
    ],
    "Reset your password by the link on the login page.": [
        "I forgot my password",
        "I cannot log in",
        "my login does not work any more",
        "how do I change my password?",
    ],
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=float, default=8, help="passes over the 100 pairs")
parser.add_argument("--base", default="bundled", help="T5 to start from, such as google-t5/t5-base")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as folder:
    pairs = Path(folder) / "pairs.jsonl"
    with pairs.open("w", encoding="utf-8") as file:
        for fitting, questions in ANSWERS.items():
            for question in questions:
                for answer in ANSWERS:
                    row = {"question": question, "answer": answer, "fits": "yes" if answer == fitting else "no"}
                    file.write(json.dumps(row) + "\n")
    config = TrainConfig.checked(
        data=str(pairs),
        text=("question", "answer"),
        label="fits",
        out=f"{folder}/run",
        epochs=arguments.epochs,
        base=arguments.base,
        class_weights="balanced",  # one pair in five fits
    )
    train(config)
    ranker = Predictor.from_pretrained(f"{folder}/run")

for question in ["I lost my password", "the parcel is late", "please let me have an invoice"]:
    print(question)
    for hit in ranker.rank(question, list(ANSWERS), top_k=2):
        print(f"  {hit['score']:.2f}  {hit['document']}")
