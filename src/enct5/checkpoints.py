"""The checkpoints of an interrupted run: which of them are whole, and which one a run goes on from."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open

_STATE = "trainer_state.json"  # written last
# The other parts that the HF Trainer writes: weights (of all, in shards, of LoRA's adapters, or by FSDP), and files or
# folders, some of them for each process.
_PARTS = {
    "weights": (
        "model.safetensors",
        "model.safetensors.index.json",
        "adapter_model.safetensors",
        "pytorch_model_fsdp*",
    ),
    "the optimiser's state": ("optimizer*",),
    "the schedule's state": ("scheduler.pt",),
    "the states of random numbers": ("rng_state*.pth",),
}


def step_of(checkpoint: Path) -> int:
    """The training step that a checkpoint was written at."""
    return int(checkpoint.name.rpartition("-")[2])


def newest_whole(folder: Path, say: Callable[[str], None]) -> Path | None:
    """The newest checkpoint that a run can go on from.

    Args:
        folder: where a run's checkpoints are.
        say: told of every newer one that is not whole, and why.
    """
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        damage = damage_of(checkpoint)
        if damage is None:
            return checkpoint
        say(f"{checkpoint} {damage} and is passed over")
    return None


def damage_of(checkpoint: Path) -> str | None:
    """What a checkpoint lacks, or which of its files breaks off; `None` for a whole one.

    A killed run may leave a part of one, and a disk may lose a file. The bytes within a file are not compared.
    """
    try:
        json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
        for index in checkpoint.glob("*.index.json"):
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            if lost := sorted(name for name in shards if not (checkpoint / name).is_file()):
                return f"lacks {lost[0]}"
    except (FileNotFoundError, NotADirectoryError):
        return f"lacks {_STATE}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "holds a file in JSON that breaks off"
    for part, patterns in _PARTS.items():
        if not any(any(checkpoint.glob(pattern)) for pattern in patterns):
            return f"lacks {part} ({' or '.join(patterns)})"
    broken = [file.name for file in sorted(checkpoint.iterdir()) if file.is_file() and not _is_whole(file)]
    return f"holds {broken[0]}, which breaks off" if broken else None


def _is_whole(file: Path) -> bool:
    """Whether a file of tensors has its end."""
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, framework="pt"):
                return True
        except (SafetensorError, OSError):
            return False
    return file.suffix not in (".pt", ".pth") or zipfile.is_zipfile(file)
