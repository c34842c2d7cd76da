"""Training from a file to a run folder: what is learned, what is kept, and what survives an interruption."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from enct5.assets import bundled_t5
from enct5.errors import EncT5Error, is_installed
from enct5.files.digests import digest
from enct5.inference.evaluation import evaluate
from enct5.inference.predictor import Predictor
from enct5.model.loading import load_tokenizer
from enct5.model.modeling_enct5 import EncT5ForSequenceClassification
from enct5.tasks.registry import TASKS
from enct5.training import run_folder
from enct5.training import trainer as trainer_module
from enct5.training.trainer import FEWEST_TO_CHOOSE_BY, EncT5Trainer
from helpers.runs import (
    LABELS,
    RUN_FILES,
    Run,
    assert_same_weights,
    messages,
    script_scores,
    settings_of,
    several_labels,
    start,
    weights,
)
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")


Base = Callable[..., Path]


SINGLE = TASKS["single_label_classification"]


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


def test_metrics_json_is_the_record_of_the_run(run: Run) -> None:
    stored = json.loads((run.out / "metrics.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(run.record))
    assert stored["task"] == "single_label_classification"
    assert stored["data"]["file"] == "messages.jsonl"
    assert (stored["data"]["train_rows"], stored["data"]["texts_cut"]) == (54, 0)
    assert stored["data"]["class_counts"] == {"Café Ärger": 20, "delivery": 20, "refund": 20}
    assert stored["data"]["sha256"] == digest(run.source)
    assert (stored["base"], stored["seed"]) == (run.base.name, 42)
    assert stored["parameters"] == sum(tensor.numel() for tensor in weights(run.out).values())
    assert stored["tokenizer_sha256"].keys() == {"tokenizer.json", "tokenizer_config.json"}
    assert stored["tokenizer_sha256"]["tokenizer.json"] == digest(run.out / "tokenizer.json")
    assert stored["weights_sha256"] == {"model.safetensors": digest(run.out / "model.safetensors")}
    assert stored["best_step"] is None  # of 6 evaluation texts


def test_the_resolved_settings_are_kept(run: Run) -> None:
    config = settings_of(run.out)
    assert (config.epochs, config.learning_rate, config.precision) == (5, 3e-3, "float32")
    assert (config.data, config.text, config.label) == ("messages.jsonl", ("text",), "label")


def test_no_file_of_a_run_tells_where_anything_lay(run: Run, tmp_path: Path) -> None:
    private = tmp_path / "private place"
    (private / "t5").parent.mkdir()
    shutil.copytree(run.base, private / "t5")
    source = write_rows(private / "rows.jsonl", several_labels())
    words = private / "words.json"
    words.write_text(json.dumps(dict.fromkeys(LABELS, "words")), encoding="utf-8")
    lora = {"lora": True} if is_installed("peft") else {}
    options = {"eval": source, "label_descriptions": str(words), "epochs": 1, **lora}
    start(private / "t5", private / "run", source, **options)
    files = [path for path in (private / "run").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= RUN_FILES
    assert [path.name for path in files if b"private place" in path.read_bytes()] == []
    config = settings_of(private / "run")
    assert (config.data, config.eval, config.base, config.out) == ("rows.jsonl", "rows.jsonl", "t5", "run")
    assert config.label_descriptions == "words.json"


def test_a_folder_that_has_no_place_is_told_before_the_data_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(EncT5Error, match="exists and is not empty"):
        start(run.base, tmp_path, "no such file.csv")
    with pytest.raises(EncT5Error, match="no file"):
        start(run.base, tmp_path / "new" / "run", "no such file.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_run_says_its_task_classes_and_progress(run: Run) -> None:
    assert run.said[0] == "task: single-label classification: one class per text, 3 labels, 60 texts"
    assert run.said[1] == "texts a label: Café Ärger 20, delivery 20, refund 20"
    assert run.said[2].startswith("evaluation: 6 rows held out of messages.jsonl")
    assert run.said[3].startswith("5 epochs of 54 texts, learning rate 0.003")
    assert (
        run.said[4] == "6 evaluation texts are too few to choose by: no early stopping, the last weights are the result"
    )
    assert run.said[-1].startswith(f"temperature {run.record['temperature']:.3f} (fitted on the evaluation texts)")
    assert sum(line.startswith("epoch ") for line in run.said) == len(run.said) - 6


def test_the_learning_rate_rises_over_a_tenth_of_the_steps_and_falls_to_zero(run: Run) -> None:
    rates = {entry["step"]: entry["learning_rate"] for entry in run.record["history"] if "learning_rate" in entry}
    assert max(rates, key=rates.__getitem__) <= 5
    assert rates[max(rates)] < 1e-3


def test_the_same_seed_gives_the_same_weights(run: Run, tmp_path: Path) -> None:
    start(run.base, tmp_path / "again", run.source)
    assert_same_weights(weights(run.out), weights(tmp_path / "again"))


@pytest.mark.parametrize("lora", [False, True])
def test_gradient_checkpointing_gives_the_same_weights(run: Run, tmp_path: Path, lora: bool) -> None:
    if lora:
        pytest.importorskip("peft", reason="needs peft (the `peft` extra)")
    models = []

    class Watched(EncT5Trainer):
        def train(self, *arguments: Any, **options: Any) -> Any:
            models.append(self.model)
            return super().train(*arguments, **options)

    for checkpointing in (False, True):
        out = tmp_path / str(checkpointing)
        start(
            run.base, out, run.source, lora=lora, epochs=2, gradient_checkpointing=checkpointing, trainer_class=Watched
        )
    assert [model.is_gradient_checkpointing for model in models] == [False, True]
    plain = weights(tmp_path / "False")
    for name, tensor in weights(tmp_path / "True").items():
        torch.testing.assert_close(tensor, plain[name], rtol=1e-4, atol=1e-6)


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


def test_training_stops_when_patience_is_over(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script_scores(monkeypatch, [0.5, 0.7, 0.6])
    record = start(run.base, tmp_path / "run", run.source, patience=2)
    interval = record["best_step"] // 2
    assert record["steps"] == 4 * interval < run.record["steps"]


@pytest.mark.parametrize("rows", [FEWEST_TO_CHOOSE_BY - 1, FEWEST_TO_CHOOSE_BY])
def test_the_best_model_is_saved_or_with_few_evaluation_texts_the_last(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    script_scores(monkeypatch, [0.5, 0.9, 0.6])
    monkeypatch.setattr(trainer_module, "FEWEST_TO_CHOOSE_BY", FEWEST_TO_CHOOSE_BY)
    monkeypatch.setattr(run_folder, "finish", lambda out: None)  # keep the checkpoints
    chosen_by = write_rows(tmp_path / "eval.jsonl", messages(rows))
    record = start(run.base, tmp_path / "run", run.source, eval=chosen_by, epochs=2, patience=5)
    checkpoints = sorted(
        (tmp_path / "run" / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1])
    )
    if rows == FEWEST_TO_CHOOSE_BY:
        (wanted,) = [path for path in checkpoints if path.name == f"checkpoint-{record['best_step']}"]
        assert not torch.equal(weights(wanted)["classifier.weight"], weights(checkpoints[-1])["classifier.weight"])
        assert len([entry for entry in record["history"] if "eval_loss" in entry]) == 2 + 5
    else:
        wanted = checkpoints[-1]
        assert record["best_step"] is None
        assert wanted.name == f"checkpoint-{record['steps']}"
        assert len([entry for entry in record["history"] if "eval_loss" in entry]) > 2 + 5
    saved = weights(tmp_path / "run")
    for name in ("classifier.weight", "classifier.bias"):  # these hold the temperature
        torch.testing.assert_close(saved[name] * record["temperature"], weights(wanted)[name])
        saved[name] = weights(wanted)[name]
    assert_same_weights(saved, weights(wanted))


def test_multi_label_runs_work(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "multi.jsonl", several_labels())
    said: list[str] = []
    record = start(run.base, tmp_path / "run", source, said, eval=source, epochs=2)
    assert record["task"] == "multi_label_classification"
    tuned = ("micro_f1", "macro_f1", "subset_accuracy")
    assert list(record["metrics"]) == [*tuned, *(f"{name}_at_0.5" for name in tuned)]
    assert record["metrics"]["macro_f1"] > record["metrics"]["macro_f1_at_0.5"]
    assert "thresholds tuned on the evaluation rows; the figures there with them are optimistic" in said
    predictor = Predictor.from_pretrained(tmp_path / "run")
    config = predictor.model.config
    assert config.decoder_vocab_size == 3
    assert config.thresholds == [row["threshold"] for row in record["per_label"]]
    assert len(set(config.thresholds)) > 1
    measured = evaluate(predictor, source)
    assert (measured["metrics"], measured["per_label"]) == (record["metrics"], record["per_label"])
    texts = [row["text"] for row in several_labels()]
    given = predictor.predict(texts)
    for result, scores in zip(given, 1 / (1 + np.exp(-predictor.logits(texts).astype(np.float64))), strict=True):
        assert set(result["labels"]) == {
            LABELS[label] for label, threshold in enumerate(config.thresholds) if scores[label] >= threshold
        }
    assert any(result["labels"] for result in given)


def test_the_best_checkpoint_is_chosen_without_thresholds(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "multi.jsonl", several_labels(60))
    record = start(run.base, tmp_path / "run", source, eval=source, epochs=3, learning_rate=1e-2)
    best = max(entry["eval_macro_f1"] for entry in record["history"] if "eval_macro_f1" in entry)
    assert best == pytest.approx(record["metrics"]["macro_f1_at_0.5"])
    assert best > 0


@pytest.mark.parametrize(
    ("options", "wanted"),
    [({}, 0.1), ({"label_smoothing": 0.0}, 0.0), ({"label_smoothing": 0.3}, 0.3), ({"loss": "focal"}, 0.0)],
)
def test_label_smoothing_reaches_the_trainer(run: Run, tmp_path: Path, options: dict[str, Any], wanted: float) -> None:
    seen = []

    class Untrained(EncT5Trainer):
        def train(self, **_: Any) -> None:
            seen.append(self.args.label_smoothing_factor)

    start(run.base, tmp_path / "run", run.source, epochs=1, trainer_class=Untrained, **options)
    assert seen == [wanted]
    assert settings_of(tmp_path / "run").label_smoothing == wanted


def test_loss_and_balanced_weights_are_saved_with_the_model(run: Run, tmp_path: Path) -> None:
    rows = [row for number, row in enumerate(messages(45)) if row["label"] != "delivery" or number % 2]
    counts = [sum(row["label"] == label for row in rows) for label in LABELS]
    assert len(set(counts)) > 1
    source = write_rows(tmp_path / "a.jsonl", rows)
    start(run.base, tmp_path / "run", source, eval=source, epochs=1, loss="focal", class_weights="balanced")
    model = EncT5ForSequenceClassification.from_pretrained(tmp_path / "run")
    assert model.config.loss == "focal"
    assert model.config.class_weights == pytest.approx([len(rows) / (3 * count) for count in counts])
    # a user's own loop gets the same loss from the checkpoint
    inputs = load_tokenizer(str(tmp_path / "run"))(["parcel late", "money"], padding=True, return_tensors="pt")
    outputs = model(**inputs, labels=torch.tensor([1, 2]))
    losses = torch.nn.functional.cross_entropy(outputs.logits, torch.tensor([1, 2]), reduction="none")
    focal = (1 - torch.exp(-losses)) ** 2 * losses * torch.tensor(model.config.class_weights)[[1, 2]]
    assert outputs.loss.item() == pytest.approx(focal.mean().item(), rel=1e-5)


def test_pairs_are_trained_and_predicted_as_pairs(run: Run, tmp_path: Path) -> None:
    rows = [{"question": row["text"], "answer": "yes", "label": row["label"]} for row in messages(30)]
    source = write_rows(tmp_path / "pairs.jsonl", rows)
    record = start(run.base, tmp_path / "run", source, eval=source, text=("question", "answer"), epochs=1)
    predictor = Predictor.from_pretrained(tmp_path / "run")
    assert evaluate(predictor, source)["metrics"] == pytest.approx(record["metrics"], abs=1e-6)
    assert record["data"]["text"] == ["question", "answer"]
    assert predictor.config is not None
    assert predictor.config.text == ("question", "answer")


@pytest.mark.parametrize("columns", [("first",), ("first", "second")], ids=["single texts", "pairs"])
def test_single_texts_and_pairs_start_from_the_bundled_t5(columns: tuple[str, ...], tmp_path: Path) -> None:
    rows = [{"first": row["text"], "second": row["text"], "label": row["label"]} for row in messages(12)]
    source, said = write_rows(tmp_path / "rows.jsonl", rows), list[str]()
    start(Path("bundled"), tmp_path / "run", source, said, eval=source, text=columns, epochs=1, learning_rate=1e-12)
    trained = weights(tmp_path / "run")["transformer.encoder.block.1.layer.0.SelfAttention.q.weight"]
    kept = weights(bundled_t5())["encoder.block.1.layer.0.SelfAttention.q.weight"].float()
    torch.testing.assert_close(trained, kept, rtol=1e-6, atol=1e-6)
    assert any("from the bundled T5" in line for line in said)


def test_a_run_that_learns_nothing_says_so(run: Run, tmp_path: Path) -> None:
    said: list[str] = []
    # All rows in each batch: a run as short as this would be judged by the choice of rows.
    start(run.base, tmp_path / "run", run.source, said, learning_rate=1e-12, batch_size=60, epochs=30, patience=15)
    assert sum("the loss is flat" in line for line in said) == 1


def test_a_run_of_one_step_takes_it(run: Run, tmp_path: Path) -> None:
    start(run.base, tmp_path / "run", run.source, epochs=1, batch_size=1000)
    assert Predictor.from_pretrained(tmp_path / "run").model.is_fine_tuned()


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
