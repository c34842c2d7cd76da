"""SHA-256 of files."""

import hashlib
import os
from pathlib import Path

_BLOCK = 1 << 20  # bytes


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
