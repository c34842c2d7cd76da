"""What happens beside the steps of a training run: progress in words, early stopping, the end of poor trials."""

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import (
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from enct5 import progress
from enct5.training.checkpoints import damage_of_weights

if TYPE_CHECKING:
    from optuna import Trial


logger = logging.getLogger(__name__)

# Training is called flat when, over its second quarter, the loss has not fallen below this share of its start, nor has
# that of the evaluation since its first.
_FLAT = 0.98
_FEWEST_LOSSES = 3


class ProgressCallback(TrainerCallback):
    """Says how training goes, and warns when it goes nowhere.

    Args:
        metric: the figure to tell beside the losses.
        starts_untrained: whether there is something to learn; a model that is trained on may be as good as it gets.
    """

    def __init__(self, metric: str, starts_untrained: bool = True) -> None:
        self.metric = metric
        self.losses: list[tuple[float, float]] = []
        self.evaluation_losses: list[float] = []
        self.warned_of_nan, self.judged = False, not starts_untrained

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take over what a resumed run logged before, so that its start is not where it was continued."""
        self.losses = [(entry["step"], float(entry["loss"])) for entry in state.log_history if "loss" in entry]
        self.evaluation_losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the training loss, and judge it once half the steps are done."""
        if logs is None or "loss" not in logs:
            return
        self.losses.append((state.global_step, float(logs["loss"])))
        if not math.isfinite(self.losses[-1][1]) and not self.warned_of_nan:
            self.warned_of_nan = True
            logger.warning("warning: the loss is not a number; lower --learning-rate, or use --precision float32")
        if self.judged or state.global_step < state.max_steps / 2:
            return
        self.judged = True
        # One batch's loss is mere chance, so a short run's start is the mean of a few, too.
        early = sum(step <= state.max_steps / 20 for step, _ in self.losses)
        start = [loss for _, loss in self.losses[: max(early, _FEWEST_LOSSES)]]
        later = [loss for step, loss in self.losses if step >= state.max_steps / 4]
        if any(loss < _FLAT * self.evaluation_losses[0] for loss in self.evaluation_losses):
            return
        if len(self.losses) >= 2 * _FEWEST_LOSSES and sum(later) / len(later) > _FLAT * sum(start) / len(start):
            logger.warning(
                f"warning: the loss is flat ({sum(start) / len(start):.3f} at the start, "
                f"{sum(later) / len(later):.3f} now): the model has learned next to nothing. Check that labels belong "
                "to their texts; try another --learning-rate, more --epochs, or a larger --base"
            )

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Log one line an evaluation."""
        if metrics is None or state.epoch is None:
            return
        self.evaluation_losses.append(metrics["eval_loss"])
        training = f"loss {self.losses[-1][1]:.3f}  " if self.losses else ""
        score = metrics.get(f"eval_{self.metric}", math.nan)
        logger.info(
            f"epoch {state.epoch:5.1f}  {training}eval loss {metrics['eval_loss']:.3f}  {self.metric} {score:.4f}"
        )


class Progress(TrainerCallback):
    """Moves the bar that `EncT5Trainer.train` shows."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *others: Any, **kwargs: Any) -> None:
        """Tell how many steps there are."""
        progress.describe("training", state.max_steps, state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, *others: Any, **kwargs: Any) -> None:
        """Move on."""
        progress.describe("training", completed=state.global_step)

    def on_prediction_step(self, *others: Any, **kwargs: Any) -> None:
        """Tell why there are no steps."""
        progress.describe("evaluating")


class EarlyStopping(EarlyStoppingCallback):
    """transformers' early stopping, which says so, and goes on where it was when a run is resumed.

    The HF Trainer keeps the path of the best checkpoint; the run folder may have been moved since. And where that
    checkpoint is lost, it would end with the last weights, whatever their score.

    Args:
        patience: evaluations in a row without a better score after which the run ends.
    """

    def __init__(self, patience: int) -> None:
        super().__init__(early_stopping_patience=patience)

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
            logger.warning(
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
            logger.info(
                f"stopped early: no better evaluation than that of step {state.best_global_step} since, "
                f"--patience {self.early_stopping_patience}"
            )


class Pruning(TrainerCallback):
    """Tells a trial its scores, and ends it where it is not promising.

    Scores are numbered by evaluation, since that is the same share of the steps in every trial.
    """

    def __init__(self, trial: "Trial", metric: str) -> None:
        self.trial, self.metric, self.evaluations = trial, metric, 0

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report an evaluation's score."""
        import optuna

        self.evaluations += 1
        self.trial.report((metrics or {})[f"eval_{self.metric}"], self.evaluations)
        if self.trial.should_prune():
            raise optuna.TrialPruned
