"""Do explanations name the words that count? A deletion test on sst2.

    python benchmarks/explanations.py            (writes results/explanations.jsonl and .md)

A model is trained on a fixed sample of 5,000 rows, once a seed. From each of 300 dev sentences (of at least ten words)
the highest-ranked 10, 20 and 30 % of the words are removed. The better a ranking finds what a prediction rests on, the
further the probability of the predicted label falls, and the more often another label is predicted. Integrated
gradients are what `Predictor.explain` gives; gradient x input is the cheaper way it could have been done.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from records import RESULTS, T5, markdown_table, mean_and_spread, run_missing, with_keys, write_table
from sets import CLASSIFICATION, DATA, SAMPLE_SEED
from training_runs import train

SEEDS = (1, 2, 3)
METHODS = ("attention", "gradient x input", "integrated gradients", "random")
FRACTIONS = (0.1, 0.2, 0.3)
FEWEST_WORDS = 10
SST2 = next(benchmark for benchmark in CLASSIFICATION if benchmark.name == "sst2")
FILE = RESULTS / "explanations.jsonl"


def sentences(count: int) -> list[str]:
    """A fixed sample of the dev sentences."""
    from enct5.data import reading

    table = reading.read_table(str(DATA / "sst2" / "dev.csv"))
    long = [text for text in table["sentence"][:] if len(text.split()) >= FEWEST_WORDS]
    return [long[row] for row in np.random.default_rng(SAMPLE_SEED).permutation(len(long))[:count]]


def gradient_x_input(model: Any, ids: Sequence[int], label: int) -> list[float]:
    """Each token's embedding times the logit's gradient there."""
    inputs = model.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_()
    logit = model(inputs_embeds=inputs, attention_mask=torch.ones(inputs.shape[:2])).logits[0, label]
    (gradient,) = torch.autograd.grad(logit, inputs)
    return (gradient * inputs.detach()).sum(-1)[0].tolist()


def rankings(predictor: Any, text: str, random: np.random.Generator) -> tuple[list[str], dict[str, np.ndarray]]:
    """The words of a text and, for every method, their order: the one that counts most comes first."""
    from enct5.explanations.words import align

    explanation = predictor.explain(text)
    explained = explanation.labels[0]
    aligned = align(predictor.tokenizer, [text])
    gradients = gradient_x_input(predictor.model, aligned.ids, predictor.model.config.label2id[explained.label])
    values = {
        "attention": np.array(explained.attention),
        "gradient x input": np.bincount(aligned.word_of_token, weights=gradients),
        "integrated gradients": np.array(explained.attribution),
        "random": random.random(len(explanation.words)),
    }
    real = [index for index, word in enumerate(explanation.words) if word.end > word.start]  # no end token
    words = [explanation.words[index].text for index in real]
    return words, {method: np.argsort(-value[real], kind="stable") for method, value in values.items()}


def without(words: list[str], order: np.ndarray, fraction: float) -> str:
    """The text without the first words of an order."""
    removed = set(order[: max(1, round(fraction * len(words)))].tolist())
    return " ".join(word for index, word in enumerate(words) if index not in removed)


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record: a trained model and what every method's deletions do to it."""
    with tempfile.TemporaryDirectory() as temporary:
        predictor, record = train(SST2, Path(temporary), key["seed"], key["rows"], epochs=key["epochs"])

    def scores(texts: list[str]) -> np.ndarray:
        return predictor.task.scores(predictor.logits(texts))

    random = np.random.default_rng(key["seed"])
    ranked = [rankings(predictor, text, random) for text in sentences(key["texts"])]
    whole = scores([" ".join(words) for words, _ in ranked])
    predicted, rows = whole.argmax(axis=1), np.arange(len(ranked))
    result = {"eval_accuracy": record["metrics"]["accuracy"], "probability": float(whole[rows, predicted].mean())}
    for method in METHODS:
        for fraction in FRACTIONS:
            reduced = scores([without(words, orders[method], fraction) for words, orders in ranked])
            fall = whole[rows, predicted] - reduced[rows, predicted]
            result[f"fall, {method}, {fraction:.0%}"] = float(fall.mean())
            result[f"flips, {method}, {fraction:.0%}"] = float((reduced.argmax(axis=1) != predicted).mean())
    return result


def table(records: list[dict[str, Any]]) -> str:
    """Methods against shares of removed words: fall of the probability, share of flipped predictions."""
    figures = {
        name: mean_and_spread(records, ("rows",), name) for name in records[0] if name.startswith(("fall", "fl"))
    }
    head = ["removed by", *(f"{figure}, {fraction:.0%}" for figure in ("fall", "flips") for fraction in FRACTIONS)]
    rows = [
        [
            method,
            *(
                next(iter(figures[f"{figure}, {method}, {fraction:.0%}"].values()))
                for figure in ("fall", "flips")
                for fraction in FRACTIONS
            ),
        ]
        for method in METHODS
    ]
    return markdown_table(head, rows)


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--table", action="store_true", help="only write the table of what is on file")
    parser.add_argument("--smoke", action="store_true", help="try the program on next to nothing; writes no results")
    arguments = parser.parse_args()
    size = {"rows": 200, "texts": 10, "epochs": 1} if arguments.smoke else {"rows": 5000, "texts": 300, "epochs": None}
    keys = [{"set": "sst2", **size, "seed": seed, **T5} for seed in SEEDS]
    if arguments.smoke:
        with tempfile.TemporaryDirectory() as temporary:
            print(table(run_missing(Path(temporary) / "smoke.jsonl", keys[:1], run, 1)))
        return
    records = with_keys(FILE, keys) if arguments.table else run_missing(FILE, keys, run, arguments.jobs)
    accuracy = next(iter(mean_and_spread(records, ("rows",), "eval_accuracy").values()))
    probability = next(iter(mean_and_spread(records, ("rows",), "probability").values()))
    note = (
        f"Mean ± standard deviation over the seeds on file ({', '.join(map(str, SEEDS))} when complete). Held-out "
        f"accuracy of the models: {accuracy}; probability of the predicted label before anything is removed: "
        f"{probability}."
    )
    write_table(FILE, __doc__, records, table(records), note)


if __name__ == "__main__":
    main()
