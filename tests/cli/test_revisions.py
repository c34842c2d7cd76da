"""`--revision` and `name@revision`: a branch of a model on the hub, and nothing that a folder has."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from enct5.model.digests import digest_of_checkpoint
from helpers.command import Ended
from helpers.hub import hub_cache
from helpers.models import saved_model
from helpers.runs import settings_of

Base = Callable[..., Path]


@pytest.fixture
def model(t5_folder: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model on the hub whose branches know other labels."""
    for branch, labels in {"main": ("old", "older"), "new": ("new", "newer")}.items():
        saved_model(t5_folder(), tmp_path / branch, labels)
    return hub_cache(tmp_path, monkeypatch, {branch: tmp_path / branch for branch in ("main", "new")})


def test_predict_and_evaluate_take_the_branch(model: str, tmp_path: Path, enct5: Callable[..., Ended]) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text,label\nlate,new\nparcel,newer\n")
    places = ((model, ("--revision", "new"), "new"), (f"{model}@new", (), "new"), (model, (), "old"))
    for name, revision, branch in places:
        ended = enct5("predict", name, data, *revision)
        assert (ended.status, ended.err) == (0, "")
        assert {line.split(",")[2][:3] for line in ended.out.splitlines()[1:]} == {branch}
    assert enct5("evaluate", model, data, "--revision", "new").status == 0
    assert "labels" in enct5("evaluate", model, data).err  # the other branch does not know them
    assert digest_of_checkpoint(model, revision="new") == digest_of_checkpoint(str(tmp_path / "new"))
    assert digest_of_checkpoint(model) == digest_of_checkpoint(str(tmp_path / "main"))


def test_convert_takes_the_branch(
    t5_folder: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enct5: Callable[..., Ended]
) -> None:
    base = hub_cache(tmp_path, monkeypatch, {"main": t5_folder(), "other": t5_folder("umt5")})
    ended = enct5("convert", base, tmp_path / "out", "--num-labels", 2, "--revision", "other")
    assert ended.status == 0
    made, other = (load_file(folder / "model.safetensors") for folder in (tmp_path / "out", t5_folder("umt5")))
    assert torch.equal(made["transformer.encoder.embed_tokens.weight"], other["shared.weight"])


def test_explain_info_bench_and_export_take_the_branch(
    model: str, tmp_path: Path, enct5: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    for revision, branch in ((("--revision", "new"), "new"), ((), "old")):
        assert {"new": "newer", "old": "older"}[branch] in enct5("info", model, *revision).out
        assert branch in enct5("explain", model, "late parcel", "--label", branch, *revision).out
        assert enct5("export", model, tmp_path / branch / "onnx", *revision).status == 0
        assert enct5("predict", tmp_path / branch / "onnx", "late parcel").out.splitlines()[-2].strip()[2:5] == branch
    seen: list[str] = []
    monkeypatch.setattr("enct5.inference.bench.bench", lambda source: seen.append(source) or {"results": []})
    enct5("bench", model, "--revision", "new")
    assert seen == [f"{model}@new"]


def test_a_run_and_a_student_take_the_branches(
    model: str, tmp_path: Path, enct5: Callable[..., Ended], one_thread: None
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text,label\n" + "".join(f"late parcel {n},new\nmy money {n},newer\n" for n in range(10)))
    common = ("--text", "text", "--epochs", 1, "--batch-size", 8)
    ended = enct5("train", data, "--label", "label", "--base", f"{model}@new", "--out", tmp_path / "run", *common)
    assert (ended.status, ended.err) == (0, "")
    assert "the head is new" not in ended.out  # the branch has these labels
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert record["base"] == record["origin"] == f"{model}@new"
    card = ModelCard.load(tmp_path / "run" / "README.md")
    assert card.data.base_model == model
    assert settings_of(tmp_path / "run").base == f"{model}@new"
    ended = enct5("train", data, "--label", "label", "--base", model, "--out", tmp_path / "other", *common)
    assert "the head is new" in ended.out
    ended = enct5("distill", f"{model}@new", data, "--out", tmp_path / "student", "--base", f"{model}@main", *common)
    assert (ended.status, ended.err) == (0, "")
    assert "newer" in (tmp_path / "student" / "config.json").read_text()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "predict {m}@new text --revision main",
            "org/base@new names a revision, and `revision` (--revision) is `main`",
        ),
        ("info {m}@new --revision main", "org/base@new names a revision"),
        ("predict {m}@ text", "there is no folder org/base@"),
        ("predict {m}@nowhere text", "cannot read a model at org/base@nowhere"),
    ],
)
def test_what_can_be_no_revision(model: str, enct5: Callable[..., Ended], command: str, message: str) -> None:
    ended = enct5(*command.format(m=model).split())
    assert ended.status == 2
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_a_folder_may_have_an_at_in_its_name(t5_folder: Base, tmp_path: Path, enct5: Callable[..., Ended]) -> None:
    saved_model(t5_folder(), tmp_path / "base@new", ("here", "there"))
    assert "here" in enct5("info", tmp_path / "base@new").out


COMMANDS = ["predict {f} text", "evaluate {f} x.csv", "explain {f} text", "info {f}", "bench {f}", "export {f} {f}-out"]


@pytest.mark.parametrize("command", [*COMMANDS, "convert {f} {f}-out --num-labels 2"])
def test_a_folder_has_no_revisions(t5_folder: Base, enct5: Callable[..., Ended], command: str) -> None:
    ended = enct5(*command.format(f=t5_folder()).split(), "--revision", "main")
    assert ended.status == 2
    assert "`revision` (--revision) is `main`, but " in ended.err
    assert ended.err.count("\n") == 1
