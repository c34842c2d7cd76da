"""`enct5 train` on a benchmark's training rows."""

from pathlib import Path
from typing import Any

from enct5 import training
from enct5.inference.predictor import Predictor
from enct5.training.config import TrainConfig
from sets import Benchmark, write_training_file


def train(
    benchmark: Benchmark,
    folder: Path,
    seed: int,
    rows: int | None = None,
    parts: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[Predictor, dict[str, Any]]:
    """One run.

    Args:
        benchmark: what to train on.
        folder: a temporary folder.
        seed: of the run.
        rows: size of the fixed sample, where it is another than the benchmark's.
        parts: arguments of `enct5.training.train` in place of its trainer and model.
        settings: options of `enct5 train`.

    Returns:
        The trained model, and the record that training returns.
    """
    config = TrainConfig.checked(
        **{
            "data": write_training_file(benchmark, folder, rows),
            "text": benchmark.text,
            "label": benchmark.label,
            "out": str(folder / "run"),
            "epochs": benchmark.epochs,
            "seed": seed,
            **settings,
        }
    )
    record = training.train(config, **(parts or {}))
    return Predictor.from_pretrained(config.out), record
