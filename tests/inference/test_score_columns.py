"""The scores of several labels in files of predictions."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from enct5.errors import EncT5Error
from enct5.inference import prediction_columns
from enct5.inference.prediction_file import Asked, predict_table
from enct5.inference.predictor import Predictor
from enct5.inference.score_columns import names, values
from enct5.tasks.multi_task import MultiTask, NamedTask
from enct5.tasks.registry import find_task
from helpers.models import saved_model
from helpers.runs import messages
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = ("b", "a", "c c")
BEST = [{"label": "c c", "score": 0.5}, {"label": "b", "score": 0.3}, {"label": "a", "score": 0.2}]


def test_no_column_takes_the_place_of_another() -> None:
    single, numbers = find_task("single"), find_task("regression")
    found = prediction_columns.names(single, LABELS, 1, False, ["text", "label", "predicted_label"])
    assert found == {"label": "predicted_predicted_label", "score": "score"}
    tasks = MultiTask([NamedTask("a", single, {}), NamedTask("predicted_a", numbers, {})])
    assert prediction_columns.names(tasks, [], 1, False, ["text", "a"]) == {
        "a": "predicted_predicted_a",
        "a_score": "a_score",
        "predicted_a": "predicted_a",
    }


def test_all_scores_have_a_column_for_each_label_in_its_order() -> None:
    assert names(LABELS, None, nested=False) == ["score_b", "score_a", "score_c c"]
    assert values(BEST, LABELS, None, nested=False) == [0.3, 0.2, 0.5]


def test_the_likeliest_labels_have_two_columns_each() -> None:
    assert names(LABELS, 2, nested=False) == ["label_1", "score_1", "label_2", "score_2"]
    assert values(BEST[:2], LABELS, 2, nested=False) == ["c c", 0.5, "b", 0.3]
    assert len(names(LABELS, 9, nested=False)) == 6


def test_formats_with_objects_have_one_value() -> None:
    assert names(LABELS, None, nested=True) == ["all_scores"]
    assert values(BEST, LABELS, None, nested=True) == [{"c c": 0.5, "b": 0.3, "a": 0.2}]
    assert names(LABELS, 2, nested=True) == ["top_labels"]
    assert values(BEST[:2], LABELS, 2, nested=True) == [BEST[:2]]


def test_a_prediction_alone_needs_none() -> None:
    assert names(LABELS, 1, nested=True) == names(LABELS, 1, nested=False) == []


@pytest.fixture(scope="module")
def predictor(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("model")
    saved_model(t5_folder(), folder, LABELS)
    return Predictor.from_pretrained(folder)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_hold_the_scores_of_predict(predictor: Predictor, tmp_path: Path, kind: str) -> None:
    rows = messages(7)
    source, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / f"out.{kind}"
    predict_table(predictor, source, ["text"], out, Asked(top_k=None))
    table = pd.read_csv(out) if kind == "csv" else pd.read_parquet(out)
    assert list(table.columns)[-3:] == ["score_b", "score_a", "score_c c"]
    wanted = predictor.predict([row["text"] for row in rows], top_k=None)
    for row, best in zip(table.to_dict("records"), wanted, strict=True):
        assert {one["label"]: one["score"] for one in best} == {
            label: pytest.approx(row[f"score_{label}"]) for label in LABELS
        }
        assert row["predicted_label"] == best[0]["label"]
        assert sum(row[f"score_{label}"] for label in LABELS) == pytest.approx(1, abs=1e-6)


def test_json_lines_hold_the_likeliest_labels(predictor: Predictor, tmp_path: Path) -> None:
    rows = messages(7)
    source, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out.jsonl"
    predict_table(predictor, source, ["text"], out, Asked(top_k=2))
    written = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    wanted = predictor.predict([row["text"] for row in rows], top_k=2)
    assert [[one["label"] for one in row["top_labels"]] for row in written] == [
        [one["label"] for one in best] for best in wanted
    ]
    for row in written:
        assert row["top_labels"][0] == {"label": row["predicted_label"], "score": row["score"]}


def test_another_number_of_labels_cannot_resume(predictor: Predictor, tmp_path: Path) -> None:
    source, out = write_rows(tmp_path / "rows.jsonl", messages(3)), tmp_path / "out.csv"

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(predictor, "scored", interrupted)
        with pytest.raises(EncT5Error, match="interrupted"):
            predict_table(predictor, source, ["text"], out, Asked(top_k=2))
    with pytest.raises(EncT5Error, match="another top_k"):
        predict_table(predictor, source, ["text"], out, Asked(top_k=None), resume=True)
