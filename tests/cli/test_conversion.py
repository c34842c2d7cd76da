"""Folders of converted models: whole, or absent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from enct5 import EncT5ForSequenceClassification
from enct5.cli.conversion import convert_folder
from enct5.errors import EncT5Error


def test_a_converted_folder_is_whole(tmp_path: Path, t5_folder: Callable[..., Path]) -> None:
    out = tmp_path / "some" / "model"
    result = convert_folder(str(t5_folder()), out, 3, problem_type="multi_label_classification")
    names = {file.name for file in out.iterdir()}
    assert names >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "configuration_enct5.py",
        "modeling_enct5.py",
        "README.md",
    }
    assert not any(name.startswith(".") for name in names)
    loaded = EncT5ForSequenceClassification.from_pretrained(out)
    for name, tensor in result.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert not loaded.config.prompt_position_bias
    with pytest.raises(EncT5Error, match=r"choose another folder, delete it, or replace .* with --overwrite"):
        convert_folder(str(t5_folder()), out, 3)


@pytest.mark.parametrize("problem_type", [None, "regression"])
def test_a_decoder_of_tokens_is_for_taggers(
    problem_type: str | None, tmp_path: Path, t5_folder: Callable[..., Path]
) -> None:
    with pytest.raises(EncT5Error, match=rf"is for token_classification, not {problem_type}; leave it out"):
        convert_folder(str(t5_folder()), tmp_path / "out", 3, problem_type=problem_type, token_decoder=True)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_is_refused(tmp_path: Path, t5_folder: Callable[..., Path]) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(EncT5Error, match="exists and is not empty"):
        convert_folder(str(t5_folder()), tmp_path / "out", 3)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("existed", [True, False])
def test_a_failure_leaves_nothing_behind(
    existed: bool, tmp_path: Path, t5_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    if existed:
        out.mkdir()

    def fail(self: Any, folder: Path) -> None:
        (Path(folder) / "model.safetensors").write_text("half")
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(EncT5ForSequenceClassification, "save_pretrained", fail)
        with pytest.raises(OSError, match="no space left"):
            convert_folder(str(t5_folder()), out, 3)
    assert list(tmp_path.iterdir()) == ([out] if existed else [])
    assert not existed or list(out.iterdir()) == []
    convert_folder(str(t5_folder()), out, 3)
    assert (out / "config.json").is_file()
