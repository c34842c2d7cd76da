"""Tasks that are added to those of a base, whose encoder stays as it is."""

from typing import Any

from enct5.errors import EncT5Error, show
from enct5.files.hub_files import file_of
from enct5.files.hub_names import on_hub
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.folder import TRAIN_CONFIG
from enct5.model.joining import with_tasks_of
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.model.task_records import recorded_tasks
from enct5.model.trained_on import TrainedOn
from enct5.tasks.multi_task import MultiTask, NamedTask
from enct5.tasks.registry import find_task
from enct5.tokenization.fast_tokenizer import NO_LIMIT
from enct5.training.config import TrainConfig


def refuse_known_tasks(config: TrainConfig) -> None:
    """Refuse tasks called as one of the base's, and a base that has none.

    Raises:
        EncT5Error: for either.
    """
    source, hub = on_hub(config.base)
    try:
        stored = EncT5Config.get_config_dict(source, **hub)[0]
    except OSError:
        return  # whoever loads it says what is wrong
    if stored.get("model_type") != EncT5Config.model_type:
        raise EncT5Error(
            f"{config.base} is no EncT5 model, which has tasks that others can be added to; train one first, or leave "
            "out --add-task"
        )
    known = [values["name"] for values in stored.get("tasks") or ()] or [_only_task(config.base)]
    for name in config.all_tasks:
        if name in known:
            raise EncT5Error(f"{config.base} has a task {show(name)} already; call the new one something else")


def read_as_base(config: TrainConfig, task: MultiTask, longest: int) -> TrainConfig:
    """The settings with how much of a text the base's tasks read, as those that are added read the same.

    Args:
        config: the run's settings.
        task: the tasks to add.
        longest: most tokens that the base reads of a text.

    Raises:
        EncT5Error: for settings that would have the base's tasks read other texts, or a new task whose column of
            results would be called as one of theirs.
    """
    source, hub = on_hub(config.base)
    base = EncT5Config.from_pretrained(source, **hub)
    old = [base.of_task(name) for name in base.task_names] or [base]
    names = base.task_names or [str(_only_task(config.base))]
    MultiTask([*(_named(*known) for known in zip(names, old, strict=True)), *task.parts])
    if all(one.decoder_vocab_size is None for one in old):
        return config  # what tags tokens alone reads windows of its own
    read = {"window": base.encoder_window or 0, "max_length": longest if longest < NO_LIMIT else None}
    for name, value in read.items():
        given = getattr(config, name)
        if given not in (None, value):
            raise EncT5Error(
                f"{config.option_of(name)} is {given}, but the tasks of {config.base} read texts with {value}, and are "
                "to stay as they are; leave it out"
            )
    return config.model_copy(update=read)


def _named(name: str, config: EncT5Config) -> NamedTask:
    return NamedTask(name, find_task(str(config.problem_type)), {})


def _only_task(base: str) -> str | None:
    """What the task of a base of one is called: as the column its labels came from."""
    file = file_of(base, TRAIN_CONFIG)
    name = None if file is None else TrainedOn.read(file).label
    if name is None:
        raise EncT5Error(
            f"{base} does not say what its task is called; give it a name first: enct5 merge NAME={base} --out FOLDER"
        )
    return name


def with_old_tasks(base: str, model: EncT5ForTasks, record: dict[str, Any]) -> tuple[EncT5ForTasks, dict[str, Any]]:
    """The model of the base's tasks and the new ones, and what is recorded of each.

    Args:
        base: folder or hub id.
        model: the model of the new tasks, trained and measured.
        record: what is recorded of these, by task.
    """
    together = with_tasks_of(base, model)
    former = recorded_tasks(base, [name for name in together.config.task_names if name not in record])
    return together, {**former, **record}
