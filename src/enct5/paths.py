"""What a name that leads to nothing here was meant as, so that no hub is asked for what it cannot have."""

import os
import re

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
