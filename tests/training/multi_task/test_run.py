"""Runs of several tasks, from a partly labelled file to a folder: what they learn, say and write."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import enct5
from enct5 import EncT5ForTasks, Predictor, training
from enct5.data.reading import read_table
from enct5.errors import EncT5Error
from enct5.inference.evaluation import evaluate
from enct5.inference.prediction_file import predict_table
from enct5.model import overwriting
from enct5.model.publishing import Repository
from enct5.training.config import TrainConfig
from helpers.hub_server import Hub
from helpers.runs import RUN_FILES, assert_same_weights, heard, messages, numbers, several_labels, start, weights
from helpers.several_tasks import TASKS, partly_labelled, write_partly_labelled
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
SETTINGS: dict[str, Any] = {
    "intent": {"label": "intent", "class_weights": "balanced", "weight": 2},
    "topics": {"label": "topics", "task": "multi", "loss": "focal"},
    "urgency": "urgency:regression",
    "places": "places:tokens",
}


class TasksRun:
    """A finished run of four tasks on a file of which every row lacks some label."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.base, self.out, self.said = base, folder / "run", []
        self.source = write_partly_labelled(folder / "train.jsonl", 90)
        self.eval = write_partly_labelled(folder / "test.jsonl", 80, 1)
        self.record = self.start(self.out, self.said)

    def start(self, out: Path, said: list[str] | None = None, **options: Any) -> dict[str, Any]:
        settings = {"text": "text", "tasks": SETTINGS, "eval": self.eval, "epochs": 4, "batch_size": 8} | options
        return start(self.base, out, self.source, said, label="", **settings)


@pytest.fixture(scope="module")
def run(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> TasksRun:
    return TasksRun(t5_folder(), tmp_path_factory.mktemp("tasks"))


@pytest.mark.parametrize(("names", "rate"), [(("urgency", "intent"), 0.25), (("urgency",), 0.0)])
def test_tasks_share_the_rate_of_dropout_unless_all_are_numbers(
    names: tuple[str, ...], rate: float, t5_folder: Base, tmp_path: Path
) -> None:
    source = write_partly_labelled(tmp_path / "train.jsonl", 90)
    tasks = {name: SETTINGS[name] for name in names}
    base = t5_folder(dropout_rate=0.25)
    start(base, tmp_path / "run", source, label="", text="text", tasks=tasks, epochs=0.2, batch_size=8)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["dropout_rate"] == rate


def test_tasks_of_classes_have_dropout_on_a_base_that_learned_numbers(t5_folder: Base, tmp_path: Path) -> None:
    source = write_partly_labelled(tmp_path / "train.jsonl", 90)
    shared: dict[str, Any] = {"label": "", "text": "text", "epochs": 0.2, "batch_size": 8}
    start(t5_folder(), tmp_path / "numbers", source, tasks={"urgency": SETTINGS["urgency"]}, **shared)
    start(tmp_path / "numbers", tmp_path / "run", source, tasks={"intent": SETTINGS["intent"]}, **shared)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["dropout_rate"] == 0.1


def test_a_run_learns_and_says_what_it_does(run: TasksRun) -> None:
    rows = partly_labelled(90)
    assert "task intent: single-label classification: one class per text, 3 labels, 77 of 90 texts" in run.said
    for name in TASKS:
        own, labelled = run.record["tasks"][name], sum(row[name] is not None for row in rows)
        trained = [row for row in rows if any(row[task] is not None for task in TASKS)]
        assert own["train_rows"] == labelled
        assert run.record["data"]["train_rows"] == len(trained)
        assert own["label"] == name
    assert run.record["task"] == "multi_task"
    factors = {name: own["loss_weight"] for name, own in run.record["tasks"].items()}
    assert factors == {"intent": 2, "topics": 1, "urgency": 1, "places": 4}
    assert run.record["tasks"]["intent"]["metrics"]["macro_f1"] > 0.7
    assert run.record["tasks"]["urgency"]["metrics"]["pearson"] > 0.5
    figures = run.record["metrics"]
    for name, own in run.record["tasks"].items():
        assert {f"{name}.{figure}": value for figure, value in own["metrics"].items()}.items() <= figures.items()
    chosen = ("intent.macro_f1", "topics.macro_f1", "urgency.r2", "places.entity_f1")
    assert figures["mean"] == pytest.approx(np.mean([max(0.0, figures[name]) for name in chosen]))
    means = {entry["step"]: entry["eval_mean"] for entry in run.record["history"] if "eval_mean" in entry}
    assert max(means, key=lambda step: means[step]) == run.record["best_step"]


def test_the_folder_holds_a_page_a_task_and_what_loads_it(run: TasksRun) -> None:
    pages = {f"report-{name}.html" for name in TASKS}
    assert {file.name for file in run.out.iterdir()} == RUN_FILES | {"modeling_enct5_tasks.py"} | pages
    card = (run.out / "README.md").read_text(encoding="utf-8")
    assert all(name in card for name in TASKS)
    texts = {row["text"] for row in (*partly_labelled(90), *partly_labelled(80, 1))}
    assert not [text for text in texts if text in card]
    report = (run.out / "report.html").read_text(encoding="utf-8")
    assert all(f'<a href="report-{name}.html">' in report for name in TASKS)


def test_evaluating_the_folder_gives_the_figures_of_the_run(run: TasksRun) -> None:
    again = evaluate(Predictor.from_pretrained(run.out), run.eval)
    for name, own in run.record["tasks"].items():
        assert again["tasks"][name]["metrics"] == pytest.approx(own["metrics"], rel=1e-5), name
        assert again["tasks"][name]["per_label"] == own["per_label"]
        assert again["tasks"][name]["rows"] == sum(row[name] is not None for row in partly_labelled(80, 1))
    assert {**again["metrics"], "mean": run.record["metrics"]["mean"]} == pytest.approx(run.record["metrics"], rel=1e-5)


def test_what_was_fitted_is_in_the_saved_model(run: TasksRun) -> None:
    model = EncT5ForTasks.from_pretrained(run.out)
    assert model.config.task_names == list(TASKS)
    assert len(model.config.task_values("topics")["thresholds"]) == 3
    assert model.config.task_values("topics")["loss"] == "focal"
    assert model.config.task_values("intent")["class_weights"] is not None
    assert run.record["tasks"]["intent"]["temperature"] != 1
    texts = [row["text"] for row in partly_labelled(80, 1)]
    values = Predictor.from_pretrained(run.out).logits(texts)["urgency"]
    labels = [row["urgency"] for row in partly_labelled(80, 1) if row["urgency"] is not None]
    assert abs(values.mean() - np.mean(labels)) < np.ptp(labels)  # in the user's unit


@pytest.mark.parametrize(
    ("kind", "rows"),
    [("single", messages(40)), ("multi", several_labels(40)), ("regression", numbers(40, 3, 7))],
    ids=["single", "multi", "regression"],
)
def test_a_run_of_one_task_among_several_is_that_of_it_alone(
    kind: str, rows: list[dict[str, Any]], t5_folder: Base, tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", rows)
    held_out = write_rows(tmp_path / "held_out.jsonl", rows[:20])
    same = {"eval": held_out, "epochs": 2}
    alone = start(t5_folder(), tmp_path / "alone", source, task=kind, **same)
    several = start(t5_folder(), tmp_path / "several", source, label="", tasks={"a": f"label:{kind}"}, **same)
    assert several["tasks"]["a"]["metrics"] == pytest.approx(alone["metrics"], rel=1e-3)
    renamed = {
        name.replace("readers.task_a.decoder", "transformer.decoder").replace("readers.task_a.", ""): tensor
        for name, tensor in weights(tmp_path / "several").items()
    }
    wanted = weights(tmp_path / "alone")
    assert renamed.keys() == wanted.keys()
    for name, tensor in wanted.items():  # smoothing is computed in another order than by transformers
        torch.testing.assert_close(renamed[name], tensor, atol=1e-4, rtol=1e-3, msg=name)


def test_the_same_command_gives_the_same_weights_and_an_interrupted_run_too(run: TasksRun, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    lines: list[str] = []

    def stop(line: str) -> None:
        lines.append(line)
        if sum(one.startswith("epoch ") for one in lines) == 6:
            raise StopError

    with pytest.raises(StopError):
        run.start(tmp_path / "run", hear=stop)
    record = run.start(tmp_path / "run", resume=True)
    assert record["resumed"]
    assert record["metrics"] == run.record["metrics"]
    assert_same_weights(weights(tmp_path / "run"), weights(run.out))


def test_predictions_in_files_have_columns_by_task(run: TasksRun, tmp_path: Path) -> None:
    predictor, rows = Predictor.from_pretrained(run.out), partly_labelled(12, 2)
    records = predictor.predict([row["text"] for row in rows])
    predict_table(predictor, write_rows(tmp_path / "in.jsonl", rows), None, tmp_path / "out.jsonl")
    table = read_table(str(tmp_path / "out.jsonl"))
    own = ["intent", "intent_score", "topics", "topics_scores", "urgency", "places"]
    renamed = {name: f"predicted_{name}" if name in rows[0] else name for name in own}
    assert table.column_names == [*rows[0], *renamed.values()]
    for row, record in zip(table, records, strict=True):
        assert row[renamed["intent"]] == record["intent"]["label"]
        assert row["intent_score"] == pytest.approx(record["intent"]["score"])
        assert row[renamed["topics"]] == record["topics"]["labels"]
        assert row[renamed["urgency"]] == pytest.approx(record["urgency"]["value"])
        assert len(row[renamed["places"]]) == len(record["places"]["entities"])
    frame = predictor.predict([row["text"] for row in rows], as_frame=True)
    assert list(frame.columns) == own
    assert list(frame["intent"]) == [record["intent"]["label"] for record in records]
    assert list(frame["urgency"]) == [record["urgency"]["value"] for record in records]


def test_evaluation_passes_over_tasks_without_labels(run: TasksRun, tmp_path: Path) -> None:
    predictor, rows = Predictor.from_pretrained(run.out), partly_labelled(40, 1)
    without = [{name: value for name, value in row.items() if name != "topics"} for row in rows]
    found = evaluate(predictor, write_rows(tmp_path / "a.jsonl", [{**row, "urgency": None} for row in without]))
    assert list(found["tasks"]) == ["intent", "places"]
    assert "topics: not measured, as there is no column topics" in found["notes"]
    assert "urgency: not measured, as no row has a label in column urgency" in found["notes"]
    with pytest.raises(EncT5Error, match="labels for none of the tasks; their columns are intent, topics,"):
        evaluate(predictor, write_rows(tmp_path / "b.jsonl", [{"text": row["text"]} for row in rows]))
    unknown = write_rows(tmp_path / "c.jsonl", [{**row, "intent": "new"} for row in rows])
    with pytest.raises(EncT5Error, match=r"task intent: .* has labels that the model is not trained on in 40 of 40"):
        evaluate(predictor, unknown)


def test_a_loss_that_is_not_for_its_task_is_refused_before_training(run: TasksRun, tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match=r"^task u: `loss` is 'focal'; for regression leave it out$"):
        run.start(tmp_path / "run", tasks={"u": {"label": "urgency", "loss": "focal"}, "intent": "intent"})


def test_from_python_with_a_table(t5_folder: Base, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(partly_labelled(60))
    trained = enct5.train(frame, text="text", tasks=TASKS, base=str(t5_folder()), epochs=1)
    assert set(trained.record["tasks"]) == set(TASKS)
    assert trained.metrics == trained.record["metrics"]
    found = trained.predictor.predict(frame, text="text", as_frame=True)
    assert list(found.index) == list(frame.index)
    assert set(trained.predictor.predict("where is my card")) == set(TASKS)
    again = enct5.evaluate(trained, frame, text="text")
    assert set(again["tasks"]) == set(TASKS)


def test_words_and_their_tags_beside_labels_of_texts(t5_folder: Base, tmp_path: Path) -> None:
    rows = [
        {
            "words": row["text"].split(),
            "tags": ["B-thing" if word == "card" else "O" for word in row["text"].split()] if number % 3 else None,
            "values": [len(row["text"]), number] if number % 2 else None,
        }
        for number, row in enumerate(messages(60))
    ]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    tasks = {"tags": "tags", "two-values": "values:regression"}
    with heard([].append):
        config = TrainConfig.checked(
            data=source, text="words", tasks=tasks, base=str(t5_folder()), out=str(tmp_path / "run"), epochs=1
        )
        training.train(config)
    predictor = Predictor.from_pretrained(tmp_path / "run")
    (found,) = predictor.predict([["where", "is", "my", "card"]])
    assert list(found) == ["tags", "two-values"]
    assert all(0 <= one["start"] < one["end"] <= 4 for one in found["tags"]["entities"])
    assert len(found["two-values"]["value"]) == 2


def test_evaluation_leaves_other_rows_of_a_batch_alone(run: TasksRun) -> None:
    predictor = Predictor.from_pretrained(run.out)
    texts = [row["text"] for row in partly_labelled(20, 3)]
    together = predictor.logits(texts)
    with torch.no_grad():
        for row, text in enumerate(texts[:5]):
            alone = predictor.logits([text])
            for name in ("intent", "topics", "urgency"):
                np.testing.assert_allclose(alone[name][0], together[name][row], atol=1e-4)


def test_what_is_pushed_has_the_code_of_several_tasks_and_no_page(run: TasksRun, hub: Hub) -> None:
    repository = Repository("me/tasks")
    repository.open()
    repository.push(run.out)
    pushed = hub.files["me/tasks"]
    assert set(pushed) == (RUN_FILES | {"modeling_enct5_tasks.py"}) - {"report.html"}
    texts = [row["text"] for row in partly_labelled(80, 1)]
    said = pushed["metrics.json"].decode() + pushed["README.md"].decode()
    assert not [text for text in texts if text in said]


def test_a_finished_run_can_be_replaced(run: TasksRun, tmp_path: Path) -> None:
    shutil.copytree(run.out, tmp_path / "run")
    new = overwriting.place(tmp_path / "run", overwriting.RUN)
    shutil.copytree(run.out, new)
    overwriting.replace(tmp_path / "run", new, overwriting.RUN)
    assert_same_weights(weights(tmp_path / "run"), weights(run.out))


def test_metrics_json_is_json(run: TasksRun) -> None:
    assert json.loads((run.out / "metrics.json").read_text(encoding="utf-8"))["tasks"].keys() == TASKS.keys()
