"""The model of several tasks that training starts from."""

from collections.abc import Callable
from functools import partial
from typing import Any

from transformers import PreTrainedTokenizerBase

from enct5.errors import EncT5Error
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.tasks.labelled_tasks import naming
from enct5.training.config import TrainConfig
from enct5.training.model_init import encoder_dropout, stored_config
from enct5.training.model_init import new_model as new_model_of_one
from enct5.training.multi_task.prepared import TasksData


def new_model(
    config: TrainConfig,
    base: str,
    tokenizer: PreTrainedTokenizerBase,
    prepared: TasksData,
    build: Callable[..., EncT5ForClassification],
) -> EncT5ForTasks:
    """The model that training starts from: each task's part is that of a run of it alone.

    Args:
        config: the run's settings.
        base: folder or hub id.
        tokenizer: the base's.
        prepared: the run's data.
        build: as for `model_init.new_model`.

    Raises:
        EncT5Error: as `model_init.new_model`; the message names the task.
    """
    tasks = [part.rows.task for part in prepared.parts.values()]
    build = partial(build, dropout_rate=encoder_dropout(stored_config(base), tasks))
    models = {}
    for name in prepared.parts:
        with naming(name):
            models[name] = new_model_of_one(config.of_task(name), base, tokenizer, prepared.of_task(name), build)
    try:
        made = EncT5ForTasks.from_models(
            models, {name: _entry(config, name, prepared.parts[name].loss_weight) for name in models}
        )
    except ValueError as error:
        raise EncT5Error(str(error)) from error
    if config.add_tasks:  # which read what the base's encoder does, even if none but tags are added
        made.config.encoder_window = config.window or None
    return made


def _entry(config: TrainConfig, name: str, weight: float) -> dict[str, Any]:
    """What a model's configuration says of a task beside what the task is."""
    own = config.of_task(name)
    entry = {"loss_weight": None if weight == 1 else weight, "label_column": own.label}
    entry["label_separator"] = own.label_separator
    return {key: value for key, value in entry.items() if value is not None}
