"""Models that share one encoder, bit for bit, joined into one of all their tasks."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from enct5.errors import EncT5Error, show
from enct5.model.configuration_enct5 import OF_AN_ENTRY, EncT5Config
from enct5.model.loading import load_model
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.model.trained_on import TrainedOn

Task = tuple[EncT5ForClassification, dict[str, Any]]


def tasks_of(model: Any, source: str, name: str | None = None) -> dict[str, Task]:
    """The tasks of a model by name: the model of each alone, and what its entry in `config.tasks` says beside that.

    Args:
        model: A model of one task or of several.
        source: Its folder or hub id.
        name: What a single task is to be called; by default as the column its labels came from.

    Raises:
        EncT5Error: For a single task that has no name, or one given to several.
    """
    if isinstance(model, EncT5ForTasks):
        if name is not None:
            raise EncT5Error(f"{source} has several tasks, which have names; leave out {show(name)}")
        entries = {task: model.config.task_values(task) for task in model.config.task_names}
        return {
            task: (model.task_model(task), {key: entry[key] for key in OF_AN_ENTRY[1:] if key in entry})
            for task, entry in entries.items()
        }
    trained = TrainedOn.of(source)
    entry = {"label_column": trained.label, "label_separator": trained.label_separator}
    called = name or trained.task_name(source, f"name it: NAME={source}")
    return {called: (model, {key: value for key, value in entry.items() if value is not None})}


def joined(groups: Iterable[Mapping[str, Task]]) -> EncT5ForTasks:
    """One model of all tasks of several, whose modules it takes over.

    Raises:
        EncT5Error: For encoders that differ, or two tasks of one name.
    """
    models: dict[str, EncT5ForClassification] = {}
    entries: dict[str, dict[str, Any]] = {}
    for tasks in groups:
        for name, (model, entry) in tasks.items():
            if name in models:
                raise EncT5Error(f"two tasks are called {show(name)}; call one of them something else")
            models[name], entries[name] = model, entry
    windows = {name: cast(EncT5Config, model.config).encoder_window for name, model in models.items()}
    told = {window for name, window in windows.items() if models[name].config.decoder_vocab_size is not None}
    if len(told) > 1:
        raise EncT5Error(
            f"the models read long texts in different windows ({', '.join(map(str, sorted(told, key=str)))}); train "
            "them alike"
        )
    try:
        return EncT5ForTasks.from_models(models, entries)
    except ValueError as error:
        raise EncT5Error(str(error)) from error


def with_tasks_of(base: str, model: EncT5ForTasks, replaces: bool = False) -> EncT5ForTasks:
    """A model of the tasks of a base, and behind them those of a model that was trained on its frozen encoder.

    Args:
        base: Folder or hub id.
        model: The model of the new tasks, whose modules the result takes over.
        replaces: Whether these take the place of tasks of the base that are called so.

    Raises:
        EncT5Error: As `joined`.
    """
    old, new = tasks_of(load_model(base, "float32"), base), tasks_of(model, base)
    return joined([old | new] if replaces else [old, new])
