"""Experiment trackers, by the integrations that transformers has: those that a run names, and no others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import Trainer
from transformers.integrations import TensorBoardCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from enct5.errors import EncT5Error, first_line, unknown
from enct5.model.folder import LOGS


def check(names: Sequence[str]) -> None:
    """Refuse trackers that this transformers does not know or that are not installed.

    Raises:
        EncT5Error: for the first of them.
    """
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise unknown("tracker", name, INTEGRATION_TO_CALLBACK)
        try:
            INTEGRATION_TO_CALLBACK[name]()
        except Exception as error:  # what its package raises where it cannot be used, or its integration
            raise EncT5Error(
                f"--report-to {name} cannot be used here: {first_line(error).rstrip('.')}; install it, or leave it out"
            ) from error


def _tell_at_the_start(callback: Any, name: str) -> None:
    """Let a tracker that cannot be started, as its server or store cannot be reached, end the run in one line."""
    start = callback.on_train_begin

    def on_train_begin(*arguments: Any, **others: Any) -> Any:
        try:
            return start(*arguments, **others)
        except Exception as error:  # whatever its package raises
            raise EncT5Error(
                f"--report-to {name} cannot be started: {first_line(error).rstrip('.')}; set it up, or leave it out; "
                "the run goes on with --resume"
            ) from error

    callback.on_train_begin = on_train_begin


def prepare(trainer: Trainer, names: Sequence[str], out: Path) -> None:
    """Leave a trainer the trackers that were named, and let TensorBoard's files be written into the run folder.

    transformers adds Kubeflow's where the environment speaks of it. TensorBoard's files would lie beside the
    checkpoints, which are deleted when the run ends; `TENSORBOARD_LOGGING_DIR` still says another place.

    Args:
        trainer: the run's.
        names: of the trackers.
        out: the run folder.
    """
    for name, tracker in INTEGRATION_TO_CALLBACK.items():
        if name not in names:
            trainer.remove_callback(tracker)
        for callback in trainer.callback_handler.callbacks:
            if type(callback) is tracker:
                _tell_at_the_start(callback, name)
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
            callback.logging_dir = str(out / LOGS)
