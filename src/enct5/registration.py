"""Make transformers' Auto classes know EncT5 once enct5 is imported, without importing torch for that."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

_AUTO = "transformers.models.auto.modeling_auto"


def register() -> None:
    """Register the configuration and the models with transformers' Auto classes."""
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    from enct5.configuration_enct5 import EncT5Config
    from enct5.modeling_enct5 import EncT5ForSequenceClassification, EncT5Model

    AutoConfig.register(EncT5Config.model_type, EncT5Config, exist_ok=True)
    AutoModel.register(EncT5Config, EncT5Model, exist_ok=True)
    AutoModelForSequenceClassification.register(EncT5Config, EncT5ForSequenceClassification, exist_ok=True)


class _RegisterAfterImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets transformers' Auto classes be imported as always, then registers EncT5 with them."""

    def __init__(self) -> None:
        self.loader: importlib.abc.Loader | None = None

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _AUTO:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec) if self.loader else None

    def exec_module(self, module: ModuleType) -> None:
        if self.loader is not None:
            self.loader.exec_module(module)
            register()


def register_when_needed() -> None:
    """Register now if transformers' Auto classes are in use already, else as soon as they are imported."""
    if _AUTO in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _RegisterAfterImport())
