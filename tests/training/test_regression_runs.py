"""Runs on numbers: in the unit of the targets, whatever it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import pipeline

from enct5.inference.evaluation import evaluate
from enct5.inference.predictor import Predictor
from enct5.tasks.registry import TASKS
from enct5.training.trainer import FEWEST_TO_CHOOSE_BY
from helpers.runs import (
    LABELS,
    Run,
    messages,
    numbers,
    start,
    values,
)
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")
SINGLE = TASKS["single_label_classification"]


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
    assert evaluate(predictor, source)["metrics"] == pytest.approx(record["metrics"], rel=1e-5)
    values = np.array([result["value"] for result in predictor.predict([row["text"] for row in rows])])
    wanted = np.array([row["label"] for row in rows], dtype=np.float32)
    assert np.sqrt(((values - wanted) ** 2).mean(axis=0)).mean() == pytest.approx(record["metrics"]["rmse"], rel=1e-5)


def test_the_unit_of_the_targets_makes_no_difference(run: Run, tmp_path: Path) -> None:
    texts = [row["text"] for row in messages(20, seed=3)]
    records = []
    for name, factor, shift in (("plain", 1, 0), ("scaled", 1000, 5)):
        source = write_rows(tmp_path / f"{name}.jsonl", numbers(40, factor, shift))
        records.append(start(run.base, tmp_path / name, source, epochs=3, precision="float32"))
    plain, scaled = (values(tmp_path / name, texts) for name in ("plain", "scaled"))
    assert plain.std() > 0.05
    np.testing.assert_allclose(scaled, 1000 * plain + 5, rtol=1e-3)
    first, second = (record["metrics"] for record in records)
    assert second["rmse"] == pytest.approx(1000 * first["rmse"], rel=1e-3)
    assert second["pearson"] == pytest.approx(first["pearson"], abs=1e-3)
    assert records[0]["best_step"] == records[1]["best_step"]


def test_figures_during_regression_are_in_the_users_unit(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", numbers(FEWEST_TO_CHOOSE_BY, 1000))
    record = start(run.base, tmp_path / "run", source, eval=source, epochs=3, precision="float32")
    evaluations = [entry for entry in record["history"] if "eval_rmse" in entry]
    at_best = min(evaluations, key=lambda entry: entry["eval_rmse"])
    assert record["best_step"] == at_best["step"]
    assert record["metrics"]["rmse"] == pytest.approx(at_best["eval_rmse"], rel=1e-4)
    assert at_best["eval_rmse"] > 50
    assert at_best["eval_loss"] < 10  # of standardised targets


@pytest.mark.parametrize("rows", [messages(30), numbers(30, 1000, 5)], ids=["single label", "regression"])
def test_the_stock_pipeline_gives_the_same_scores_and_values(run: Run, tmp_path: Path, rows: list[Any]) -> None:
    record = start(run.base, tmp_path / "run", write_rows(tmp_path / "a.jsonl", rows), epochs=2)
    texts = [row["text"] for row in rows[:10]]
    results = Predictor.from_pretrained(tmp_path / "run").predict(texts)
    piped = pipeline("text-classification", str(tmp_path / "run"), device="cpu")(texts, truncation=True)
    scores = [result.get("score", result.get("value")) for result in results]
    assert [result["score"] for result in piped] == pytest.approx(scores, rel=1e-4)
    assert record["task"] == "regression" or [r["label"] for r in piped] == [r["label"] for r in results]


def test_targets_of_different_size_are_learned_alike(run: Run, tmp_path: Path) -> None:
    rows = [{**row, "label": [row["label"], 1e6 * row["label"] - 3e6, 7.5]} for row in numbers(40)]
    source = write_rows(tmp_path / "a.jsonl", rows)
    start(run.base, tmp_path / "run", source, eval=source, epochs=20, learning_rate=0.02, patience=15)
    found = values(tmp_path / "run", [row["text"] for row in rows])
    wanted = np.array([row["label"] for row in rows])
    for target in (0, 1):
        assert np.corrcoef(found[:, target], wanted[:, target])[0, 1] > 0.8
    np.testing.assert_allclose(found[:, 2], 7.5, atol=0.5)  # a constant target


def test_pairs_with_grades_are_ranked(run: Run, tmp_path: Path) -> None:
    rows = [
        {"query": LABELS[number % 3], "document": row["text"], "relevance": 2 * int(row["label"] == LABELS[number % 3])}
        for number, row in enumerate(messages(30)[::-1] + messages(30))
    ]
    source = write_rows(tmp_path / "graded.jsonl", rows)
    columns = {"text": ("query", "document"), "label": "relevance"}
    record = start(run.base, tmp_path / "run", source, eval=source, epochs=1, **columns)
    assert record["task"] == "single_label_classification"
    predictor = Predictor.from_pretrained(tmp_path / "run")
    documents = [row["text"] for row in messages(9, seed=4)]
    ranked = predictor.rank("delivery", documents)
    results = predictor.predict([("delivery", document) for document in documents])
    grades = [2 * (result["score"] if result["label"] == "2" else 1 - result["score"]) for result in results]
    assert [record["index"] for record in ranked] == sorted(range(9), key=lambda index: -grades[index])
    assert [record["score"] for record in ranked] == pytest.approx(sorted(grades, reverse=True), abs=1e-4)
