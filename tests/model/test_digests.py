"""A checkpoint is known by the files that decide its predictions."""

import hashlib
from pathlib import Path

import pytest

from enct5.model.digests import digest_of_checkpoint, digests_of_tokenizer, digests_of_weights


def test_all_weights_of_a_folder_are_named(tmp_path: Path) -> None:
    for name in ("model-2.safetensors", "model-1.safetensors", "model.safetensors.index.json"):
        (tmp_path / name).write_bytes(name.encode())
    found = digests_of_weights(tmp_path)
    assert list(found) == ["model-1.safetensors", "model-2.safetensors"]
    assert found["model-1.safetensors"] == hashlib.sha256(b"model-1.safetensors").hexdigest()


@pytest.mark.parametrize(
    "names",
    [
        ["tokenizer.json", "tokenizer_config.json"],
        ["special_tokens_map.json", "spiece.model", "tokenizer_config.json"],
        ["added_tokens.json", "tokenizer_config.json"],  # ByT5's
    ],
)
def test_all_that_a_tokenizer_is_read_from_is_named(tmp_path: Path, names: list[str]) -> None:
    for name in [*names, "config.json", "metrics.json", "model.safetensors"]:
        (tmp_path / name).write_bytes(name.encode())
    assert digests_of_tokenizer(tmp_path) == {name: hashlib.sha256(name.encode()).hexdigest() for name in names}


def test_a_checkpoint_is_known_by_what_decides_its_predictions(tmp_path: Path) -> None:
    def write(folder: str, **files: str) -> str:
        contents = {"config.json": "{}", "model.safetensors": "1", "tokenizer.json": "t", "spiece.model": "s"} | files
        (tmp_path / folder).mkdir()
        for name, content in contents.items():
            (tmp_path / folder / name).write_text(content, encoding="utf-8")
        return str(tmp_path / folder)

    plain = digest_of_checkpoint(write("a"))
    others = {"README.md": "new", "metrics.json": "{}", "report.html": "new"}
    assert plain == digest_of_checkpoint(write("b", **others))
    deciding = ("config.json", "model.safetensors", "tokenizer.json", "spiece.model", "model.onnx", "model.onnx.data")
    changed = {digest_of_checkpoint(write(name, **{name: "other"})) for name in deciding}
    assert len({plain, *changed}) == 1 + len(deciding)
    assert None not in changed
    (tmp_path / "none").mkdir()
    assert digest_of_checkpoint(str(tmp_path / "none")) is None
