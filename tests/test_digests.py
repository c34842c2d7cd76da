"""SHA-256 as hashlib has it, of files that are larger than what is read at once, too."""

import hashlib
from pathlib import Path

import pytest

from enct5.digests import digest, digests_of_weights


@pytest.mark.parametrize("size", [0, 5, (1 << 20) + 3])
def test_it_is_that_of_the_whole_content(tmp_path: Path, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    (tmp_path / "file").write_bytes(content)
    assert digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_what_is_no_file_has_none(tmp_path: Path) -> None:
    assert digest("imdb:train") is None
    assert digest(tmp_path) is None


def test_all_weights_of_a_folder_are_named(tmp_path: Path) -> None:
    for name in ("model-2.safetensors", "model-1.safetensors", "model.safetensors.index.json"):
        (tmp_path / name).write_bytes(name.encode())
    found = digests_of_weights(tmp_path)
    assert list(found) == ["model-1.safetensors", "model-2.safetensors"]
    assert found["model-1.safetensors"] == hashlib.sha256(b"model-1.safetensors").hexdigest()
