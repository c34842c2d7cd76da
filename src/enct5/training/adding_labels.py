"""Labels that are added to a trained model: the head gets rows for them, and these alone learn.

What reads the text stays as it is, so the logits of the old labels do, too. (A new prompt would not do: prompts of one
decoder read each other.)
"""

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import set_seed

from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.joining import tasks_of
from enct5.model.loading import load_model
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks, class_of_task
from enct5.training.config import TrainConfig
from enct5.training.data import TrainingData
from enct5.training.multi_task.prepared import TasksData

# What the base's own run minimised, and what it found for its labels.
_OF_ITS_RUN = ("id2label", "label2id", "loss", "loss_gamma", "class_weights", "thresholds", "label_parts")
_OF_LABELS = ("weight", "bias")  # of a head: a row a label


class _Behind(nn.Module):
    """Makes a tensor of rows that stay as they are, and others behind them that are trained."""

    old: torch.Tensor

    def __init__(self, old: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("old", old)

    def forward(self, new: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.old, new])

    def right_inverse(self, both: torch.Tensor) -> torch.Tensor:
        return both[len(self.old) :].clone()


def new_model(config: TrainConfig, base: str, prepared: TrainingData) -> Any:
    """The base with a head that has the run's labels, of which only the new ones can learn.

    Args:
        config: the run's settings.
        base: folder or hub id.
        prepared: the run's data; with several tasks the model has only those that get labels.
    """
    model: Any = load_model(base, "float32")
    set_seed(config.seed)
    if not isinstance(prepared, TasksData):
        return _with_labels(model, prepared.label_names, config.loss)
    tasks = tasks_of(model, base)
    grown = {
        name: _with_labels(tasks[name][0], part.rows.label_names, config.of_task(name).loss)
        for name, part in prepared.parts.items()
    }
    made = EncT5ForTasks.from_models(grown, {name: tasks[name][1] for name in grown})
    made.config.encoder_window = model.config.encoder_window  # which a model that tags tokens alone has not
    return made


def settle(model: nn.Module) -> None:
    """Make plain heads of those of `new_model`, once they are trained."""
    for head in list(model.modules()):
        for name in _OF_LABELS:
            if parametrize.is_parametrized(head, name):
                parametrize.remove_parametrizations(head, name, leave_parametrized=True)


def _with_labels(model: EncT5ForClassification, names: list[str], loss: str | None) -> EncT5ForClassification:
    """A model of one task whose head has further labels; all else is the other's, and learns nothing."""
    known: Any = model.config
    values = {key: value for key, value in known.to_dict().items() if key not in _OF_ITS_RUN}
    parts = [*(known.label_parts or [known.num_labels]), len(names) - known.num_labels]
    config = EncT5Config.from_dict({**values, "id2label": dict(enumerate(names)), "loss": loss, "label_parts": parts})
    config._attn_implementation = known._attn_implementation
    with torch.device("meta"):
        grown = class_of_task(config)(config)
    grown.transformer.encoder, grown.transformer.decoder = model.transformer.encoder, model.transformer.decoder
    head = grown.classifier = grown.head_class(config)
    grown._init_weights(head)
    grown.requires_grad_(False)
    for name in _OF_LABELS:
        old = getattr(model.classifier, name).detach().clone()
        parametrize.register_parametrization(head, name, _Behind(old), unsafe=True)
        head.parametrizations[name].original.requires_grad_(True)  # type: ignore[index,union-attr]
    return grown.train(model.training)
