"""SHA-256 of what a model folder holds: whether weights or tokenizer are still those that a run had."""

import hashlib
from pathlib import Path
from typing import Any

from enct5.files.digests import digest
from enct5.model.folder import CONFIG, METRICS

# T5's, and what ByT5, which has no vocabulary to store, leaves of itself.
_OF_A_TOKENIZER = ("tokenizer*.json", "*.model", "added_tokens.json", "special_tokens_map.json")
# Files that decide what a checkpoint predicts: configuration, weights and tokenizer.
_DECIDING = ("*.json", "*.safetensors", "*.onnx*", "*.model")


def digests_of_weights(folder: Path) -> dict[str, str | None]:
    """SHA-256 of every safetensors file of a folder, by name."""
    return {file.name: digest(file) for file in sorted(folder.glob("*.safetensors"))}


def digests_of_tokenizer(folder: Path) -> dict[str, str | None]:
    """SHA-256 of every file of a folder that its tokenizer is read from, by name."""
    files = {file.name: file for pattern in _OF_A_TOKENIZER for file in folder.glob(pattern)}
    return {name: digest(files[name]) for name in sorted(files)}


def digest_of_checkpoint(source: str, **hub: Any) -> str | None:
    """SHA-256 of all that decides what a checkpoint predicts, wherever it lies; `None` where there is none.

    Args:
        source: folder or hub id; of the latter the files that were fetched, so load it before.
        hub: `revision` and `token` on the hub.
    """
    from enct5.files.hub_files import file_of

    config = file_of(source, CONFIG, **hub)
    if config is None:
        return None
    files = {file.name: file for pattern in _DECIDING for file in config.parent.glob(pattern) if file.name != METRICS}
    return hashlib.sha256("".join(f"{name} {digest(files[name])}\n" for name in sorted(files)).encode()).hexdigest()
