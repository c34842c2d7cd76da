"""Labelled texts in, run folder out."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enct5.training.config import TrainConfig
    from enct5.training.run import train

# torch takes seconds to import, so every name waits for its first use.
_MODULES = {"TrainConfig": "enct5.training.config", "train": "enct5.training.run"}

__all__ = ["TrainConfig", "train"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
