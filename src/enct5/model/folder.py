"""A model's folder: the names of its files, whether it is complete, and where it says that its base comes from."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRAIN_CONFIG = "train_config.yaml"
CHECKPOINTS = "checkpoints"
LOGS = "logs"  # what TensorBoard was told of a run
METRICS = "metrics.json"
CONVERSION = "conversion.json"  # what a converted folder has in its place
CONFIG = "config.json"  # the last file to arrive in a run folder: it is complete when it has one
WEIGHTS = "model.safetensors"
REPORT = "report.html"
REPORT_OF_A_TASK = "report-{}.html"  # beside it, where there are several

# What a folder holds, by patterns of `fnmatch`.
CONFIG_AND_TOKENIZER = (
    *(CONFIG, "configuration_enct5.py"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("spiece.model", "chat_template.jinja"),
)
MODEL_FILES = (
    *("README.md", "modeling_enct5.py", "modeling_enct5_tasks.py"),
    *(WEIGHTS, "model-*-of-*.safetensors", "model.safetensors.index.json"),
)
ADAPTER_FILES = ("adapter/adapter_config.json", "adapter/adapter_model.safetensors")


def is_interrupted(out: Path) -> bool:
    """Whether the folder holds a run that `--resume` continues."""
    return (out / CHECKPOINTS).is_dir() and not is_complete(out)


def public_name(source: str) -> str:
    """What others are told of a checkpoint: an id on the hub, or a folder's name without the way there."""
    path = Path(os.path.expanduser(source))
    return path.resolve().name if path.exists() else source


@dataclass(frozen=True)
class Ancestry:
    """Where a base comes from.

    Attributes:
        origin: for a run folder, or a converted one, the T5 that it was made of in the beginning; else the base itself.
        trained_on: for a run folder the name of the file that its run trained on.
    """

    origin: str
    trained_on: str | None = None


def ancestry_of(base: str) -> Ancestry:
    """What the record of a run folder tells of it."""
    record = record_of(base)
    data = record.get("data")
    file = data.get("file") if isinstance(data, dict) else None
    return Ancestry(str(record.get("origin") or public_name(base)), None if file is None else str(file))


def record_of(base: str) -> dict[str, Any]:
    """What a run or a conversion left on record; other versions may have written less."""
    for name in (METRICS, CONVERSION):
        try:
            return dict(json.loads((Path(base) / name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
    return {}


def is_complete(out: Path) -> bool:
    """Whether the folder holds a finished run."""
    return (out / METRICS).is_file() and (out / CONFIG).is_file()
