"""T5 checkpoints' files, changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from enct5.model.conversion import Conversion

NEW = ["transformer.decoder.embed_tokens.weight", "classifier.weight", "classifier.bias"]
INDEX = "model.safetensors.index.json"
# ReLU with the output tied to the embedding is T5 v1.0; the others, gated, have an output of their own (`lm_head`).
KINDS = [("t5", {}), ("t5", {"feed_forward_proj": "gated-gelu"}), ("mt5", {}), ("umt5", {})]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def changed(folder: Path, to: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    """A copy of a checkpoint whose tensors went through `change`."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    tensors = weights(folder)
    change(tensors)
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    return to


def sharded(folder: Path, to: Path) -> Path:
    """A checkpoint in two files: what EncT5 keeps, and what it does not."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    tensors = weights(folder)
    (to / "model.safetensors").unlink()
    kept = {name: "kept.safetensors" if is_kept(name) else "dropped.safetensors" for name in tensors}
    for file in ("kept.safetensors", "dropped.safetensors"):
        save_file({name: tensor for name, tensor in tensors.items() if kept[name] == file}, to / file)
    (to / INDEX).write_text(json.dumps({"weight_map": kept}))
    return to


def is_kept(name: str) -> bool:
    """Whether EncT5 keeps a tensor of a tied T5: the embedding, the encoder, decoder layer 0 and the last norm."""
    return name.startswith(("shared.", "encoder.", "decoder.block.0.", "decoder.final_layer_norm."))


def assert_copied(result: Conversion, tensors: dict[str, torch.Tensor], dtype: torch.dtype = torch.float32) -> None:
    for name, source in result.copied.items():
        assert torch.equal(result.model.get_parameter(name), tensors[source].to(dtype)), name
