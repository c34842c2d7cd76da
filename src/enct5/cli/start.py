"""The start of a training run: what is wrong with it is told before torch is imported, which takes seconds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enct5.assets import BUNDLED
from enct5.cli import libraries
from enct5.inference.described import described
from enct5.model.sources import check_source, prepare_for_hub
from enct5.training import run_folder
from enct5.training.config import TrainConfig
from enct5.training.data import read_rows
from enct5.training.distillation.config import DistillConfig
from enct5.training.distillation.data import read_distillation_texts

# Set by `torchrun` and `accelerate launch`, or by MPI: the number of a process among those that train one model.
_RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


def train(config: TrainConfig, resume: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Check what can be checked without torch, then train as `training.train` does.

    Args:
        config: the run's settings.
        resume: continue the interrupted run in `config.out`.
        say: called with every line of progress.

    Returns:
        The run's record.

    Raises:
        EncT5Error: as `training.train`.
    """
    is_main = _check(config, resume)
    prepare_for_hub(_base(config), config.data, config.eval)
    rows = read_rows(config, say if is_main else lambda line: None)
    libraries.load()
    from enct5 import training

    return training.train(config, resume=resume, say=say, rows=rows)


def distill(config: DistillConfig, resume: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Check what can be checked without torch, then distill as `distillation.distill` does.

    Args:
        config: the run's settings.
        resume: continue the interrupted run in `config.out`.
        say: called with every line of progress.

    Returns:
        The run's record.

    Raises:
        EncT5Error: as `distillation.distill`.
    """
    _check(config, resume)
    teacher = described(config.teacher)
    prepare_for_hub(config.teacher, _base(config), config.data, config.eval)
    texts = None if teacher is None else read_distillation_texts(config, teacher)
    libraries.load()
    from enct5.training import distillation

    return distillation.distill(config, resume=resume, say=say, texts=texts)


def _base(config: TrainConfig) -> str | None:
    return None if config.base == BUNDLED else config.base


def _check(config: TrainConfig, resume: bool) -> bool:
    """Refuse a run folder or base that cannot be used; tell whether this is the main process."""
    is_main = next((os.environ[name] for name in _RANKS if name in os.environ), "0") == "0"
    if is_main:  # which makes the folder in a moment
        run_folder.check(Path(config.out), resume)
    if (base := _base(config)) is not None:
        check_source(base)
    return is_main
