"""What a name that leads to nothing here was meant as, so that no hub is asked for what it cannot have."""

import os
import re
from pathlib import Path

from enct5.errors import nearest

_FOREIGN = re.compile(r"[a-z][a-z0-9+.-]+://|[a-z]:[\\/]|\\\\", re.IGNORECASE)
_FILE = re.compile(
    r"\.(csv|tsv|txt|jsonl?|ndjson|parquet|arrow|feather|xlsx?|conll|ya?ml|html|gz|bz2|xz|zst|zip|tar|bin|pt|pth|ckpt|"
    r"onnx|safetensors)$",
    re.IGNORECASE,
)


def foreign(source: str) -> str | None:
    """What a source is that can be neither a file here nor a name on the hub: a URL, or a path of Windows."""
    found = _FOREIGN.match(source)
    if found is None or (os.name == "nt" and "://" not in found[0]):
        return None
    return "a URL" if "://" in found[0] else "a path of Windows, which leads nowhere here"


def is_file_name(source: str) -> bool:
    """Whether a source is named like a file of data or weights, as hardly anything on the hub is."""
    return _FILE.search(source) is not None


def is_text(source: str) -> bool:
    """Whether what could name a file is a text: there is no such file, nor does it look like one's name or the hub's.

    A single word that is much like the name of a file here is taken for that, mistyped.
    """
    if not source.strip() or source == "-" or os.path.exists(os.path.expanduser(source)) or is_file_name(source):
        return False
    if re.search(r"\s", source):
        return not str(foreign(source)).endswith("here")
    if re.search(r"[/\\:*~\[\]]|\.\w+$", source):
        return False
    return nearest(source, [file.name for file in Path().iterdir()]) is None
