"""SHA-256 of files: whether data, weights or tokenizer are still those that a run had."""

import hashlib
import os
from pathlib import Path

from enct5.run_folder import CONFIG, METRICS

_BLOCK = 1 << 20  # bytes
_ROWS = 1000


def digest(source: str | Path) -> str | None:
    """SHA-256 of a file, in hexadecimal; `None` where there is no such file, as for a hub data set."""
    path = Path(os.path.expanduser(source))
    if not path.is_file():
        return None
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def digest_of_data(source: str) -> str | None:
    """SHA-256 of a table: of its file, or of all rows of a data set of the hub; `None` for a pipe.

    A data set is known by neither its name nor its revision: the one stays when rows change, the other changes with a
    word in its description.

    Args:
        source: What `reading.read_table` has read, so that it is in the cache.

    Raises:
        EncT5Error: If it can no longer be loaded.
    """
    from enct5.reading import is_path, load_hub

    if is_path(source):
        return digest(source)
    found = hashlib.sha256()
    for part in load_hub(source).with_format("arrow").iter(_ROWS):
        # as Python writes them, and not Arrow's bytes, which depend on where its blocks begin
        found.update(repr(part.to_pydict()).encode(errors="backslashreplace"))
    return found.hexdigest()


def digests_of_weights(folder: Path) -> dict[str, str | None]:
    """SHA-256 of every safetensors file of a folder, by name."""
    return {file.name: digest(file) for file in sorted(folder.glob("*.safetensors"))}


# T5's, and what ByT5, which has no vocabulary to store, leaves of itself.
_OF_A_TOKENIZER = ("tokenizer*.json", "*.model", "added_tokens.json", "special_tokens_map.json")


def digests_of_tokenizer(folder: Path) -> dict[str, str | None]:
    """SHA-256 of every file of a folder that its tokenizer is read from, by name."""
    files = {file.name: file for pattern in _OF_A_TOKENIZER for file in folder.glob(pattern)}
    return {name: digest(files[name]) for name in sorted(files)}


# Files that decide what a checkpoint predicts: configuration, weights and tokenizer.
_DECIDING = ("*.json", "*.safetensors", "*.onnx*", "*.model")


def digest_of_checkpoint(source: str) -> str | None:
    """SHA-256 of all that decides what a checkpoint predicts, wherever it lies; `None` where there is none.

    Args:
        source: folder or hub id; of the latter the files that were fetched, so load it before.
    """
    from enct5.loading import file_of

    config = file_of(source, CONFIG)
    if config is None:
        return None
    files = {file.name: file for pattern in _DECIDING for file in config.parent.glob(pattern) if file.name != METRICS}
    return hashlib.sha256("".join(f"{name} {digest(files[name])}\n" for name in sorted(files)).encode()).hexdigest()
