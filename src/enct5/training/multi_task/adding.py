"""Tasks that are added to those of a base, whose encoder stays as it is."""

from dataclasses import dataclass
from typing import Any

from huggingface_hub.errors import StrictDataclassError

from enct5.errors import EncT5Error, first_line, show
from enct5.files.hub_names import on_hub
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.joining import with_tasks_of
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.model.task_records import recorded_tasks
from enct5.model.trained_on import TrainedOn
from enct5.tasks.multi_task import MultiTask, NamedTask
from enct5.tasks.registry import find_task
from enct5.tokenization.fast_tokenizer import NO_LIMIT
from enct5.training.config import TrainConfig


@dataclass(frozen=True)
class Base:
    """A base that has tasks.

    Attributes:
        config: its configuration.
        tasks: those of the models of its tasks alone, by their names.
    """

    config: EncT5Config
    tasks: dict[str, EncT5Config]

    @classmethod
    def read(cls, source: str) -> "Base | None":
        """What a folder's or hub id's configuration says; `None` where it cannot be had, and loading it tells why.

        Raises:
            EncT5Error: for one without tasks, or whose task has no name.
        """
        name, hub = on_hub(source)
        try:
            stored = EncT5Config.get_config_dict(name, **hub)[0]
        except OSError:
            return None
        if stored.get("model_type") != EncT5Config.model_type:
            raise EncT5Error(
                f"{source} is no EncT5 model, which has tasks that others can be added to; train one first, or leave "
                "out --add-task"
            )
        try:
            config = EncT5Config.from_dict(stored)
        except (StrictDataclassError, ValueError, TypeError) as error:
            raise EncT5Error(f"{first_line(error)} (base: {source})") from error
        if config.tasks:
            return cls(config, {name: config.of_task(name) for name in config.task_names})
        remedy = f"give it a name first: enct5 merge NAME={source} --out FOLDER"
        return cls(config, {TrainedOn.of(source).task_name(source, remedy): config})

    def refuse_known(self, config: TrainConfig) -> None:
        """Refuse tasks called as one of these.

        Raises:
            EncT5Error: naming it.
        """
        for name in config.all_tasks:
            if name in self.tasks:
                raise EncT5Error(f"{config.base} has a task {show(name)} already; call the new one something else")

    def read_alike(self, config: TrainConfig, task: MultiTask, longest: int) -> TrainConfig:
        """The settings with how much of a text these tasks read, as those that are added read the same.

        Args:
            config: the run's settings.
            task: the tasks to add.
            longest: most tokens that the base reads of a text.

        Raises:
            EncT5Error: for settings that would have these tasks read other texts, or a new task whose column of results
                would be called as one of theirs.
        """
        old = [NamedTask(name, find_task(str(own.problem_type)), {}) for name, own in self.tasks.items()]
        MultiTask([*old, *task.parts])
        if all(own.decoder_vocab_size is None for own in self.tasks.values()):
            return config  # what tags tokens alone reads windows of its own
        read = {"window": self.config.encoder_window or 0, "max_length": longest if longest < NO_LIMIT else None}
        for name, value in read.items():
            given = getattr(config, name)
            if given not in (None, value):
                raise EncT5Error(
                    f"{config.option_of(name)} is {given}, but the tasks of {config.base} read texts with {value}, and "
                    "are to stay as they are; leave it out"
                )
        return config.model_copy(update=read)


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
