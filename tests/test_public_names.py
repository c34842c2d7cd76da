"""The names that programs import stay where they are, whatever moves behind them."""

import importlib

import pytest


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("enct5", ("EncT5Config", "EncT5ForSequenceClassification", "EncT5ForTokenClassification", "Predictor")),
        ("enct5", ("EncT5Classifier", "EncT5Regressor", "EncT5Tagger", "Run", "check", "distill", "evaluate", "train")),
        ("enct5.assets", ("bundled_t5", "demo_data")),
        ("enct5.checking", ("Finding", "Report", "check")),
        ("enct5.cli", ("main",)),
        ("enct5.errors", ("EncT5Error",)),
        ("enct5.export", ("export",)),
        ("enct5.folding", ("FoldedEncT5", "check_foldable")),
        ("enct5.training", ("TrainConfig", "train")),
        ("enct5.training.distillation", ("DistillConfig", "distill")),
    ],
)
def test_public_names_are_there(module: str, names: tuple[str, ...]) -> None:
    for name in names:
        found = getattr(importlib.import_module(module), name)
        assert callable(found), f"{module}.{name}"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module(module).nothing  # noqa: B018
