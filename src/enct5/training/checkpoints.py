"""The checkpoints of an interrupted run: which of them are whole, and which one a run goes on from."""

import json
import logging
import re
import zipfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from enct5.errors import EncT5Error

logger = logging.getLogger(__name__)

_STATE = "trainer_state.json"  # written last
# What else the HF Trainer writes: weights (of all, in shards, of LoRA's adapters, or by FSDP in one piece or in shards,
# whose index is written last), and files some of which are there for each process.
_INDEX = "model.safetensors.index.json"
_WEIGHTS = (
    *("model.safetensors", _INDEX, "adapter_model.safetensors"),
    *("pytorch_model_fsdp.bin", "pytorch_model_fsdp_0/.metadata"),
)
_OTHERS = {
    "the optimiser's state": ("optimizer.pt", "optimizer.bin", "optimizer_0/.metadata"),
    "the schedule's state": ("scheduler.pt",),
    "the states of random numbers": ("rng_state.pth", "rng_state_*.pth"),
}


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint that a run can go on from; `None` to start from the beginning.

    Every newer one that is not whole is logged, and why.

    Args:
        folder: where a run's checkpoints are.

    Raises:
        EncT5Error: for a checkpoint that cannot be read, which may be whole.
    """
    steps = {path: re.fullmatch(r"checkpoint-(\d+)", path.name) for path in folder.iterdir()}
    checkpoints = {int(step[1]): path for path, step in steps.items() if step}
    for _, checkpoint in sorted(checkpoints.items(), reverse=True):
        damage = damage_of(checkpoint)
        if damage is None:
            return checkpoint
        logger.warning(f"{checkpoint} {damage} and is passed over")
    if checkpoints:
        logger.warning("no checkpoint is whole: starting from the beginning")
    return None


def damage_of(checkpoint: Path) -> str | None:
    """What a checkpoint lacks, or which of its files breaks off; `None` for one that a run can go on from.

    A killed run may leave a part of one, and a disk may lose a file. The bytes within a file are not compared.
    """
    damages = (_damage(checkpoint, part, patterns) for part, patterns in _OTHERS.items())
    return _damage_of_state(checkpoint) or damage_of_weights(checkpoint) or next(filter(None, damages), None)


def damage_of_weights(checkpoint: Path) -> str | None:
    """The same for its weights alone, which are all that the result of a run needs."""
    damage = _damage(checkpoint, "weights", _WEIGHTS)
    if damage is not None or not (checkpoint / _INDEX).is_file():
        return damage
    index = _read_json(checkpoint / _INDEX)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not shards:
        return f"holds {_INDEX}, which names no shards"
    damages = (_damage(checkpoint, "a shard", (str(name),)) for name in sorted(set(map(str, shards.values()))))
    return next(filter(None, damages), None)


def _damage_of_state(checkpoint: Path) -> str | None:
    if damage := _damage(checkpoint, "the trainer's state", (_STATE,)):
        return damage
    state = _read_json(checkpoint / _STATE)
    known = {"global_step": int, "log_history": list}
    if isinstance(state, dict) and all(isinstance(state.get(name), kind) for name, kind in known.items()):
        return None
    return f"holds {_STATE}, which is not that of a run"


def _damage(checkpoint: Path, part: str, patterns: tuple[str, ...]) -> str | None:
    try:
        files = [file for pattern in patterns for file in sorted(checkpoint.glob(pattern)) if file.is_file()]
        if not files:
            return f"lacks {part} ({' or '.join(patterns)})"
        broken = [file.name for file in files if not _is_whole(file)]
    except OSError as error:
        raise EncT5Error(f"cannot read {checkpoint}: {error.strerror}; see to it, and resume then") from error
    return f"holds {broken[0]}, which breaks off" if broken else None


def _is_whole(file: Path) -> bool:
    """Whether a file of tensors or of JSON has its end."""
    if file.suffix == ".json":
        return _read_json(file) is not None
    with file.open("rb") as opened:
        if file.suffix in (".pt", ".pth", ".bin"):
            return zipfile.is_zipfile(opened)
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, framework="pt"):
                return True
        except SafetensorError:
            return False
    return True


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
