"""Bases of the hub: revisions, their tokenizers, and shards that are not there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from enct5.cli.conversion import convert_folder
from enct5.errors import EncT5Error
from enct5.model.conversion import convert
from helpers.hub import hub_cache
from helpers.t5_files import assert_copied, sharded, weights


def test_a_hub_id_is_read_from_the_local_cache(
    tmp_path: Path, t5_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = t5_folder()
    base = hub_cache(tmp_path, monkeypatch, {"main": folder, "other": t5_folder("umt5")})
    result = convert(base, 3)
    assert_copied(result, weights(folder))
    assert result.model.config.name_or_path == base
    assert_copied(convert(base, 3, revision="other"), weights(t5_folder("umt5")))
    with pytest.raises(EncT5Error, match=f"cannot read a checkpoint at {base}: "):
        convert(base, 3, revision="nowhere")


def test_a_folder_made_from_a_revision_has_its_tokenizer(
    tmp_path: Path, t5_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = tmp_path / "without"
    shutil.copytree(t5_folder(), without)
    for file in without.glob("tokenizer*"):
        file.unlink()
    base = hub_cache(tmp_path, monkeypatch, {"main": without, "other": t5_folder()})
    convert_folder(base, tmp_path / "out", 3, revision="other")
    expected = (t5_folder() / "tokenizer.json").read_text()
    assert json.loads((tmp_path / "out" / "tokenizer.json").read_text()) == json.loads(expected)
    with pytest.raises(EncT5Error, match="cannot load the tokenizer of org/base"):
        convert_folder(base, tmp_path / "out2", 3)
    assert not (tmp_path / "out2").exists()


def test_a_shard_that_was_not_downloaded_is_named(
    tmp_path: Path, t5_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sharded(t5_folder(), tmp_path / "sharded")
    (folder / "kept.safetensors").unlink()
    base = hub_cache(tmp_path, monkeypatch, {"main": folder})
    with pytest.raises(EncT5Error, match=r"kept\.safetensors") as raised:
        convert(base, 3)
    assert base in str(raised.value)
    assert "\n" not in str(raised.value)
