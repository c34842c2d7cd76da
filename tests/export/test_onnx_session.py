"""Exported models are found, and can be copied and pickled; a graph made by hand stands for an exported one."""

import copy
import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enct5 import Predictor
from enct5.errors import EncT5Error
from enct5.export import onnx_session
from enct5.export.onnx_session import DATA, GRAPH, OnnxEncT5, is_exported
from enct5.model.loading import load_tokenizer
from helpers.graphs import write_graph
from helpers.texts import sentences

pytest.importorskip("onnx", reason="needs the extra [onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra [onnx]")

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]


@pytest.fixture(params=[False, True], ids=["one file", "two files"])
def folder(request: pytest.FixtureRequest, t5_folder: Base, tmp_path: Path) -> Path:
    write_graph(tmp_path / "exported", load_tokenizer(str(t5_folder())), request.param)
    assert (tmp_path / "exported" / DATA).exists() == request.param
    return tmp_path / "exported"


@pytest.mark.parametrize("way", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_carry_the_graph(folder: Path, way: Callable[[Any], Any]) -> None:
    predictor = Predictor.from_pretrained(folder)
    assert isinstance(predictor.model, OnnxEncT5)
    wanted = predictor.logits(sentences(20))
    assert wanted.std() > 0.1
    made = way(predictor)
    for file in folder.glob(f"{GRAPH}*"):
        file.unlink()
    for other in (made, way(made)):  # a copy's graph is its own
        np.testing.assert_array_equal(other.logits(sentences(20)), wanted)
        assert other.settings() == predictor.settings()
        assert other.model.megabytes == predictor.model.megabytes
    with pytest.raises(EncT5Error, match=r"model\.onnx is not what it was when it was loaded; load the model again"):
        way(predictor)


def test_threads_share_a_session(folder: Path) -> None:
    predictor = Predictor.from_pretrained(folder)
    wanted = predictor.logits(sentences(20))
    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(predictor.logits, [sentences(20)] * 40):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("told", "threads"), [("3", 3), ("2,4", 2), ("0", None), ("many", None), (None, None)])
def test_without_torch_there_are_as_many_threads_as_torch_would_take(
    folder: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, threads: int | None
) -> None:
    assert OnnxEncT5.from_pretrained(str(folder)).threads == torch.get_num_threads() == 1
    monkeypatch.setitem(sys.modules, "torch", None)
    if told is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
    cores = {0, 1} if threads is None else set()
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores, raising=False)
    monkeypatch.setattr(onnx_session, "_siblings", lambda place: "0-1")  # two places on one core
    assert OnnxEncT5.from_pretrained(str(folder)).threads == (threads or 1)
    monkeypatch.setattr(onnx_session, "_siblings", str)
    assert OnnxEncT5.from_pretrained(str(folder)).threads == (threads or 2)


def test_a_graph_that_changed_since_is_not_copied(folder: Path, t5_folder: Base) -> None:
    predictor = Predictor.from_pretrained(folder)
    file = folder / GRAPH
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(EncT5Error, match="is not what it was"):
        pickle.dumps(predictor)


def as_on_the_hub(folder: Path, cache: Path, revisions: dict[str, Path]) -> None:
    """A cache of the hub that has one repository, with a commit for each name."""
    repository = cache / "models--some--model"
    (repository / "refs").mkdir(parents=True)
    for number, (name, source) in enumerate(revisions.items()):
        commit = f"{number:040x}"
        (repository / "refs" / name).write_text(commit)
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        for file in source.iterdir():
            (snapshot / file.name).write_bytes(file.read_bytes())


def test_exported_models_of_the_hub_come_with_their_weights_and_by_revision(
    folder: Path, t5_folder: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants
    import transformers.utils.hub

    from enct5.model.conversion import convert

    trained = tmp_path / "trained"
    convert(str(t5_folder()), num_labels=2).model.save_pretrained(trained)
    load_tokenizer(str(t5_folder())).save_pretrained(trained)
    as_on_the_hub(folder, tmp_path / "hub", {"main": folder, "torch": trained})
    for module, name in ((huggingface_hub.constants, "HF_HUB_CACHE"), (transformers.utils.hub, "HF_HUB_CACHE")):
        monkeypatch.setattr(module, name, str(tmp_path / "hub"), raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert is_exported("some/model")
    assert not is_exported("some/model", revision="torch")
    texts = sentences(5)
    exported = Predictor.from_pretrained("some/model")
    np.testing.assert_array_equal(exported.logits(texts), Predictor.from_pretrained(folder).logits(texts))
    plain = Predictor.from_pretrained("some/model", device="cpu", revision="torch", token=False)
    np.testing.assert_array_equal(plain.logits(texts), Predictor.from_pretrained(trained, device="cpu").logits(texts))
    assert plain.logits(texts).shape == (5, 2)
    with pytest.raises(EncT5Error, match="some/model"):
        Predictor.from_pretrained("some/model", revision="no-such-branch")
    assert torch.get_num_threads() == 1


def test_what_the_hub_refuses_is_told_by_the_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no such repository")

    monkeypatch.setattr("enct5.export.onnx_session.file_of", refuse)
    assert not is_exported("no/such-model")
    with pytest.raises(EncT5Error, match="cannot read a model at no/such-model"):
        Predictor.from_pretrained("no/such-model")
