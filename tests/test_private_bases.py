"""What is private on the hub is read with the token that is given, and the token is written nowhere."""

import logging
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

import enct5
from enct5.errors import EncT5Error
from helpers.hub_server import TOKEN, Hub
from helpers.models import saved_model
from helpers.runs import messages

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = {"text": "text", "label": "label", "epochs": 1, "batch_size": 8, "learning_rate": 3e-3}


@pytest.fixture
def private(hub: Hub, t5_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub with a private T5 and a private model; nobody is logged in."""
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    saved_model(t5_folder(), tmp_path / "model", ("refund", "delivery"))
    hub.hold("org/base@dev", t5_folder())
    hub.hold("org/model", tmp_path / "model")
    return hub


def assert_nowhere(folder: Path) -> None:
    for file in folder.rglob("*"):
        assert file.is_dir() or TOKEN.encode() not in file.read_bytes(), file


def test_a_predictor(private: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = enct5.Predictor.from_pretrained("org/model", token=TOKEN)
    assert predictor.predict("late parcel")["label"] in ("refund", "delivery")
    assert TOKEN not in repr(vars(predictor)) + repr(predictor.settings())
    # another cache: what was fetched with the token is not to answer for the hub
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(EncT5Error, match=r"org/model.*\(a private one needs a token: `hf auth login`, or HF_TOKEN\)"):
        enct5.Predictor.from_pretrained("org/model", device="cpu", token=False)


def test_a_converted_model(private: Hub, tmp_path: Path) -> None:
    model = enct5.EncT5ForSequenceClassification.from_t5("org/base@dev", num_labels=2, token=TOKEN)
    model.save_pretrained(tmp_path / "new")
    assert_nowhere(tmp_path / "new")


def test_a_run_and_its_records(
    private: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, **places: object) -> datasets.Dataset:
        assert places == {"split": "train", "token": TOKEN}
        return datasets.Dataset.from_list(messages(30))

    monkeypatch.setattr(datasets, "load_dataset", load)
    caplog.set_level(logging.DEBUG)
    run = enct5.train("org/data:train", base="org/base@dev", out=tmp_path / "run", token=TOKEN, **QUICK)
    assert run.record["base"] == "org/base@dev"
    assert_nowhere(tmp_path / "run")
    assert TOKEN not in caplog.text + repr(run.record) + repr(run)


def test_an_interrupted_run(private: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("enct5.training.run.conclude", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            enct5.train(messages(30), base="org/base@dev", out=tmp_path / "run", token=TOKEN, **QUICK)
    assert (tmp_path / "run" / "checkpoints" / "run.json").is_file()
    assert_nowhere(tmp_path / "run")


def test_without_the_token(private: Hub, tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match="org/base@dev"):
        enct5.train(messages(30), base="org/base@dev", out=tmp_path / "run", **QUICK)
