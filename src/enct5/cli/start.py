"""The start of a training run: what is wrong with it is told before torch is imported, which takes seconds."""

from pathlib import Path
from typing import Any

from enct5.assets import BUNDLED
from enct5.cli import libraries
from enct5.cli.logs import is_main_process
from enct5.inference.described import described
from enct5.model.publishing import Repository
from enct5.model.sources import check_source, prepare_for_hub
from enct5.training import run_folder
from enct5.training.config import TrainConfig
from enct5.training.distillation.config import DistillConfig
from enct5.training.distillation.data import read_distillation_texts
from enct5.training.rows import read


def train(config: TrainConfig, resume: bool, repository: Repository | None = None) -> dict[str, Any]:
    """Check what can be checked without torch, then train as `training.train` does.

    Args:
        config: the run's settings.
        resume: continue the interrupted run in `config.out`.
        repository: where the model is to be pushed.

    Returns:
        The run's record.

    Raises:
        EncT5Error: as `training.train`.
    """
    _check(config, resume)
    _reach_hub(repository, _base(config), config.data, config.eval)
    rows = read(config)
    _open(repository)
    libraries.load()
    from enct5 import training

    return training.train(config, resume=resume, rows=rows)


def distill(config: DistillConfig, resume: bool, repository: Repository | None = None) -> dict[str, Any]:
    """Check what can be checked without torch, then distill as `distillation.distill` does.

    Args:
        config: the run's settings.
        resume: continue the interrupted run in `config.out`.
        repository: where the model is to be pushed.

    Returns:
        The run's record.

    Raises:
        EncT5Error: as `distillation.distill`.
    """
    _check(config, resume)
    teacher = described(config.teacher)
    _reach_hub(repository, config.teacher, _base(config), config.data, config.eval)
    texts = None if teacher is None else read_distillation_texts(config, teacher)
    _open(repository)
    libraries.load()
    from enct5.training import distillation

    return distillation.distill(config, resume=resume, texts=texts)


def _reach_hub(repository: Repository | None, *sources: str | None) -> None:
    """Look for the hub where it is needed, and refuse to push what could not be pushed in any case."""
    prepare_for_hub(*sources, None if repository is None else repository.name)
    if repository is not None and is_main_process():
        repository.check()


def _open(repository: Repository | None) -> None:
    """Have the repository ready to be written to; the first process makes it, and pushes."""
    if repository is not None and is_main_process():
        repository.open()


def _base(config: TrainConfig) -> str | None:
    return None if config.base == BUNDLED else config.base


def _check(config: TrainConfig, resume: bool) -> None:
    """Refuse a run folder or base that cannot be used."""
    if is_main_process():  # which makes the folder in a moment
        run_folder.check(Path(config.out), resume)
    if (base := _base(config)) is not None:
        check_source(base)
