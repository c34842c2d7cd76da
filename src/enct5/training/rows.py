"""The data of a run, of one task or of several, read and checked before torch is imported."""

from pathlib import Path

from enct5.files.scratch import scratch_in
from enct5.training.config import TrainConfig
from enct5.training.data import Rows, read_rows
from enct5.training.multi_task.data import TaskRows, read_task_rows


def read(config: TrainConfig) -> Rows | TaskRows:
    """Read, check and split the data of a run, and log what was found.

    Args:
        config: the run's settings.

    Raises:
        EncT5Error: for data that cannot be used, or settings that do not suit it.
    """
    known = {}
    if config.add_labels:
        from enct5.training.known_labels import known_labels  # whose configuration of the base imports torch

        known = known_labels(config)
    with scratch_in(Path(config.out)):
        return read_task_rows(config, known) if config.all_tasks else read_rows(config, known.get(""))
