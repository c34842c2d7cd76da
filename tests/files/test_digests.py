"""SHA-256 as hashlib has it, of files that are larger than what is read at once, too."""

import hashlib
from pathlib import Path

import datasets
import pytest
from datasets import Dataset, DatasetInfo, concatenate_datasets

from enct5.data.digests import digest_of_data
from enct5.files.digests import digest
from enct5.model.digests import digest_of_checkpoint, digests_of_tokenizer, digests_of_weights

HALVES = (slice(0, 1234), slice(1234, None))


@pytest.mark.parametrize("size", [0, 5, (1 << 20) + 3])
def test_it_is_that_of_the_whole_content(tmp_path: Path, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    (tmp_path / "file").write_bytes(content)
    assert digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_file_in_the_home_folder_has_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_bytes(b"a")
    assert digest("~/a.csv") == hashlib.sha256(b"a").hexdigest()


def test_what_is_no_file_has_none(tmp_path: Path) -> None:
    assert digest("imdb:train") is None
    assert digest(tmp_path) is None


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


def test_data_of_the_hub_are_known_by_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they lie in memory, and whatever else the hub says of them; a file is known by its bytes."""
    rows = {"text": [f"text {number}" for number in range(2500)], "label": [None, *range(2499)]}
    whole = Dataset.from_dict(rows)
    halves = concatenate_datasets([Dataset.from_dict({name: rows[name][part] for name in rows}) for part in HALVES])
    described = Dataset.from_dict(rows, info=DatasetInfo(description="a word more"))
    changed = Dataset.from_dict({**rows, "text": [*rows["text"][:-1], "another"]})
    swapped = Dataset.from_dict({**rows, "label": [0, None, *range(1, 2499)]})

    def digest_of(found: Dataset) -> str:
        monkeypatch.setattr(datasets, "load_dataset", lambda name, split: found)
        return digest_of_data("org/name:train")

    assert digest_of(whole) == digest_of(halves) == digest_of(described)
    assert len({digest_of(whole), digest_of(changed), digest_of(swapped), digest_of(whole.select(range(2400)))}) == 4
    (tmp_path / "a.csv").write_bytes(b"text\na\n")
    assert digest_of_data(str(tmp_path / "a.csv")) == hashlib.sha256(b"text\na\n").hexdigest()
