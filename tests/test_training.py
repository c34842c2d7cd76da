"""Training from a file to a run folder: what is learned, what is kept, and what survives an interruption."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from enct5 import data, run_folder, training
from enct5.conversion import convert_folder
from enct5.errors import EncT5Error
from enct5.evaluation import evaluate
from enct5.modeling_enct5 import EncT5ForSequenceClassification
from enct5.predict import Predictor
from enct5.training_config import TrainConfig

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
LABELS = ("Café Ärger", "delivery", "refund")
WORDS = {"Café Ärger": "coffee milk cup", "delivery": "parcel late road", "refund": "money card bank"}
RUN_FILES = {
    "README.md",
    "config.json",
    "configuration_enct5.py",
    "metrics.json",
    "model.safetensors",
    "modeling_enct5.py",
    "report.html",
    "tokenizer.json",
    "tokenizer_config.json",
    "train_config.yaml",
}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def messages(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Messages whose label follows from their words."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = LABELS[number % 3]
        words = random.choice([*WORDS[label].split(), "the", "my", "where", "is"], size=random.integers(3, 9))
        rows.append({"text": " ".join([*words, random.choice(WORDS[label].split())]), "label": label})
    return rows


def start(base: Path, out: Path, source: str, said: list[str] | None = None, **options: Any) -> dict[str, Any]:
    """A short run on the columns `text` and `label`, unless options say otherwise."""
    settings = {"text": ("text",), "label": "label", "epochs": 5, "batch_size": 8, "learning_rate": 3e-3} | options
    resume = settings.pop("resume", False)
    say = settings.pop("say", (said if said is not None else []).append)
    config = TrainConfig.checked(data=source, base=str(base), out=str(out), **settings)
    return training.train(config, resume=resume, say=say)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


class Run:
    """A finished run: its folder, its data, its record and what it said."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.base, self.out, self.said = base, folder / "run", []
        self.source = write_rows(folder / "messages.jsonl", messages(60))
        self.record = start(base, self.out, self.source, self.said)


@pytest.fixture(scope="module")
def run(one_thread: None, t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(t5_folder(), tmp_path_factory.mktemp("training"))


def test_the_run_folder_has_all_files_of_the_design_and_no_others(run: Run) -> None:
    assert {path.name for path in run.out.iterdir()} == RUN_FILES
    assert all((run.out / name).stat().st_size > 100 for name in RUN_FILES)


def test_the_labels_keep_their_names(run: Run) -> None:
    config = json.loads((run.out / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "Café Ärger", "1": "delivery", "2": "refund"}
    assert config["label2id"] == {"Café Ärger": 0, "delivery": 1, "refund": 2}
    predicted = Predictor.from_pretrained(run.out).predict([row["text"] for row in messages(30, seed=9)])
    assert {result["label"] for result in predicted} <= set(LABELS)
    assert [row["label"] for row in run.record["per_label"]] == list(LABELS)


def test_the_folder_says_from_which_code_it_loads(run: Run) -> None:
    auto_map = json.loads((run.out / "config.json").read_text(encoding="utf-8"))["auto_map"]
    assert auto_map["AutoModelForSequenceClassification"] == "modeling_enct5.EncT5ForSequenceClassification"
    assert auto_map["AutoConfig"] == "configuration_enct5.EncT5Config"


def held_out(run: Run, path: Path) -> str:
    table = data.read_table(run.source)
    return write_rows(path, data.split_held_out(table, table["label"][:], 0.1, 42)[1].to_list())


def test_metrics_are_those_of_the_saved_model_on_the_held_out_rows(run: Run, tmp_path: Path) -> None:
    stored = json.loads((run.out / "metrics.json").read_text(encoding="utf-8"))
    again = evaluate(Predictor.from_pretrained(run.out), held_out(run, tmp_path / "held_out.jsonl"))
    assert again["metrics"] == stored["metrics"] == run.record["metrics"]
    assert again["per_label"] == stored["per_label"]
    assert again["rows"] == stored["data"]["eval_rows"] == 6


def test_metrics_json_is_the_record_of_the_run(run: Run) -> None:
    stored = json.loads((run.out / "metrics.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(run.record))
    assert stored["task"] == "single_label_classification"
    assert stored["data"]["file"] == "messages.jsonl"
    assert (stored["data"]["train_rows"], stored["data"]["texts_cut"]) == (54, 0)
    assert stored["data"]["class_counts"] == {"Café Ärger": 20, "delivery": 20, "refund": 20}
    assert stored["data"]["sha256"] == training._digest(run.source)
    assert (stored["base"], stored["seed"]) == (run.base.name, 42)
    assert stored["parameters"] == sum(tensor.numel() for tensor in weights(run.out).values())
    assert 0 < stored["best_step"] <= stored["steps"]


def test_the_resolved_settings_are_kept(run: Run) -> None:
    config = TrainConfig.read(run.out / "train_config.yaml")
    assert (config.epochs, config.learning_rate, config.precision) == (5, 3e-3, "float32")
    assert (config.data, config.text, config.label) == (run.source, ("text",), "label")


def test_the_run_says_its_task_classes_and_progress(run: Run) -> None:
    assert run.said[0] == "task: single-label classification: one class per text, 3 labels, 60 texts"
    assert run.said[1] == "texts a label: Café Ärger 20, delivery 20, refund 20"
    assert run.said[2].startswith("evaluation: 6 rows held out of messages.jsonl")
    assert run.said[3].startswith("5 epochs of 54 texts, learning rate 0.003")
    assert sum(line.startswith("epoch ") for line in run.said) == len(run.said) - 4


def test_the_learning_rate_rises_over_a_tenth_of_the_steps_and_falls_to_zero(run: Run) -> None:
    rates = {entry["step"]: entry["learning_rate"] for entry in run.record["history"] if "learning_rate" in entry}
    assert max(rates, key=rates.__getitem__) <= 5
    assert rates[max(rates)] < 1e-3


def test_the_same_seed_gives_the_same_weights(run: Run, tmp_path: Path) -> None:
    start(run.base, tmp_path / "again", run.source)
    assert_same_weights(weights(run.out), weights(tmp_path / "again"))


def test_another_seed_gives_other_weights(run: Run, tmp_path: Path) -> None:
    start(run.base, tmp_path / "other", run.source, seed=43, epochs=1)
    assert not torch.equal(weights(run.out)["classifier.weight"], weights(tmp_path / "other")["classifier.weight"])


@pytest.mark.slow
def test_default_settings_learn_32_examples(t5_folder: Base, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "few.jsonl", messages(32))
    record = start(
        t5_folder(), tmp_path / "run", source, eval=source, epochs=40, batch_size=8, learning_rate=None, patience=15
    )
    assert record["metrics"]["accuracy"] >= 0.95
    predicted = Predictor.from_pretrained(tmp_path / "run").predict([row["text"] for row in messages(32)])
    right = [result["label"] == row["label"] for result, row in zip(predicted, messages(32), strict=True)]
    assert np.mean(right) == record["metrics"]["accuracy"]


def test_defaults_follow_from_data_and_base(run: Run) -> None:
    config = TrainConfig.checked(data=run.source, text=("text",), label="label", out="unused")
    assert training._resolve(config, 256, 60).learning_rate == pytest.approx(1e-3, rel=0.05)
    assert training._resolve(config, 768, 60).learning_rate == pytest.approx(3e-4, rel=0.1)
    epochs = [training._resolve(config, 256, rows).epochs for rows in (10, 10_000, 67_000)]
    assert epochs == [30, 6, 3]
    assert training._resolve(config.model_copy(update={"epochs": 0.5}), 256, 10).epochs == 0.5


def script_scores(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Let evaluations find these accuracies, the last one for ever."""
    values = itertools.chain(scores, itertools.repeat(scores[-1]))
    monkeypatch.setattr(training, "_measure", lambda prepared, result: {"accuracy": next(values)})


def test_training_stops_when_patience_is_over(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script_scores(monkeypatch, [0.5, 0.7, 0.6])
    record = start(run.base, tmp_path / "run", run.source, patience=2)
    interval = record["best_step"] // 2
    assert record["steps"] == 4 * interval < run.record["steps"]


def test_the_best_model_is_saved_not_the_last(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script_scores(monkeypatch, [0.5, 0.9, 0.6])
    monkeypatch.setattr(run_folder, "finish", lambda out: None)  # keep the checkpoints
    record = start(run.base, tmp_path / "run", run.source, epochs=2, patience=15)
    checkpoints = {path.name: path for path in (tmp_path / "run" / "checkpoints").glob("checkpoint-*")}
    best, last = checkpoints[f"checkpoint-{record['best_step']}"], checkpoints[f"checkpoint-{record['steps']}"]
    assert best != last
    saved = weights(tmp_path / "run")
    assert_same_weights(saved, weights(best))
    assert not torch.equal(saved["classifier.weight"], weights(last)["classifier.weight"])


def test_bfloat16_training_reports_what_the_saved_model_does(run: Run, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": len(row["text"]) / 30} for row in messages(40)]
    source, held = write_rows(tmp_path / "a.jsonl", rows[:30]), write_rows(tmp_path / "b.jsonl", rows[30:])
    record = start(run.base, tmp_path / "run", source, eval=held, precision="bfloat16", epochs=2)
    predictor = Predictor.from_pretrained(tmp_path / "run")
    assert predictor.model.dtype == torch.float32
    # The rows are added up in another order.
    assert evaluate(predictor, held)["metrics"] == pytest.approx(record["metrics"], rel=1e-12)


def test_multi_label_runs_work(run: Run, tmp_path: Path) -> None:
    rows = [
        {"text": f"{a['text']} {b['text']}", "label": sorted({a["label"], b["label"]}) if number % 5 else []}
        for number, (a, b) in enumerate(zip(messages(30), messages(60)[20:50], strict=True))
    ]
    source = write_rows(tmp_path / "multi.jsonl", rows)
    record = start(run.base, tmp_path / "run", source, eval=source, epochs=2)
    assert record["task"] == "multi_label_classification"
    assert set(record["metrics"]) == {"micro_f1", "macro_f1", "subset_accuracy"}
    predictor = Predictor.from_pretrained(tmp_path / "run")
    assert predictor.model.config.decoder_vocab_size == 3
    assert evaluate(predictor, source)["metrics"] == record["metrics"]
    assert list(predictor.predict(["parcel"])[0]) == ["labels", "scores"]


def test_labels_in_one_field_are_split_in_training_and_evaluation(run: Run, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": f"{row['label']} | all"} for row in messages(30)]
    source = write_rows(tmp_path / "joined.jsonl", rows)
    record = start(run.base, tmp_path / "run", source, eval=source, epochs=1, label_separator="|")
    predictor = Predictor.from_pretrained(tmp_path / "run")
    assert list(predictor.model.config.label2id) == ["Café Ärger", "all", "delivery", "refund"]
    assert evaluate(predictor, source)["metrics"] == record["metrics"]


@pytest.mark.parametrize("targets", [1, 2])
def test_regression_runs_work(run: Run, tmp_path: Path, targets: int) -> None:
    numbers = [len(row["text"]) / 40 for row in messages(30)]
    rows = [
        {"text": row["text"], "label": number if targets == 1 else [number, -number]}
        for row, number in zip(messages(30), numbers, strict=True)
    ]
    source = write_rows(tmp_path / "numbers.jsonl", rows)
    record = start(run.base, tmp_path / "run", source, eval=source, epochs=2)
    assert record["task"] == "regression"
    predictor = Predictor.from_pretrained(tmp_path / "run")
    assert predictor.model.config.num_labels == targets
    assert evaluate(predictor, source)["metrics"] == pytest.approx(record["metrics"], rel=1e-12)
    values = np.array([result["value"] for result in predictor.predict([row["text"] for row in rows])])
    wanted = np.array([row["label"] for row in rows], dtype=np.float32)
    assert np.sqrt(((values - wanted) ** 2).mean(axis=0)).mean() == pytest.approx(record["metrics"]["rmse"], rel=1e-5)


def test_pairs_are_trained_and_predicted_as_pairs(run: Run, tmp_path: Path) -> None:
    rows = [{"question": row["text"], "answer": "yes", "label": row["label"]} for row in messages(30)]
    source = write_rows(tmp_path / "pairs.jsonl", rows)
    record = start(run.base, tmp_path / "run", source, eval=source, text=("question", "answer"), epochs=1)
    predictor = Predictor.from_pretrained(tmp_path / "run")
    assert evaluate(predictor, source)["metrics"] == record["metrics"]
    assert record["data"]["text"] == ["question", "answer"]
    assert predictor.config is not None
    assert predictor.config.text == ("question", "answer")


def test_an_evaluation_file_is_used_whole_and_nothing_is_held_out(run: Run, tmp_path: Path) -> None:
    held = write_rows(tmp_path / "test set.jsonl", messages(12, seed=5))
    record = start(run.base, tmp_path / "run", run.source, eval=held, epochs=1)
    assert (record["data"]["train_rows"], record["data"]["eval_rows"]) == (60, 12)
    assert record["data"]["eval_split"] == "test set.jsonl"
    assert evaluate(Predictor.from_pretrained(tmp_path / "run"), held)["metrics"] == record["metrics"]


def test_an_unseen_label_in_the_evaluation_file_is_refused(run: Run, tmp_path: Path) -> None:
    held = write_rows(tmp_path / "held.jsonl", [*messages(6), {"text": "x", "label": "Refund"}])
    with pytest.raises(EncT5Error, match="did you mean `refund` for `Refund`"):
        start(run.base, tmp_path / "run", run.source, eval=held)
    assert not (tmp_path / "run").exists()


def test_a_converted_folder_is_a_base(run: Run, tmp_path: Path) -> None:
    convert_folder(str(run.base), tmp_path / "enct5-base", num_labels=7)
    record = start(tmp_path / "enct5-base", tmp_path / "run", run.source, epochs=1)
    assert record["base"] == "enct5-base"
    assert weights(tmp_path / "run")["classifier.weight"].shape == (3, 32)


def test_a_trained_model_is_a_base_for_other_labels_and_tasks(run: Run, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": [row["label"], "any", "more"]} for row in messages(30)]
    source = write_rows(tmp_path / "multi.jsonl", rows)
    start(run.out, tmp_path / "run", source, epochs=1)
    config = Predictor.from_pretrained(tmp_path / "run").model.config
    assert list(config.id2label.values()) == ["Café Ärger", "any", "delivery", "more", "refund"]
    assert (config.problem_type, config.decoder_vocab_size) == ("multi_label_classification", 5)


def test_a_trained_model_with_the_same_labels_goes_on_where_it_was(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "messages.jsonl", messages(60))
    start(run.out, tmp_path / "run", source, epochs=0.1, learning_rate=1e-9)
    before, after = weights(run.out), weights(tmp_path / "run")
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("damage", ["missing", "another shape"])
def test_a_base_that_lacks_a_tensor_is_refused(run: Run, tmp_path: Path, damage: str) -> None:
    name = "transformer.encoder.block.0.layer.0.SelfAttention.q.weight"
    shutil.copytree(run.out, tmp_path / "base")
    tensors = weights(run.out)
    tensor = tensors.pop(name)
    if damage != "missing":
        tensors[name] = tensor[:4].clone()
    save_file(tensors, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncT5Error, match=f"lack {name} or hold it in another shape"):
        start(tmp_path / "base", tmp_path / "run", run.source)


def test_texts_cut_are_counted_and_reported(run: Run, tmp_path: Path) -> None:
    rows = messages(30)
    for row in rows[:7]:
        row["text"] = " ".join(["money"] * 60)
    source = write_rows(tmp_path / "long.jsonl", rows)
    said: list[str] = []
    record = start(run.base, tmp_path / "run", source, said, max_length=40, epochs=1)
    assert record["data"]["texts_cut"] == 7
    assert record["data"]["tokens"]["longest"] == 40
    assert 1 < record["data"]["tokens"]["median"] < record["data"]["tokens"]["percentile_95"] == 40
    assert "7 texts are longer than 40 tokens and were cut (--max-length)" in said
    assert Predictor.from_pretrained(tmp_path / "run").tokenizer.model_max_length == 40


def test_a_run_that_learns_nothing_says_so(run: Run, tmp_path: Path) -> None:
    said: list[str] = []
    # All rows in each batch: a run as short as this would be judged by the choice of rows.
    start(run.base, tmp_path / "run", run.source, said, learning_rate=1e-12, batch_size=60, epochs=30, patience=15)
    assert sum("the loss is flat" in line for line in said) == 1


def test_a_run_that_learns_does_not_warn(run: Run) -> None:
    assert not any("warning" in line for line in run.said)


def test_a_diverging_run_is_a_mistake_in_one_line(run: Run, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(EncT5Error, match=r"training diverged.*lower --learning-rate"):
        start(run.base, tmp_path / "run", run.source, said, learning_rate=1e30)
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize("content", ["", "notes"])
def test_a_folder_with_files_is_not_written_into(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "notes.txt").write_text(content)
    with pytest.raises(EncT5Error, match="not empty"):
        start(run.base, tmp_path, run.source)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


class InterruptedRunError(Exception):
    """Stands for whatever ends a run."""


def interrupt(run: Run, out: Path, evaluation: int, **options: Any) -> None:
    """Start a run like `run` and end it in its n-th evaluation, so that the checkpoints before it are there."""
    count = itertools.count(1)

    def say(line: str) -> None:
        if line.startswith("epoch ") and next(count) == evaluation:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        start(run.base, out, run.source, say=say, **options)


def steps_of(out: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in (out / "checkpoints").glob("checkpoint-*"))


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(run: Run, tmp_path: Path) -> None:
    out, said = tmp_path / "run", []
    interrupt(run, out, evaluation=7)
    step = max(steps_of(out))
    assert step > 7  # an epoch has 7 steps: it is resumed
    assert step % 7  # in the middle of a later one
    record = start(run.base, out, run.source, said, resume=True)
    assert f"continuing from {out / 'checkpoints' / f'checkpoint-{step}'}" in said
    assert_same_weights(weights(out), weights(run.out))
    assert {path.name for path in out.iterdir()} == RUN_FILES

    def losses(history: list[dict[str, Any]]) -> list[tuple[int, float]]:
        return [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]

    assert losses(record["history"]) == losses(run.record["history"])
    assert record["metrics"] == run.record["metrics"]
    assert record["best_step"] == run.record["best_step"]


def test_a_run_interrupted_before_its_first_checkpoint_starts_again(run: Run, tmp_path: Path) -> None:
    interrupt(run, tmp_path / "run", evaluation=1)
    assert steps_of(tmp_path / "run") == []
    start(run.base, tmp_path / "run", run.source, resume=True)
    assert_same_weights(weights(tmp_path / "run"), weights(run.out))


def test_a_run_interrupted_after_its_last_checkpoint_is_finished(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        raise InterruptedRunError

    with monkeypatch.context() as patched:
        patched.setattr(training.report, "write", stop)
        with pytest.raises(InterruptedRunError):
            start(run.base, tmp_path / "run", run.source)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoints"]
    start(run.base, tmp_path / "run", run.source, resume=True)
    assert_same_weights(weights(tmp_path / "run"), weights(run.out))


def test_patience_goes_on_where_it_was(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script_scores(monkeypatch, [0.5])
    whole = start(run.base, tmp_path / "whole", run.source, patience=4)
    script_scores(monkeypatch, [0.5])
    interrupt(run, tmp_path / "run", evaluation=5, patience=4)
    resumed = start(run.base, tmp_path / "run", run.source, patience=4, resume=True)
    assert resumed["steps"] == whole["steps"] < run.record["steps"]


def test_a_half_written_checkpoint_is_passed_over(run: Run, tmp_path: Path) -> None:
    out, said = tmp_path / "run", []
    interrupt(run, out, evaluation=5)
    step = max(steps_of(out))
    broken = out / "checkpoints" / f"checkpoint-{step + 3}"
    shutil.copytree(out / "checkpoints" / f"checkpoint-{step}", broken)
    (broken / "model.safetensors").write_bytes((broken / "model.safetensors").read_bytes()[:1000])
    (broken / "trainer_state.json").unlink()  # written last
    start(run.base, out, run.source, said, resume=True)
    assert any(line.endswith(f"checkpoint-{step}") for line in said)
    assert_same_weights(weights(out), weights(run.out))


def test_a_run_is_resumed_with_its_own_options_and_data_only(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    source = tmp_path / "messages.jsonl"
    shutil.copy(run.source, source)
    here = Run.__new__(Run)
    here.base, here.source = run.base, str(source)
    interrupt(here, out, evaluation=3)
    with pytest.raises(EncT5Error, match=r"`batch_size` is 4, but the interrupted run in .* has 8"):
        start(run.base, out, str(source), batch_size=4, resume=True)
    with pytest.raises(EncT5Error, match="continue it with --resume, or delete it"):
        start(run.base, out, str(source))
    write_rows(source, [*messages(57), *messages(3, seed=8)])
    with pytest.raises(EncT5Error, match="the data has changed"):
        start(run.base, out, str(source), resume=True)
    shutil.copy(run.source, source)
    moved = out.rename(tmp_path / "moved")
    start(run.base, moved, str(source), resume=True)
    assert_same_weights(weights(moved), weights(run.out))


def test_a_finished_run_is_not_resumed(run: Run) -> None:
    with pytest.raises(EncT5Error, match="is complete; there is nothing to resume"):
        start(run.base, run.out, run.source, resume=True)


@pytest.mark.slow
def test_a_killed_run_is_resumed(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        *(sys.executable, "-m", "enct5.cli", "train", run.source, "--text", "text", "--label", "label"),
        *("--base", str(run.base), "--out", str(out), "--epochs", "5", "--batch-size", "8", "--learning-rate", "3e-3"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        deadline = time.monotonic() + 240
        while len(list((out / "checkpoints").glob("checkpoint-*/trainer_state.json"))) < 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "config.json").exists()
    finished = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 0, finished.stderr
    assert "continuing from" in finished.stdout
    assert {path.name for path in out.iterdir()} == RUN_FILES
    assert_same_weights(weights(out), weights(run.out))


def test_a_users_own_trainer_works(run: Run, tmp_path: Path) -> None:
    predictor = Predictor.from_pretrained(run.out)
    model = EncT5ForSequenceClassification.from_t5(
        str(run.base), num_labels=3, problem_type="single_label_classification"
    )
    encoded = predictor.tokenizer([row["text"] for row in messages(24)])
    table = Dataset.from_dict({**encoded, "label": [number % 3 for number in range(24)]})
    shapes = []

    def measure(result: Any) -> dict[str, float]:
        shapes.append(result.predictions.shape)
        return {"accuracy": float((result.predictions.argmax(-1) == result.label_ids).mean())}

    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir=str(tmp_path),
            num_train_epochs=3,
            learning_rate=3e-3,
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            metric_for_best_model="accuracy",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=table,
        eval_dataset=table,
        data_collator=DataCollatorWithPadding(predictor.tokenizer),
        compute_metrics=measure,
    )
    trainer.train()
    assert shapes == [(24, 3)] * 3
    best = tmp_path / f"checkpoint-{trainer.state.best_global_step}"
    stored = weights(best)
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, stored[name]), name
    assert trainer.evaluate()["eval_accuracy"] == trainer.state.best_metric
