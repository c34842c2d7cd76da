"""A small model learns what a large one says about texts."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enct5.training.distillation.config import DistillConfig
    from enct5.training.distillation.run import distill

# torch takes seconds to import, so every name waits for its first use.
_MODULES = {"DistillConfig": "enct5.training.distillation.config", "distill": "enct5.training.distillation.run"}

__all__ = ["DistillConfig", "distill"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
