"""The data of a run, of one task or of several, read and checked before torch is imported."""

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
    return read_task_rows(config) if config.all_tasks else read_rows(config)
