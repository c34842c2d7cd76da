"""The model as it is before training, which is the result where training only makes it worse."""

import logging
from typing import TYPE_CHECKING, cast

import torch

from enct5.training.optimizer import trained_parameters

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

logger = logging.getLogger(__name__)


class StartingPoint:
    """The weights that are about to be trained, and how good they are.

    A head that starts as the fit of a linear model (`linear_start`), or a base that does the task already, can be
    better than all that a few texts can teach.

    Args:
        trainer: of one process, not yet training.
        metric: the figure of its evaluation that tells, without `eval_`.
    """

    def __init__(self, trainer: "Trainer", metric: str) -> None:
        self._metric = f"eval_{metric}"
        self._weights = {
            name: parameter.detach().cpu().clone()
            for name, parameter in trained_parameters(cast("torch.nn.Module", trainer.model))
        }
        with torch.random.fork_rng():  # what is drawn in training stays the same
            self._figures = _evaluated(trainer)
        loss, figure = self._figures["eval_loss"], self._figures[self._metric]
        logger.info(f"before training: eval loss {loss:.3f}  {metric} {figure:.4f}")

    @torch.no_grad()
    def keep_if_better(self, trainer: "Trainer") -> None:
        """Put the weights back into a trained model (the best, or else the last) that is no better."""
        state, figure = trainer.state, self._figures[self._metric]
        state.log_history.insert(0, {**self._figures, "epoch": 0.0, "step": 0})
        trained = state.best_metric if trainer.args.load_best_model_at_end else _evaluated(trainer)[self._metric]
        if trained is not None and (trained > figure if trainer.args.greater_is_better else trained < figure):
            return
        for name, parameter in trained_parameters(cast("torch.nn.Module", trainer.model)):
            parameter.copy_(self._weights[name])
        state.best_metric, state.best_global_step = figure, 0
        logger.warning("training made nothing better by the evaluation texts: the result is the model before it")


def _evaluated(trainer: "Trainer") -> dict[str, float]:
    return trainer.predict(cast("Dataset", trainer.eval_dataset), metric_key_prefix="eval").metrics or {}
