"""`--revision`: a branch of a model on the hub, and nothing that a folder has."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from enct5.model.digests import digest_of_checkpoint
from helpers.command import Ended
from helpers.hub import hub_cache
from helpers.models import saved_model

Base = Callable[..., Path]


@pytest.fixture
def hub(t5_folder: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model on the hub whose branches know other labels."""
    for branch, labels in {"main": ("old", "older"), "new": ("new", "newer")}.items():
        saved_model(t5_folder(), tmp_path / branch, labels)
    return hub_cache(tmp_path, monkeypatch, {branch: tmp_path / branch for branch in ("main", "new")})


def test_predict_and_evaluate_take_the_branch(hub: str, tmp_path: Path, enct5: Callable[..., Ended]) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text,label\nlate,new\nparcel,newer\n")
    for revision, branch in ((("--revision", "new"), "new"), ((), "old")):
        ended = enct5("predict", hub, data, *revision)
        assert (ended.status, ended.err) == (0, "")
        assert {line.split(",")[2][:3] for line in ended.out.splitlines()[1:]} == {branch}
    assert enct5("evaluate", hub, data, "--revision", "new").status == 0
    assert "labels" in enct5("evaluate", hub, data).err  # the other branch does not know them
    assert digest_of_checkpoint(hub, revision="new") == digest_of_checkpoint(str(tmp_path / "new"))
    assert digest_of_checkpoint(hub) == digest_of_checkpoint(str(tmp_path / "main"))


def test_convert_takes_the_branch(
    t5_folder: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enct5: Callable[..., Ended]
) -> None:
    base = hub_cache(tmp_path, monkeypatch, {"main": t5_folder(), "other": t5_folder("umt5")})
    ended = enct5("convert", base, tmp_path / "out", "--num-labels", 2, "--revision", "other")
    assert ended.status == 0
    made, other = (load_file(folder / "model.safetensors") for folder in (tmp_path / "out", t5_folder("umt5")))
    assert torch.equal(made["transformer.encoder.embed_tokens.weight"], other["shared.weight"])


@pytest.mark.parametrize("command", ["predict {f} text", "evaluate {f} x.csv", "convert {f} {f}-out --num-labels 2"])
def test_a_folder_has_no_revisions(t5_folder: Base, enct5: Callable[..., Ended], command: str) -> None:
    ended = enct5(*command.format(f=t5_folder()).split(), "--revision", "main")
    assert ended.status == 2
    assert "`revision` (--revision) is `main`, but " in ended.err
    assert ended.err.count("\n") == 1
