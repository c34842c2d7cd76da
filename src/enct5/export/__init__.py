"""The model in other formats."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enct5.export.onnx import export

# What runs an exported model needs nothing of what writes one, so the name waits for its first use.
__all__ = ["export"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("enct5.export.onnx"), name)
