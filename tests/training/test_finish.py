"""The figures of a run are those of the model that it saves, which is calibrated."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from enct5.data import reading
from enct5.data.split import split_rows, text_keys
from enct5.inference.evaluation import evaluate
from enct5.inference.predictor import Predictor
from enct5.metrics.calibration import fit_temperature
from enct5.tasks.registry import TASKS
from enct5.training import figures
from helpers.runs import (
    LABELS,
    Run,
    messages,
    start,
)
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")
SINGLE = TASKS["single_label_classification"]


def held_out(run: Run, path: Path) -> str:
    table = reading.read_table(run.source)
    return write_rows(
        path, table.select(split_rows(text_keys(table["text"][:]), table["label"][:], 0.1, 42)[1]).to_list()
    )


def test_metrics_are_those_of_the_saved_model_on_the_held_out_rows(run: Run, tmp_path: Path) -> None:
    stored = json.loads((run.out / "metrics.json").read_text(encoding="utf-8"))
    again = evaluate(Predictor.from_pretrained(run.out), held_out(run, tmp_path / "held_out.jsonl"))
    # The calibration error is made of the scores themselves, which differ in the last digit in another order of rows.
    assert again["metrics"] == pytest.approx(stored["metrics"], abs=1e-6)
    assert stored["metrics"] == run.record["metrics"]
    assert again["per_label"] == stored["per_label"]
    assert again["rows"] == stored["data"]["eval_rows"] == 6


def uncalibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_calibrate", lambda model, fit, logits, labels, scores, prefix: (logits, {}))


def test_the_saved_model_is_calibrated_on_the_evaluation_texts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uncalibrated(monkeypatch)
    start(run.base, tmp_path / "plain", run.source)
    source = held_out(run, tmp_path / "held_out.jsonl")
    texts = reading.read_table(source)["text"][:]
    plain, saved = Predictor.from_pretrained(tmp_path / "plain"), Predictor.from_pretrained(run.out)
    logits, temperature = plain.logits(texts), run.record["temperature"]
    labels = np.array([LABELS.index(label) for label in reading.read_table(source)["label"][:]])
    assert abs(temperature - 1) > 0.01
    assert temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-4)
    np.testing.assert_allclose(saved.logits(texts), logits / temperature, atol=1e-4)
    assert [result["label"] for result in saved.predict(texts)] == [r["label"] for r in plain.predict(texts)]
    before, after = (evaluate(predictor, source)["metrics"] for predictor in (plain, saved))
    errors = {"before": before.pop("expected_calibration_error"), "after": after.pop("expected_calibration_error")}
    assert run.record["expected_calibration_error"] == pytest.approx(errors, abs=1e-4)
    assert before == after


def test_other_tasks_have_no_temperature(run: Run, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": len(row["text"]) / 30} for row in messages(20)]
    record = start(run.base, tmp_path / "run", write_rows(tmp_path / "a.jsonl", rows), epochs=0.5)
    assert not {"temperature", "expected_calibration_error"} & {*record, *record["metrics"]}


def test_bfloat16_training_reports_what_the_saved_model_does(run: Run, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": len(row["text"]) / 30} for row in messages(40)]
    source, held = write_rows(tmp_path / "a.jsonl", rows[:30]), write_rows(tmp_path / "b.jsonl", rows[30:])
    record = start(run.base, tmp_path / "run", source, eval=held, precision="bfloat16", epochs=2)
    predictor = Predictor.from_pretrained(tmp_path / "run")
    assert predictor.model.dtype == torch.float32
    # Products add up in another order where a matrix lies elsewhere in memory, on some processors.
    assert evaluate(predictor, held)["metrics"] == pytest.approx(record["metrics"], rel=1e-5)
