"""Distillation from Python: the student that the command makes, whatever holds the texts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import enct5
from enct5.errors import EncT5Error
from enct5.training.distillation import DistillConfig, distill
from helpers.runs import RUN_FILES, Run, assert_same_weights, messages, weights

pytestmark = pytest.mark.usefixtures("one_thread")
ROWS = messages(40, seed=1)
TEXTS = [row["text"] for row in ROWS]
QUICK = {"epochs": 2, "batch_size": 8, "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def wanted(run: Run, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """The student of a file of texts."""
    folder = tmp_path_factory.mktemp("distilled")
    pd.DataFrame({"text": TEXTS}).to_csv(folder / "texts.csv", index=False)
    config = {
        "teacher": str(run.out),
        "data": str(folder / "texts.csv"),
        "text": "text",
        "base": str(run.base),
        **QUICK,
    }
    distill(DistillConfig.checked(out=str(folder / "student"), **config))
    return folder / "student"


def test_a_student_of_texts_is_that_of_their_file(run: Run, wanted: Path) -> None:
    student = enct5.distill(run.out, (text for text in TEXTS), base=run.base, **QUICK)
    assert_same_weights(weights(student.folder), weights(wanted))
    assert {path.name for path in student.folder.iterdir()} == RUN_FILES
    assert student.record["distillation"]["teacher"] == run.out.name
    assert student.record["data"]["file"] == "data in memory"


def test_a_run_teaches_and_labels_and_tables_are_taken(run: Run, tmp_path: Path) -> None:
    teacher = enct5.Run(run.out, run.record)
    labels = [row["label"] if number % 2 else None for number, row in enumerate(ROWS)]
    some = enct5.distill(teacher, TEXTS, labels, eval=(TEXTS[:9], labels[:9]), base=run.base, **QUICK)
    assert some.record["distillation"]["labelled_texts"] == 20
    frame = pd.DataFrame({"a": TEXTS, "b": labels})
    same = enct5.distill(
        teacher, frame, text="a", label="b", eval=frame[:9], out=tmp_path / "run", base=run.base, **QUICK
    )
    assert same.folder == tmp_path / "run"
    assert_same_weights(weights(some.folder), weights(same.folder))


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        ((TEXTS,), {"text": "a"}, "`text` names a column of a table"),
        ((TEXTS, "a"), {}, "`labels` is `a`; name columns as"),
        ((TEXTS,), {"label_weight": 0.5}, r"--label-weight needs a label column"),
        ((TEXTS,), {"temprature": 1}, "option `temprature`; did you mean `temperature`"),
        ((), {}, r"`teacher` \(TEACHER\) is missing|`data` \(DATA\) is missing"),
    ],
)  # fmt: skip
def test_mistakes_are_told(run: Run, data: tuple[Any, ...], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        enct5.distill(run.out, *data, **settings)


def test_no_such_teacher(tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match="there is no folder"):
        enct5.distill(tmp_path / "none", TEXTS)


def test_settings_of_a_file_and_what_is_given_beside_them(
    run: Run, wanted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def stop(config: Any, *others: object) -> dict[str, Any]:
        seen.append(config)
        return {"metrics": {}, "per_label": []}

    monkeypatch.setattr("enct5.training.distillation.run.distill", stop)
    monkeypatch.setattr("enct5.training.run.train", stop)
    named = {"teacher": run.out, "data": wanted.parent / "texts.csv", "base": run.base}
    enct5.distill(config=wanted / "train_config.yaml", temperature=3, out=tmp_path / "a", **named)
    enct5.train(config={"data": "x.csv", "text": "t", "label": "l", "epochs": 4}, label="m", out=tmp_path / "b")
    enct5.train(TEXTS, [row["label"] for row in ROWS], config=run.out / "train_config.yaml", base=run.base)
    assert (seen[0].temperature, seen[0].epochs, seen[0].text) == (3, 2, ("text",))
    assert (seen[1].label, seen[1].epochs, seen[1].data) == ("m", 4, "x.csv")
    assert (seen[2].epochs, seen[2].out, str(seen[2].data)) == (5, "run", "data in memory")  # the file names a folder


def test_a_finished_run_is_replaced_when_the_new_one_is_complete(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [row["label"] for row in ROWS]
    train: Callable[..., enct5.Run] = enct5.train
    first = train(TEXTS, labels, out=tmp_path / "run", base=run.base, epochs=1)
    before = weights(first.folder)
    with monkeypatch.context() as patched:
        patched.setattr("enct5.training.run.conclude", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(TEXTS, labels, out=tmp_path / "run", base=run.base, epochs=1, seed=1, overwrite=True)
    assert_same_weights(weights(first.folder), before)
    second = train(TEXTS, labels, out=tmp_path / "run", base=run.base, epochs=1, seed=1, overwrite=True, resume=True)
    assert second.folder == first.folder
    assert second.record["seed"] == 1
    assert {path.name for path in second.folder.iterdir()} == RUN_FILES
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    with pytest.raises(EncT5Error, match="exists and is not empty"):
        train(TEXTS, labels, out=tmp_path / "run", base=run.base)
