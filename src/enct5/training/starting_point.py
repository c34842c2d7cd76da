"""The model as it is before training, which is the result where training only makes it worse."""

import logging
from typing import TYPE_CHECKING, Any, cast

import torch

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

logger = logging.getLogger(__name__)


class StartingPoint:
    """The weights that are about to be trained, and how good they are.

    A head that starts as the fit of a linear model (`linear_start`), or a base that does the task already, can be
    better than all that a few texts can teach.

    Args:
        trainer: of one process, not yet training, which chooses the best model by a figure.
    """

    def __init__(self, trainer: "Trainer") -> None:
        self._metric = f"eval_{trainer.args.metric_for_best_model}"
        self._weights = {name: parameter.detach().cpu().clone() for name, parameter in _trained(trainer.model)}
        with torch.random.fork_rng():  # what is drawn in training stays the same
            evaluation = cast("Dataset", trainer.eval_dataset)
            self._figures = trainer.predict(evaluation, metric_key_prefix="eval").metrics or {}
        figure = f"{trainer.args.metric_for_best_model} {self._figures[self._metric]:.4f}"
        logger.info(f"before training: eval loss {self._figures['eval_loss']:.3f}  {figure}")

    @torch.no_grad()
    def keep_if_best(self, trainer: "Trainer") -> None:
        """Put the weights back into a trained model where no evaluation of its training was better."""
        state, figure = trainer.state, self._figures[self._metric]
        state.log_history.insert(0, {**self._figures, "epoch": 0.0, "step": 0})
        if state.best_metric is not None and (
            state.best_metric > figure if trainer.args.greater_is_better else state.best_metric < figure
        ):
            return
        for name, parameter in _trained(trainer.model):
            parameter.copy_(self._weights[name])
        state.best_metric, state.best_global_step = figure, 0
        logger.warning("training made nothing better by the evaluation texts: the result is the model before it")


def _trained(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
