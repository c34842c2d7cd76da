"""EncT5: turn a T5-family checkpoint into a fast, trustworthy classifier."""

import importlib
from typing import TYPE_CHECKING, Any

from enct5.extras import need
from enct5.model.registration import register_when_needed
from enct5.version import __version__ as __version__

if TYPE_CHECKING:
    from enct5.checking import check
    from enct5.estimators import EncT5Classifier, EncT5Regressor, EncT5Tagger
    from enct5.evaluations import evaluate
    from enct5.inference.predictor import Predictor
    from enct5.model.configuration_enct5 import EncT5Config
    from enct5.model.modeling_enct5 import EncT5ForSequenceClassification, EncT5ForTokenClassification
    from enct5.model.modeling_enct5_tasks import EncT5ForTasks
    from enct5.runs import Run, distill, train

# torch and transformers take seconds to import, so every name waits for its first use.
_MODULES = {
    "EncT5Classifier": "enct5.estimators",
    "EncT5Config": "enct5.model.configuration_enct5",
    "EncT5ForSequenceClassification": "enct5.model.modeling_enct5",
    "EncT5ForTasks": "enct5.model.modeling_enct5_tasks",
    "EncT5ForTokenClassification": "enct5.model.modeling_enct5",
    "EncT5Regressor": "enct5.estimators",
    "EncT5Tagger": "enct5.estimators",
    "Predictor": "enct5.inference.predictor",
    "Run": "enct5.runs",
    "check": "enct5.checking",
    "distill": "enct5.runs",
    "evaluate": "enct5.evaluations",
    "train": "enct5.runs",
}

# What has to be installed for them; a `Predictor` runs exported models with little, and asks for more where it has to.
_EXTRAS = {
    **dict.fromkeys(("EncT5Classifier", "EncT5Regressor", "EncT5Tagger", "Run", "check", "distill", "train"), "train"),
    **dict.fromkeys((name for name in _MODULES if name.startswith("EncT5For")), "predict"),
    "EncT5Config": "predict",
    "evaluate": "data",
}

__all__ = [
    "EncT5Classifier",
    "EncT5Config",
    "EncT5ForSequenceClassification",
    "EncT5ForTasks",
    "EncT5ForTokenClassification",
    "EncT5Regressor",
    "EncT5Tagger",
    "Predictor",
    "Run",
    "check",
    "distill",
    "evaluate",
    "train",
]

register_when_needed()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'enct5' has no attribute {name!r}")
    if (extra := _EXTRAS.get(name)) is not None:
        need(extra, f"`enct5.{name}`")
    return getattr(importlib.import_module(_MODULES[name]), name)
