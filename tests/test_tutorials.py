"""The Python of the tutorials and guides is run, with models that nobody trained: what they say is not looked at."""

import json

import pytest

from helpers.documents import python_blocks
from helpers.paths import ROOT

SINGLE, MULTI, TOKENS = "single_label_classification", "multi_label_classification", "token_classification"
TOPICS = ("account", "delivery", "payment")
# Document, then the run folder that it loads, with its labels and task.
DOCUMENTS = [
    ("docs/tutorials/classification.md", "runs/intents", ("parcel", "invoice", "refund"), SINGLE),
    ("docs/tutorials/multi-label.md", "runs/topics", TOPICS, MULTI),
    ("docs/tutorials/pairs-and-ranking.md", "runs/ranker", ("no", "yes"), SINGLE),
    ("docs/tutorials/tagging.md", "runs/entities", ("O", "B-place", "I-place"), TOKENS),
    ("docs/tutorials/many-labels.md", "runs/topics", TOPICS, MULTI),
    ("docs/tutorials/few-labels.md", "runs/few", ("parcel", "invoice", "refund"), SINGLE),
    ("docs/tutorials/long-texts.md", "runs/long", ("parcel", "invoice", "refund"), SINGLE),
]


def save(base, folder, labels, task, text):
    """A run folder with a new model."""
    from enct5.model.conversion import convert
    from enct5.model.loading import load_tokenizer
    from enct5.training.config import TrainConfig

    model = convert(str(base), problem_type=task, id2label=dict(enumerate(labels))).model
    if task == MULTI:
        model.config.thresholds = [0.5] * len(labels)
    model.save_pretrained(folder)
    tokenizer = load_tokenizer(str(base))
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(folder)
    config = TrainConfig.checked(data="train.jsonl", text=text, label="label", out=str(folder))
    config.write(folder / "train_config.yaml")


@pytest.mark.parametrize(("document", "folder", "labels", "task"), DOCUMENTS, ids=[made[0] for made in DOCUMENTS])
def test_python_of_a_tutorial_runs(document, folder, labels, task, tmp_path, monkeypatch, t5_folder):
    text = ("query", "document") if folder == "runs/ranker" else ("text",)
    save(t5_folder(), tmp_path / folder, labels, task, text)
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    blocks = python_blocks(document)
    assert blocks
    for block in blocks:
        exec(block, namespace)
    wanted = {"docs/tutorials/pairs-and-ranking.md": 48, "docs/tutorials/few-labels.md": 8 * 12}.get(document)
    for written in tmp_path.glob("*.jsonl"):
        assert len([json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]) == wanted


def test_the_descriptions_of_the_tutorial_are_read_and_are_those_of_the_demo(tmp_path, monkeypatch):
    from enct5.assets import demo_data
    from enct5.training.label_prompts import read_descriptions

    monkeypatch.chdir(tmp_path)
    exec(python_blocks("docs/tutorials/many-labels.md")[0], {})
    rows = [json.loads(line) for line in demo_data("train").read_text(encoding="utf-8").splitlines()]
    topics = sorted({topic for row in rows for topic in row["topics"]})
    texts, unused = read_descriptions("topics.yaml", topics)
    assert (len(texts), unused) == (len(topics), [])


def test_every_tutorial_is_run():
    assert sorted(made[0] for made in DOCUMENTS) == sorted(
        f"docs/tutorials/{path.name}" for path in (ROOT / "docs" / "tutorials").glob("*.md")
    )
