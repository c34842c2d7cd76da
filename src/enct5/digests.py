"""SHA-256 of files: whether data or weights are still those that a run had."""

import hashlib
from pathlib import Path

_BLOCK = 1 << 20  # bytes


def digest(source: str | Path) -> str | None:
    """SHA-256 of a file, in hexadecimal; `None` where there is no such file, as for a hub data set."""
    path = Path(source)
    if not path.is_file():
        return None
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def digests_of_weights(folder: Path) -> dict[str, str | None]:
    """SHA-256 of every safetensors file of a folder, by name."""
    return {file.name: digest(file) for file in sorted(folder.glob("*.safetensors"))}
