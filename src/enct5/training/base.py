"""A base whose tasks stay as they are while others, or labels, are added to them."""

import logging
from dataclasses import dataclass
from functools import cached_property

from huggingface_hub.errors import StrictDataclassError

from enct5.errors import EncT5Error, first_line, show
from enct5.files.hub_names import on_hub
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.trained_on import TrainedOn
from enct5.tasks.multi_task import MultiTask, NamedTask
from enct5.tasks.registry import find_task
from enct5.tokenization.fast_tokenizer import NO_LIMIT
from enct5.training.config import TrainConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Base:
    """A base that is added to.

    Attributes:
        source: folder or hub id.
        config: its configuration.
    """

    source: str
    config: EncT5Config

    @classmethod
    def read(cls, config: TrainConfig) -> "Base | None":
        """The base of a run, where it adds to one; `None` also where it cannot be had, and loading it tells why.

        Raises:
            EncT5Error: for a base that is no EncT5 model.
        """
        if not config.extends:
            return None
        source, option = config.base, config.option_of("add_labels") if config.add_labels else "--add-task"
        name, hub = on_hub(source)
        try:
            stored = EncT5Config.get_config_dict(name, **hub)[0]
        except OSError:
            return None
        if stored.get("model_type") != EncT5Config.model_type:
            raise EncT5Error(
                f"{source} is no EncT5 model, and {option} adds to what one has; train one first, or leave out {option}"
            )
        try:
            return cls(source, EncT5Config.from_dict(stored))
        except (StrictDataclassError, ValueError, TypeError) as error:
            raise EncT5Error(f"{first_line(error)} (base: {source})") from error

    @cached_property
    def tasks(self) -> dict[str, EncT5Config]:
        """The configurations of the models of its tasks alone, by their names.

        Raises:
            EncT5Error: where its only task has none.
        """
        if self.config.tasks:
            return {name: self.config.of_task(name) for name in self.config.task_names}
        remedy = f"give it a name first: enct5 merge NAME={self.source} --out FOLDER"
        return {TrainedOn.of(self.source).task_name(self.source, remedy): self.config}

    def refuse_known(self, config: TrainConfig) -> None:
        """Refuse tasks to add that are called as one of these.

        Raises:
            EncT5Error: naming it.
        """
        for name in config.add_tasks or ():
            if name in self.tasks:
                raise EncT5Error(f"{self.source} has a task {show(name)} already; call the new one something else")

    def read_alike(self, config: TrainConfig, added: MultiTask | None, longest: int) -> TrainConfig:
        """The settings with how much of a text these tasks read, as those that are trained read the same.

        Args:
            config: the run's settings.
            added: the tasks to add, if any.
            longest: most tokens that the base reads of a text.

        Raises:
            EncT5Error: for settings that would have these tasks read other texts, or a new task whose column of results
                would be called as one of theirs.
        """
        if added is not None:
            old = [NamedTask(name, find_task(str(own.problem_type)), {}) for name, own in self.tasks.items()]
            MultiTask([*old, *added.parts])
        reads: dict[str, int | None] = {"max_length": longest if longest < NO_LIMIT else None}
        if self.config.num_prompts:
            reads["window"] = self.config.encoder_window or 0
        elif added is not None:  # what tags tokens alone reads windows of its own
            if longest < NO_LIMIT:
                logger.warning(
                    f"texts of more than {longest} tokens may get other tags than {self.source} gives them: it reads "
                    "them in windows that overlap, and with the new tasks as these are; shorter ones stay as they are"
                )
            return config
        for name, value in reads.items():
            given = getattr(config, name)
            if given not in (None, value):
                raise EncT5Error(
                    f"{config.option_of(name)} is {given}, but the tasks of {self.source} read texts with {value}, and "
                    "are to stay as they are; leave it out"
                )
        return config.model_copy(update=reads)
