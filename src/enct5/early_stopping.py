"""A run ends when nothing gets better any more, whether it was interrupted or not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, TrainerControl, TrainerState, TrainingArguments

from enct5.checkpoints import damage_of_weights


class EarlyStopping(EarlyStoppingCallback):
    """transformers' early stopping, which says so, and goes on where it was when a run is resumed.

    The HF Trainer keeps the path of the best checkpoint; the run folder may have been moved since. And where that
    checkpoint is lost, it would end with the last weights, whatever their score.

    Args:
        patience: evaluations in a row without a better score after which the run ends.
        say: called with a line when it ends, and with warnings.
    """

    def __init__(self, patience: int, say: Callable[[str], None]) -> None:
        super().__init__(early_stopping_patience=patience)
        self.say = say

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put the best checkpoint's present path, or the best of what is left, in the trainer's state."""
        super().on_train_begin(args, state, control, **kwargs)
        if not state.best_global_step or not args.load_best_model_at_end:
            return
        folder = Path(str(args.output_dir))
        score = f"eval_{args.metric_for_best_model}"
        scores = {entry["step"]: entry[score] for entry in state.log_history if score in entry}
        damage = damage_of_weights(folder / f"checkpoint-{state.best_global_step}")
        if damage is not None:
            self.say(
                f"warning: the best checkpoint so far, of step {state.best_global_step}, {damage}; the result will be "
                f"the best from step {state.global_step} on"
            )
            state.best_global_step, state.best_metric = state.global_step, scores.get(state.global_step)
        state.best_model_checkpoint = str(folder / f"checkpoint-{state.best_global_step}")
        self.early_stopping_patience_counter = sum(step > state.best_global_step for step in scores)
        control.should_training_stop = self.early_stopping_patience_counter >= self.early_stopping_patience

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """End the run where its patience does."""
        super().on_evaluate(args, state, control, metrics, **kwargs)
        if control.should_training_stop and state.global_step < state.max_steps:
            self.say(
                f"stopped early: no better evaluation than that of step {state.best_global_step} since, "
                f"--patience {self.early_stopping_patience}"
            )
