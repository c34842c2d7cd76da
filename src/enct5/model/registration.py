"""Make transformers' Auto classes know EncT5 once enct5 is imported, without importing torch for that.

transformers maps a model type to the names of its classes and imports them at first use. EncT5's names join these maps
when transformers' own modules have run. Importing the classes at that moment would go in a circle: transformers loads
its Auto classes in the middle of loading its models, T5 among them.

`AutoConfig.register` and `AutoModel.register`, transformers' public way, take classes, not names: calling them imports
transformers, torch and the model's code, seconds that `import enct5` is not to take; and transformers (5.23) has no
entry points or other place where a package could name classes for later. So the names are added to the maps in which
transformers keeps those of its own models. These maps are private: `tests/model/test_registration.py` notices their
change.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_MODEL_TYPE = "enct5"
_CONFIG = "EncT5Config"
_MODULES = {
    _CONFIG: "enct5.model.configuration_enct5",
    "EncT5Model": "enct5.model.modeling_enct5",
    "EncT5ForSequenceClassification": "enct5.model.modeling_enct5",
    "EncT5ForTokenClassification": "enct5.model.modeling_enct5",
    "EncT5ForTasks": "enct5.model.modeling_enct5_tasks",
}
_AUTO_CLASSES = {
    "AutoModel": "EncT5Model",
    "AutoModelForSequenceClassification": "EncT5ForSequenceClassification",
    "AutoModelForTokenClassification": "EncT5ForTokenClassification",
}


class _Classes(ModuleType):
    """Stands for a module of transformers in which its Auto classes look EncT5's classes up by name."""

    def __getattr__(self, name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"enct5 has no class {name!r}")
        return getattr(importlib.import_module(_MODULES[name]), name)


_CLASSES = _Classes("enct5")


def _register_config(configuration_auto: ModuleType) -> None:
    configuration_auto.CONFIG_MAPPING_NAMES[_MODEL_TYPE] = _CONFIG
    configuration_auto.CONFIG_MAPPING._modules[_MODEL_TYPE] = _CLASSES


def _register_models(modeling_auto: ModuleType) -> None:
    for auto_class, model_class in _AUTO_CLASSES.items():
        mapping = getattr(modeling_auto, auto_class)._model_mapping
        mapping._reverse_config_mapping[_CONFIG] = _MODEL_TYPE
        mapping._model_mapping[_MODEL_TYPE] = model_class
        mapping._modules[_MODEL_TYPE] = _CLASSES


_REGISTRATIONS: dict[str, Callable[[ModuleType], None]] = {
    "transformers.models.auto.configuration_auto": _register_config,
    "transformers.models.auto.modeling_auto": _register_models,
}


class _RegisterAfterImport(importlib.abc.MetaPathFinder):
    """Lets transformers' Auto classes be imported as always, then registers EncT5 with them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _REGISTRATIONS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            _REGISTRATIONS[name](module)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register_when_needed() -> None:
    """Register with transformers' Auto modules: now with those in use, with the others once they are imported."""
    for name, register in _REGISTRATIONS.items():
        if name in sys.modules:
            register(sys.modules[name])
    sys.meta_path.insert(0, _RegisterAfterImport())
