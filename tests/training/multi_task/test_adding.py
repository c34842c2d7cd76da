"""Tasks added to a base, and runs of one encoder merged: what was there stays as it is, bit for bit."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enct5 import Predictor
from enct5.cli.merging import merge
from enct5.errors import EncT5Error
from enct5.inference.evaluation import evaluate
from enct5.model.loading import load_tokenizer
from enct5.training.trainer import EncT5Trainer
from helpers.runs import Run, start, weights
from helpers.several_tasks import write_partly_labelled

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = ["", "where is my card", "coffee late road " * 20]


@pytest.fixture(scope="module")
def added(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("added")
    source = write_partly_labelled(folder / "train.jsonl", 60)
    tasks = {"topics": "topics:multi", "urgency": "urgency"}
    start(run.out, folder / "run", source, label="", add_tasks=tasks, epochs=2)
    return folder / "run"


def test_the_base_and_its_task_stay_as_they_are(run: Run, added: Path) -> None:
    old, new = Predictor.from_pretrained(run.out), Predictor.from_pretrained(added)
    found = new.logits(TEXTS)
    assert list(found) == ["label", "topics", "urgency"]
    np.testing.assert_array_equal(found["label"], old.logits(TEXTS))
    assert new.tokenizer.model_max_length == old.tokenizer.model_max_length
    before, after = weights(run.out), weights(added)
    for name, tensor in before.items():
        own = name.replace("transformer.decoder", "readers.task_label.decoder")
        own = own.replace("classifier.", "readers.task_label.classifier.") if name.startswith("classifier") else own
        assert torch.equal(after[own], tensor), name


def test_the_record_has_old_tasks_and_new_ones(run: Run, added: Path) -> None:
    record = json.loads((added / "metrics.json").read_text(encoding="utf-8"))
    assert list(record["tasks"]) == ["label", "topics", "urgency"]
    assert record["tasks"]["label"]["metrics"] == run.record["metrics"]
    again = evaluate(Predictor.from_pretrained(added), run.source)
    assert list(again["tasks"]) == ["label"]
    assert "topics: not measured, as there is no column topics" in again["notes"]


def test_runs_of_a_frozen_encoder_are_merged(run: Run, added: Path, tmp_path: Path) -> None:
    source = write_partly_labelled(tmp_path / "train.jsonl", 60)
    start(run.out, tmp_path / "tags", source, label="", tasks={"places": "places"}, freeze_encoder=True, epochs=1)
    merge([str(added), str(tmp_path / "tags")], tmp_path / "all")
    found, one = Predictor.from_pretrained(tmp_path / "all"), Predictor.from_pretrained(added)
    together, before = found.logits(TEXTS), one.logits(TEXTS)
    assert list(together) == ["label", "topics", "urgency", "places"]
    for name, logits in before.items():
        np.testing.assert_array_equal(together[name], logits)
    tags = Predictor.from_pretrained(tmp_path / "tags").logits(TEXTS)["places"]
    for own, other in zip(together["places"], tags, strict=True):
        np.testing.assert_array_equal(own.logits, other.logits)
    assert found.tokenizer.model_max_length == one.tokenizer.model_max_length
    with pytest.raises(EncT5Error, match=r"exists and is not empty; choose another folder, or delete it$"):
        merge([str(added)], tmp_path / "all")
    with pytest.raises(EncT5Error, match="two tasks are called `label`; call one of them something else"):
        merge([str(added), str(run.out)], tmp_path / "twice")
    with pytest.raises(EncT5Error, match="have a result called `a_score`"):
        merge([f"a={run.out}", f"a_score={run.out}"], tmp_path / "columns")
    with pytest.raises(EncT5Error, match="the encoder of 'b' is not that of 'a'"):
        merge([f"a={run.out}", f"b={_trained_further(run, tmp_path)}"], tmp_path / "other")
    with pytest.raises(
        EncT5Error, match=f"^{tmp_path / 'renamed'} has another tokenizer than {run.out}; tasks share one$"
    ):
        merge([f"a={run.out}", f"b={_with_another_tokenizer(run, tmp_path)}"], tmp_path / "tokens")
    assert not [name for name in ("twice", "columns", "other", "tokens") if (tmp_path / name).exists()]


def _with_another_tokenizer(run: Run, folder: Path) -> Path:
    """The same model, whose tokenizer knows a word more."""
    shutil.copytree(run.out, folder / "renamed")
    tokenizer = load_tokenizer(str(run.out))
    tokenizer.add_tokens(["coffeecup"])
    tokenizer.save_pretrained(folder / "renamed")
    return folder / "renamed"


def _trained_further(run: Run, folder: Path) -> Path:
    start(run.base, folder / "further", run.source, epochs=1)
    return folder / "further"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"add_tasks": {"label": "intent"}}, "has a task `label` already; call the new one something else"),
        ({"add_tasks": {"mood": "intent"}, "window": 16}, "--window is 16, but the tasks of .* read texts with"),
        ({"add_tasks": {"mood": "intent"}, "max_length": 16}, "--max-length is 16, but the tasks of .* read texts"),
        ({"add_tasks": {"label_score": "urgency"}}, "have a result called `label_score`; call one of them something"),
    ],
)
def test_what_would_change_the_bases_tasks_is_refused(
    options: dict[str, Any], message: str, run: Run, tmp_path: Path
) -> None:
    source = write_partly_labelled(tmp_path / "train.jsonl", 60)
    with pytest.raises(EncT5Error, match=message):
        start(run.out, tmp_path / "run", source, label="", **options)


def test_added_tags_are_trained_on_the_states_of_the_bases_windows(run: Run, tmp_path: Path) -> None:
    start(run.base, tmp_path / "base", run.source, epochs=1, window=8)
    seen: list[int | None] = []

    class Watched(EncT5Trainer):
        def train(self, *args: Any, **kwargs: Any) -> Any:
            seen.append(self.model.config.encoder_window)
            return super().train(*args, **kwargs)

    source = write_partly_labelled(tmp_path / "train.jsonl", 60)
    tags: dict[str, Any] = {"add_tasks": {"places": "places"}, "epochs": 1, "trainer_class": Watched}
    start(tmp_path / "base", tmp_path / "run", source, label="", **tags)
    assert seen == [8]
    assert Predictor.from_pretrained(tmp_path / "run").model.config.encoder_window == 8


def test_a_base_that_does_not_name_its_task_is_told_to(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.out, tmp_path / "base")
    (tmp_path / "base" / "train_config.yaml").unlink()
    base = str(tmp_path / "base")
    source = write_partly_labelled(tmp_path / "train.jsonl", 60)
    with pytest.raises(
        EncT5Error, match=f"^{base} does not say what its task is called; give it a name first: enct5 m"
    ):
        start(tmp_path / "base", tmp_path / "run", source, label="", add_tasks={"a": "intent"})
    with pytest.raises(EncT5Error, match=f"^{base} does not say what its task is called; name it: NAME={base}$"):
        merge([base], tmp_path / "merged")


def test_a_base_whose_configuration_cannot_be_is_one_line(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.out, tmp_path / "base")
    file = tmp_path / "base" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), "num_decoder_layers": 0}))
    source = write_partly_labelled(tmp_path / "train.jsonl", 60)
    with pytest.raises(EncT5Error, match=r"^`num_decoder_layers` is 0; EncT5 needs at least one \(base: .*base\)$"):
        start(tmp_path / "base", tmp_path / "run", source, label="", add_tasks={"a": "intent"})


def test_a_base_without_tasks_takes_none(run: Run, tmp_path: Path) -> None:
    source = write_partly_labelled(tmp_path / "train.jsonl", 60)
    with pytest.raises(EncT5Error, match="is no EncT5 model, and --add-task adds to what one has"):
        start(run.base, tmp_path / "run", source, label="", add_tasks={"a": "intent"})
