"""Training from Python: the same run whatever holds the data, and nothing left behind unless a folder is named."""

import gc
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import Dataset

import enct5
from enct5 import training
from enct5.errors import EncT5Error
from enct5.training.config import TrainConfig
from enct5.training.data import read_rows
from enct5.training.run import train as train_by
from helpers.runs import RUN_FILES, Run, assert_same_weights, interrupt, messages, settings_of, weights

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = {"epochs": 5, "batch_size": 8, "learning_rate": 3e-3}
TEXTS = [row["text"] for row in messages(12)]
LABELS = [row["label"] for row in messages(12)]
FRAME = pd.DataFrame({"a": ["x"]})


@pytest.fixture(scope="module")
def held(run: Run, one_thread: None) -> "enct5.Run":
    """A run like `run`, of a DataFrame and without a folder's name."""
    return enct5.train(pd.DataFrame(messages(60)), text="text", label="label", base=run.base, **QUICK)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainConfig]:
    """Calls `enct5.train`, and returns the settings that it would train by."""

    def call(*data: Any, **settings: Any) -> TrainConfig:
        seen: list[TrainConfig] = []

        def stop(config: TrainConfig, *others: object) -> None:
            seen.append(config)
            raise KeyboardInterrupt

        monkeypatch.setattr("enct5.training.run.train", stop)
        with pytest.raises(KeyboardInterrupt):
            enct5.train(*data, **settings)
        return seen[0]

    return call


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made: other processes make such, too."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_frame_trains_the_model_that_its_file_does(held: "enct5.Run", run: Run) -> None:
    assert_same_weights(weights(held.folder), weights(run.out))
    assert held.metrics == run.record["metrics"]
    assert held.per_label == run.record["per_label"]


def test_a_run_knows_its_folder_its_report_and_its_predictor(held: "enct5.Run", run: Run) -> None:
    assert {path.name for path in held.folder.iterdir()} == RUN_FILES
    assert held.record == json.loads((held.folder / "metrics.json").read_text(encoding="utf-8"))
    assert "<html" in held.report.read_text(encoding="utf-8")
    texts = [row["text"] for row in messages(20, seed=3)]
    assert held.predictor.predict(texts) == enct5.Predictor.from_pretrained(run.out).predict(texts)
    assert held.predictor.predict(pd.DataFrame({"text": texts})) == held.predictor.predict(texts)
    assert f"accuracy {held.metrics['accuracy']:.4f}" in repr(held)


def test_records_call_data_in_memory_by_what_holds_it_and_know_its_rows(held: "enct5.Run") -> None:
    data = held.record["data"]
    assert (data["file"], data["text"], data["label"]) == ("DataFrame", ["text"], "label")
    rows = pd.DataFrame(messages(60)).to_dict("list")
    assert data["sha256"] == hashlib.sha256(repr(rows).encode()).hexdigest()
    assert "held out of DataFrame" in data["eval_split"]
    assert "enct5-DataFrame" in (held.folder / "README.md").read_text(encoding="utf-8")
    assert settings_of(held.folder).data == "DataFrame"


def test_a_folder_that_nobody_named_goes_with_its_run_and_save_keeps_it(
    run: Run, tmp_path: Path, temporary: Path
) -> None:
    found = enct5.train(TEXTS, LABELS, base=run.base, epochs=1, eval_fraction=0.3)
    (folder,) = temporary.glob("enct5-*")
    assert found.folder.parent == folder
    assert found.save(tmp_path / "kept") == tmp_path / "kept"
    predictor = found.predictor
    del found
    gc.collect()
    assert not folder.exists()
    assert {path.name for path in (tmp_path / "kept").iterdir()} == RUN_FILES
    assert predictor.predict(TEXTS) == enct5.Predictor.from_pretrained(tmp_path / "kept").predict(TEXTS)


def test_a_run_is_not_saved_over_anything(held: "enct5.Run", tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path, tmp_path / "file"):
        with pytest.raises(EncT5Error, match="exists and is not empty; choose another folder"):
            held.save(target)


def test_a_run_that_fails_leaves_nothing(run: Run, temporary: Path) -> None:
    with pytest.raises(EncT5Error, match="column `label` of data in memory lacks the label in 1 of 2 rows"):
        enct5.train(["a", "b"], ["x", None], base=run.base)
    assert not list(temporary.iterdir())


def test_a_named_folder_stays(run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pairs = [(text, text[::-1]) for text in TEXTS]
    found = enct5.train(
        pairs, np.arange(12) / 7, out=tmp_path / "run", base=run.base, epochs=1, eval=(pairs, range(12))
    )
    assert "".join(capfd.readouterr()) == ""  # neither lines nor bars
    folder, record = found.folder, found.record
    assert folder == tmp_path / "run"
    assert found.predictor.predict(pairs)[0].keys() == {"value"}
    del found
    gc.collect()
    assert {path.name for path in folder.iterdir()} == RUN_FILES
    assert record["task"] == "regression"
    assert record["data"]["text"] == ["text", "text_pair"]
    assert record["data"]["eval_file"] == "data in memory to evaluate on"
    with pytest.raises(EncT5Error, match="exists and is not empty"):
        enct5.train(TEXTS, LABELS, out=folder, base=run.base)


def test_an_interrupted_run_goes_on_with_the_same_rows_only(run: Run, tmp_path: Path) -> None:
    frame = pd.DataFrame(messages(60))
    held = Run.__new__(Run)
    held.base, held.source = run.base, frame  # type: ignore[assignment]
    interrupt(held, tmp_path / "run", evaluation=3)
    again = {"text": "text", "label": "label", "base": run.base, "out": tmp_path / "run", "resume": True, **QUICK}
    with pytest.raises(EncT5Error, match=r"the data has changed \(DataFrame\) since the run"):
        enct5.train(frame[::-1], **again)
    resumed = enct5.train(frame.copy(), **again)
    assert resumed.record["resumed"]
    assert_same_weights(weights(resumed.folder), weights(run.out))


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"n": range(12), "message": TEXTS, "kind": LABELS}, index=range(12, 0, -1)),
        pd.DataFrame({"message": TEXTS, "kind": pd.Categorical(LABELS)}),
        pa.table({"message": TEXTS, "kind": LABELS}),
        Dataset.from_dict({"message": TEXTS, "kind": LABELS}),
        {"message": np.array(TEXTS), "kind": pd.Series(LABELS)},
        [{"message": text, "kind": label} for text, label in zip(TEXTS, LABELS, strict=True)],
    ],
    ids=["frame", "categories", "arrow", "dataset", "columns", "rows"],
)
def test_any_table_is_read_as_a_file_is(data: Any, configured: Callable[..., TrainConfig], tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    pd.DataFrame({"message": TEXTS, "kind": LABELS}).to_csv(path, index=False)
    settings = {"text": "message", "label": "kind", "eval_fraction": 0.3}
    wanted, found = (read_rows(configured(of, eval=eval, **settings)) for of, eval in ((path, path), (data, data)))
    assert found.task == wanted.task
    assert found.counts == wanted.counts
    assert [(part == other).all() for part, other in zip(found.targets, wanted.targets, strict=True)] == [True, True]
    assert list(map(len, read_rows(configured(data, **settings)).targets)) == [9, 3]


def test_texts_and_labels_of_every_kind(configured: Callable[..., TrainConfig]) -> None:
    words = [np.array(["Ann", text]) for text in TEXTS]
    tags = [["B-who", "O"], ["O", "B-place"]] * 6
    for texts, labels, task in (
        (pd.Series(TEXTS), pd.Series(LABELS, dtype="category"), "single_label_classification"),
        (np.array(TEXTS), [{label, "any"} for label in LABELS], "multi_label_classification"),
        ((text for text in TEXTS), np.linspace(0, 1, 12), "regression"),
        (words, tags, "token_classification"),
    ):
        config = configured(texts, labels, eval_fraction=0.5)
        assert (config.text, config.label, str(config.data)) == (("text",), "label", "data in memory")
        assert read_rows(config).task.name == task


def test_settings_are_those_of_the_configuration(configured: Callable[..., TrainConfig], tmp_path: Path) -> None:
    values = {"text": ("a", "b"), "label": "c", "epochs": 2.5, "hpo": 3, "lora": True, "report_to": "wandb", "seed": 1}
    (tmp_path / "x.csv").touch()
    config = configured(tmp_path / "x.csv", eval=tmp_path / "y.csv", out=tmp_path / "run", **values)
    wanted = TrainConfig.checked(data=f"{tmp_path}/x.csv", eval=f"{tmp_path}/y.csv", out=f"{tmp_path}/run", **values)
    assert config == wanted


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        ((FRAME,), {"text": "a", "label": "a", "epoch": 1}, "option `epoch`; did you mean `epochs`"),
        ((FRAME,), {"texts": "a", "label": "a"}, r"`text` \(--text\) is missing; no .* `texts`; did"),
        ((FRAME, "a"), {}, "`labels` is `a`; name columns as `text=...` and `label=...`"),
        ((TEXTS,), {}, r"texts without labels; give both, as in `train\(texts, labels\)`"),
        ((pd.Series(TEXTS),), {"label": "x"}, "texts without labels"),
        ((TEXTS, LABELS), {"text": "a"}, "`text` names a column of a table; leave it out where texts and labels are"),
        ((TEXTS, LABELS), {"resume": True}, "can be resumed; name it by `out`"),
        ((TEXTS, LABELS), {"overwrite": True}, "can be replaced; name it by `out`"),
        ((TEXTS, LABELS), {"private": True}, "`private` is for the repository of `push_to_hub`"),
        ((TEXTS, LABELS), {"config": {"epoch": 1}}, "option `epoch`; did you mean `epochs`"),
        ((TEXTS, LABELS), {"config": "no.yaml"}, "no file of settings `no.yaml`"),
        ((), {"text": "a", "label": "b"}, r"`data` \(DATA\) is missing"),
        ((TEXTS, LABELS[1:]), {}, "column `text` has 12 values, `label` has 11; give as many"),
        ((TEXTS, 5), {}, r"column `label` of data in memory is `5` \(int\); give a list"),
        (([("a", "b"), "c"], [1, 2]), {}, "text 2 is `'c'`, the first is a pair; give pairs of strings"),
        ((TEXTS, LABELS), {"base": "no/such/folder"}, "there is no folder no/such/folder"),
        ((TEXTS, LABELS), {"epochs": -1}, "`epochs` is `-1`: input should be greater than 0"),
        ((TEXTS, LABELS), {"eval": TEXTS}, r"\(list\) is no table; give a DataFrame"),
        ((5,), {"text": "a", "label": "b"}, "`data` is `5`: input should be a valid string"),
        (("no.csv",), {"text": "a", "label": "b"}, "no file `no.csv`"),
    ],
)  # fmt: skip
def test_mistakes_are_told(data: tuple[Any, ...], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        enct5.train(*data, **settings)


def test_training_by_a_configuration_takes_a_table_too() -> None:
    assert training.train is train_by
    config = TrainConfig.checked(data=pd.DataFrame({"t": TEXTS, "l": LABELS}), text="t", label="l", eval_fraction=0.3)
    assert read_rows(config).counts == dict.fromkeys(sorted(set(LABELS)), 4)
    assert config.out == os.path.join("runs", "DataFrame")
