"""A run folder becomes a run's, and an interrupted run goes on with its own settings and data only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from enct5 import run_folder
from enct5.checkpoints import damage_of_weights
from enct5.digests import digest
from enct5.errors import EncT5Error
from enct5.training_config import TRAIN_CONFIG, TrainConfig


@contextmanager
def claim(settings: TrainConfig, out: Path, resume: bool, say: Callable[[str], None]) -> Iterator[Path | None]:
    """Make the run folder this run's within the block.

    Args:
        settings: the run's settings, resolved.
        out: the run folder.
        resume: whether an interrupted run in it is to be continued.
        say: told of checkpoints that cannot be continued from.

    Yields:
        The checkpoint to continue from; `None` to start from the beginning.

    Raises:
        EncT5Error: as `run_folder.claim`, and for a resumed run with other settings or data.
    """
    with run_folder.claim(out, resume, say) as checkpoint:
        _remember(settings, out, resume)
        yield checkpoint


def _remember(settings: TrainConfig, out: Path, resume: bool) -> None:
    """Keep the settings beside the checkpoints; a resumed run must have the same."""
    path, digests = out / run_folder.CHECKPOINTS / TRAIN_CONFIG, out / run_folder.CHECKPOINTS / "data.sha256"
    sources = (settings.data, settings.eval, settings.label_descriptions)
    read = " ".join(str(digest(source)) for source in sources if source is not None)
    if resume and path.is_file() and digests.is_file():
        former = TrainConfig.read(path)
        # A run folder may be moved, or named in another way, before it is resumed.
        compared = [name for name in TrainConfig.model_fields if name != "out"]
        changed = [name for name in compared if getattr(former, name) != getattr(settings, name)]
        if changed:
            name = changed[0]
            raise EncT5Error(
                f"`{name}` is {getattr(settings, name)}, but the interrupted run in {out} has {getattr(former, name)}; "
                "resume with the same options"
            )
        if digests.read_text(encoding="utf-8") != read:
            raise EncT5Error(
                f"the data has changed since the run in {out} was interrupted; restore it, or start anew with another "
                "--out"
            )
        return
    settings.write(path)
    digests.write_text(read, encoding="utf-8")


class BestFoundAgain(TrainerCallback):
    """Tells a resumed run where its best checkpoint is now, or that it is lost.

    The HF Trainer keeps the path of the best checkpoint; the run folder may have been moved since. And where that
    checkpoint is lost, it would end with the last weights, whatever their score.

    Args:
        patience: the run's early stopping, which is to wait for something better than the lost one no longer.
        say: called with a warning.
    """

    def __init__(self, patience: EarlyStoppingCallback, say: Callable[[str], None]) -> None:
        self.patience, self.say = patience, say

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put the best checkpoint's present path, or the best of what is left, in the trainer's state."""
        if not state.best_global_step or not args.load_best_model_at_end:
            return
        folder = Path(str(args.output_dir))
        damage = damage_of_weights(folder / f"checkpoint-{state.best_global_step}")
        if damage is not None:
            self.say(
                f"warning: the best checkpoint so far, of step {state.best_global_step}, {damage}; the result will be "
                f"the best from step {state.global_step} on"
            )
            score = f"eval_{args.metric_for_best_model}"
            scores = {entry["step"]: entry[score] for entry in state.log_history if score in entry}
            state.best_global_step, state.best_metric = state.global_step, scores.get(state.global_step)
            self.patience.early_stopping_patience_counter = 0
        state.best_model_checkpoint = str(folder / f"checkpoint-{state.best_global_step}")
