"""Labels added to a trained model: what it had before stays as it is, bit for bit, and the new ones are learned."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enct5 import Predictor
from enct5.errors import EncT5Error
from enct5.export import export
from enct5.inference.evaluation import evaluate
from helpers.runs import (
    InterruptedRunError,
    Run,
    assert_same_weights,
    messages,
    numbers,
    several_labels,
    start,
    weights,
)
from helpers.several_tasks import arrays_of, write_partly_labelled
from helpers.tables import write_rows
from helpers.tagging_runs import TaggingRun

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = ["", "where is my card", "coffee late road " * 20, "hello friend"]


def greetings(count: int) -> list[dict[str, Any]]:
    """Messages of the old labels, and of two new ones."""
    new = [
        {"text": f"{word} {row['text'].split()[0]} {word} friend", "label": label}
        for row in messages(count, 5)
        for word, label in (("hello", "greeting"), ("bye", "farewell"))
    ]
    return [*messages(count, 4), *new]


def more_things(count: int) -> list[dict[str, Any]]:
    """Texts with a place, and a beast, which is new."""
    return [
        {
            "text": f"where {number} is the cat on my road",
            "entities": [_span(16, "cat", "beast"), _span(26, "road", "place")],
        }
        for number in range(10, 10 + count)
    ]


def _span(start: int, content: str, label: str) -> dict[str, Any]:
    return {"start": start, "end": start + len(content), "label": label}


@pytest.fixture(scope="module")
def grown(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that adds two labels to those of `run`."""
    made = Run.__new__(Run)
    folder = tmp_path_factory.mktemp("grown")
    made.base, made.out, made.said = run.out, folder / "run", []
    made.source = write_rows(folder / "more.jsonl", greetings(40))
    settings: dict[str, Any] = {"eval": write_rows(folder / "held_out.jsonl", greetings(25)), "learning_rate": 3e-2}
    made.record = start(run.out, made.out, made.source, made.said, add_labels=True, epochs=12, **settings)
    return made


def test_old_labels_keep_their_logits_and_new_ones_are_learned(run: Run, grown: Run) -> None:
    old, new = Predictor.from_pretrained(run.out), Predictor.from_pretrained(grown.out)
    before, after = old.model.config, new.model.config
    names = [after.id2label[number] for number in range(after.num_labels)]
    assert names[:3] == [before.id2label[number] for number in range(3)]
    assert names[3:] == ["farewell", "greeting"]
    assert after.label_parts == [3, 2]
    np.testing.assert_array_equal(new.logits(TEXTS)[:, :3], old.logits(TEXTS))
    inputs = new.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(new.model(**inputs).logits[:, :3], old.model(**inputs).logits)
    assert [found["label"] for found in new.predict(["hello card hello friend", "bye where bye friend"])] == names[
        :2:-1
    ]
    assert min(row["f1"] for row in grown.record["per_label"][3:]) > 0.8
    assert "temperature" not in grown.record


def test_all_tensors_but_new_rows_are_the_bases(run: Run, grown: Run) -> None:
    before, after = weights(run.out), weights(grown.out)
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(after[name][: len(tensor)] if name.startswith("classifier.") else after[name], tensor), name
    assert len(after["classifier.weight"]) == 5
    assert after["classifier.bias"][3:].all()


def test_evaluation_of_the_folder_gives_the_figures_of_the_run(grown: Run) -> None:
    again = evaluate(Predictor.from_pretrained(grown.out), str(grown.out.parent / "held_out.jsonl"))
    assert again["metrics"] == pytest.approx(grown.record["metrics"], rel=1e-5)
    assert again["per_label"] == grown.record["per_label"]
    assert json.loads((grown.out / "metrics.json").read_text(encoding="utf-8"))["base"] == "run"


def test_labels_can_be_added_again_and_an_interrupted_run_goes_on(grown: Run, tmp_path: Path) -> None:
    rows = [*greetings(20), *({"text": f"thanks a lot {number}", "label": "thanks"} for number in range(20))]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    held_out = write_rows(tmp_path / "eval.jsonl", rows)
    settings: dict[str, Any] = {"add_labels": True, "eval": held_out, "epochs": 4, "learning_rate": 3e-2}
    start(grown.out, tmp_path / "whole", source, **settings)
    lines: list[str] = []

    def stop(line: str) -> None:
        lines.append(line)
        if sum(one.startswith("epoch ") for one in lines) == 5:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        start(grown.out, tmp_path / "run", source, hear=stop, **settings)
    assert start(grown.out, tmp_path / "run", source, resume=True, **settings)["resumed"]
    assert_same_weights(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    old, new = Predictor.from_pretrained(grown.out), Predictor.from_pretrained(tmp_path / "run")
    assert new.model.config.label_parts == [3, 2, 1]
    np.testing.assert_array_equal(new.logits(TEXTS)[:, :5], old.logits(TEXTS))


def test_tags_of_a_new_label(tagging_run: Callable[..., TaggingRun], tmp_path: Path) -> None:
    base = tagging_run("text", "entities")
    source = write_rows(tmp_path / "rows.jsonl", more_things(40))
    settings: dict[str, Any] = {"text": ("text",), "label": "entities", "epochs": 12, "learning_rate": 3e-2}
    record = start(base.out, tmp_path / "run", source, add_labels=True, **settings)
    old, new = Predictor.from_pretrained(base.out), Predictor.from_pretrained(tmp_path / "run")
    tags = [new.model.config.id2label[number] for number in range(7)]
    assert tags == ["O", "B-place", "I-place", "B-thing", "I-thing", "B-beast", "I-beast"]
    texts = [*TEXTS, "my cat and the coffee at bank street"]
    for own, other in zip(arrays_of(new.logits(texts)), arrays_of(old.logits(texts)), strict=True):
        np.testing.assert_array_equal(own[:, :5], other)
    assert new.tokenizer.model_max_length == old.tokenizer.model_max_length
    assert "beast" in {row["label"] for row in record["per_label"]}


@pytest.fixture(scope="module")
def several(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    source = write_partly_labelled(folder / "train.jsonl", 60)
    tasks = {"intent": "intent", "topics": "topics:multi", "urgency": "urgency"}
    start(t5_folder(), folder / "run", source, label="", tasks=tasks, epochs=2)
    return folder / "run"


def test_one_of_several_tasks_gets_labels(several: Path, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", greetings(40))
    settings: dict[str, Any] = {"add_labels": True, "epochs": 4, "learning_rate": 3e-2}
    record = start(several, tmp_path / "run", source, label="", tasks={"intent": "label"}, **settings)
    old, new = Predictor.from_pretrained(several), Predictor.from_pretrained(tmp_path / "run")
    before, after = old.logits(TEXTS), new.logits(TEXTS)
    assert list(after) == ["intent", "topics", "urgency"] == list(record["tasks"])
    for name, logits in before.items():
        np.testing.assert_array_equal(after[name][:, : logits.shape[1]], logits)
    assert after["intent"].shape[1] == 5
    assert new.model.config.task_values("intent")["label_parts"] == [3, 2]
    assert new.model.config.task_values("intent")["label_column"] == "intent"
    earlier = json.loads((several / "metrics.json").read_text(encoding="utf-8"))
    assert record["tasks"]["topics"] == earlier["tasks"]["topics"]
    assert record["tasks"]["intent"]["class_counts"]["greeting"] > 0


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (messages(30), {}, "the data has no label but those of .*run .*Café.*; check it, or leave out --add-l"),
        (
            [row for row in greetings(30) if row["label"] in ("greeting", "farewell")],
            {},
            "the data has none of the labels of .*, so that every text would get a new one; add rows of these, too",
        ),
        (greetings(30), {"task": "multi"}, "does single-label classification: one class per text, not multi; leave"),
        (greetings(30), {"label": "", "tasks": {"a": "label"}}, "has one task, without a name; name the column by --l"),
        (greetings(30), {"window": 16}, "--window is 16, but the tasks of .* read texts with"),
        (greetings(30), {"max_length": 16}, "--max-length is 16, but the tasks of .* read texts with"),
    ],
    ids=["none new", "none old", "other kind", "named task", "window", "length"],
)
def test_what_cannot_be_added_is_refused(
    rows: list[dict[str, Any]], options: dict[str, Any], message: str, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(EncT5Error, match=message):
        start(run.out, tmp_path / "out", write_rows(tmp_path / "rows.jsonl", rows), add_labels=True, **options)


def test_bases_whose_labels_cannot_grow_are_refused(run: Run, several: Path, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", greetings(30))

    def refused(base: Path, message: str, **options: Any) -> None:
        with pytest.raises(EncT5Error, match=message):
            start(base, tmp_path / "out", source, add_labels=True, **options)

    refused(run.base, "is no EncT5 model, and --add-labels adds to what one has; train one first")
    refused(several, r"has several tasks \(intent, topics, urgency\); say which gets labels: --task NAME=COLUMN")
    refused(several, "no task `intend`; did you mean `intent`?", label="", tasks={"intend": "label"})
    refused(
        several,
        "task topics: labels that a text may have several of have a prompt each",
        label="",
        tasks={"topics": "label"},
    )
    refused(several, "task urgency: .* predicts numbers, which are no labels", label="", tasks={"urgency": "label"})
    for name, rows in (("multi", several_labels(30)), ("regression", numbers(30))):
        start(run.base, tmp_path / name, write_rows(tmp_path / f"{name}.jsonl", rows), task=name, epochs=1)
    refused(tmp_path / "multi", "let the new ones be a task of their own: --add-task NAME=COLUMN:multi$")
    refused(tmp_path / "regression", "predicts numbers, which are no labels; leave out --add-labels")


def test_the_export_has_the_same_logits(grown: Run, tmp_path: Path) -> None:
    assert export(str(grown.out), tmp_path / "onnx").difference < 1e-5
    exported, new = Predictor.from_pretrained(tmp_path / "onnx"), Predictor.from_pretrained(grown.out)
    np.testing.assert_allclose(exported.logits(TEXTS), new.logits(TEXTS), atol=1e-4)


def test_further_training_has_one_head_again(grown: Run, tmp_path: Path) -> None:
    start(grown.out, tmp_path / "run", grown.source, epochs=1)
    assert Predictor.from_pretrained(tmp_path / "run").model.config.label_parts is None
