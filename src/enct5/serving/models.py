"""Models by name, each before the queue of its device."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enct5.errors import EncT5Error, unknown
from enct5.inference.predictor import Predictor
from enct5.inference.texts import Text
from enct5.serving.limits import Limits
from enct5.serving.queue import DeviceQueue, Item, Waiting
from enct5.serving.refusal import Kind, RefusalError
from enct5.tasks.multi_task import MultiTask

_MOST_CHARACTERS = 64_000_000  # of all texts that wait, so that memory has an end
_PATIENCE = 0.5  # of a request's time that may pass in the queue, as far as can be told when it comes
_READERS = 2  # threads that tokenise; the tokenizers themselves run outside Python's lock
_STEPS_OF_AN_EXPLANATION = 128  # forward and backward passes for a label, of which a text's prediction takes one


@dataclass(frozen=True)
class Read:
    """What a model made of a request's texts.

    Attributes:
        logits: those of the texts, as `Predictor.logits` gives them.
        tokens: how many the model read.
    """

    logits: Any
    tokens: int


class Admission:
    """How many texts of all clients are here; a request that would be too many is refused whole.

    Attributes:
        limits: what is taken.
        readers: the threads that tokenise what has been taken in.
        texts: how many are here.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits, self.readers = limits, ThreadPoolExecutor(_READERS, "enct5 reader")
        self.texts = self._characters = 0

    def enter(self, texts: int, characters: int, seconds: float) -> None:
        """Take in a request, or refuse it.

        Args:
            texts: how many it has.
            characters: how many they have.
            seconds: how long what is here will take.
        """
        crowded = self._characters + characters > _MOST_CHARACTERS and self.texts
        late = seconds > _PATIENCE * self.limits.timeout  # better told now than when time is up
        if self.texts + texts > self.limits.queued or crowded or late:
            raise self._overloaded(seconds)
        self.texts += texts
        self._characters += characters

    def check_room(self, seconds: float) -> None:
        """Refuse a request before it is read, where there is no room for a single text; `seconds` as for `enter`.

        What has to be refused comes in numbers, and would take the time of what has been taken in.
        """
        if self.texts >= self.limits.queued:
            raise self._overloaded(seconds)

    def leave(self, texts: int, characters: int) -> None:
        """Let a request go."""
        self.texts -= texts
        self._characters -= characters

    def _overloaded(self, seconds: float) -> RefusalError:
        after = max(1, round(min(seconds, self.limits.timeout)))
        return RefusalError(Kind.OVERLOADED, "Model is overloaded", retry_after=after)


def tasks_of(predictor: Predictor) -> list[str]:
    """The names of the tasks that a model does in one pass; none for a single one."""
    return [part.name for part in predictor.task.parts] if isinstance(predictor.task, MultiTask) else []


class ServedModel:
    """A model that requests are answered by, or one of a model's several tasks.

    Args:
        name: what requests call the model; a task is called `name:task`.
        source: the folder or hub id that it came from.
        runner: the model.
        task: the task that it answers for, of several; None for all that the model does.
        queue: that of its device.
        admission: that of the server.

    Attributes:
        name: what requests call it.
        source: as given.
        runner: as given.
        task_name: the task, as given.
        predictor: the model of the task alone, which knows its labels and what to make of its outputs; its outputs
            come from `runner`.
        limits: those of the server.
        created: when it was made, in seconds since 1970.
    """

    def __init__(
        self,
        name: str,
        source: str,
        runner: Predictor,
        task: str | None,
        queue: DeviceQueue,
        admission: Admission,
    ) -> None:
        self._line = name  # in the queue, that of all its tasks
        self.name = name if task is None else f"{name}:{task}"
        self.source, self.runner, self.task_name = source, runner, task
        self.predictor = runner if task is None else runner.of_task(task)
        self._queue, self._admission, self.limits = queue, admission, admission.limits
        self.created = int(time.time())
        runner.warns_of_unknown = False  # of other people's texts

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.predictor.engine.config

    @property
    def labels(self) -> list[str]:
        """The names of the outputs, by id."""
        return [self.config.id2label[index] for index in range(self.config.num_labels)]

    @property
    def max_length(self) -> int | None:
        """The most tokens of a text; None where there is no end."""
        most = self.predictor.tokenizer.model_max_length
        return most if most < 1_000_000 else None

    @property
    def task_names(self) -> list[str]:
        """The names of the tasks that it does in one pass; none for a single one."""
        return tasks_of(self.predictor)

    @property
    def explains(self) -> bool:
        """Whether predictions can be explained."""
        try:
            self.predictor.engine.differentiable()
        except EncT5Error:
            return False
        return not self.predictor.task.inputs.windowed and not self.task_names

    @property
    def takes_pairs(self) -> bool | None:
        """Whether it was trained on pairs; None where nobody knows."""
        trained = self.predictor.config
        return None if trained is None else trained.takes_pairs

    def check_task(self, *, windowed: bool) -> None:
        """Refuse a route that is not for this kind of model."""
        self.check_one_task()
        task = self.predictor.task
        if task.inputs.windowed != windowed:
            wanted = "entities" if windowed else "labels of whole texts"
            raise RefusalError(Kind.NOT_FOR_MODEL, f"this route gives {wanted}, but the model does {task.description}")

    def check_one_task(self) -> None:
        """Refuse a model of several tasks where one has to be named."""
        if self.task_names:
            listed = ", ".join(f"{self.name}:{task}" for task in self.task_names)
            said = f"{self.name} does several tasks; say which by `model` ({listed}), or ask /v1/predict for all"
            raise RefusalError(Kind.NOT_FOR_MODEL, said, "model")

    async def read(
        self, texts: Sequence[Text], *, max_length: int | None = None, whole: bool = False, side: str | None = None
    ) -> Read:
        """The model's outputs for texts (or pairs), when their turn has come.

        Args:
            texts: as for `Predictor.predict`; one or more.
            max_length: the most tokens of a text, where that is fewer than the model's own.
            whole: whether to refuse a text that would be cut.
            side: from which side a text may be cut; None for the model's own.

        Raises:
            RefusalError: for what is too much, too long, or no text for this model.
        """
        characters = self._check(texts)
        self._admission.enter(len(texts), characters, self._queue.seconds())
        try:
            tokenized = self._admission.readers.submit(self.runner.tokenized, texts, max_length)
            try:
                inputs = await asyncio.wrap_future(tokenized)
            except EncT5Error as error:
                raise RefusalError(Kind.INVALID, str(error)) from error
            self._check_whole(inputs.unread, whole, side)
            alone = inputs.apart()
            outputs = await self._wait([{"inputs": one, "tokens": sum(map(len, one.rows))} for one in alone])
            logits = inputs.together(outputs)
            if self.task_name is not None:
                logits = logits[self.task_name]
            return Read(logits, sum(len(row) for row in inputs.rows))
        finally:
            self._admission.leave(len(texts), characters)

    async def explain(self, text: Text, label: str | None) -> Any:
        """The `Explanation` of a text, when its turn has come.

        Raises:
            RefusalError: for a model that cannot be explained, or a label that it does not know.
        """
        self.check_task(windowed=False)
        if label is not None and label not in self.labels:
            raise RefusalError(Kind.INVALID, str(unknown("label", label, self.labels)), "label")
        try:
            self.predictor.engine.differentiable()
        except EncT5Error as error:
            raise RefusalError(Kind.NOT_FOR_MODEL, str(error)) from error
        characters = self._check([text])
        self._admission.enter(1, characters, self._queue.seconds())
        try:
            tokens = characters // 4 * _STEPS_OF_AN_EXPLANATION
            (explanation,) = await self._wait([{"work": lambda: self.predictor.explain(text, label), "tokens": tokens}])
            return explanation
        finally:
            self._admission.leave(1, characters)

    async def warm_up(self) -> None:
        """Predict a short text and a long one, so that the first request waits for nothing that is made once."""
        for text in ("warm", "up " * (self.max_length or 512)):
            text = text[: self.limits.text]
            await self.read([(text, text)] if self.takes_pairs else [text])

    def answers(self) -> bool:
        """Whether the last batch of its device gave a result."""
        return not self._queue.failing

    async def _wait(self, items: list[dict[str, Any]]) -> list[Any]:
        waiting = Waiting(asyncio.get_running_loop(), len(items))
        self._queue.put([Item(self._line, self.runner, waiting, place, **item) for place, item in enumerate(items)])
        try:
            await waiting.future
        except EncT5Error as error:
            raise RefusalError(Kind.NOT_FOR_MODEL, str(error)) from error
        finally:
            waiting.dropped = True  # also where the client has gone, or time is up
        return waiting.results

    def _check(self, texts: Sequence[Text]) -> int:
        """Refuse what is too much; the number of characters."""
        if len(texts) > self.limits.batch:
            said = f"batch size {len(texts)} > maximum allowed batch size {self.limits.batch}"
            raise RefusalError(Kind.INVALID, said)
        if self.predictor.config is not None and not self.runner.task.inputs.takes_words:
            try:
                for text in texts:
                    self.predictor.config.check_pairs(not isinstance(text, str))
            except EncT5Error as error:
                raise RefusalError(Kind.INVALID, str(error)) from error
        characters = 0
        for text in texts:
            length = len(text) if isinstance(text, str) else sum(map(len, text))
            if length > self.limits.text:
                said = f"a text has {length} characters; the most are {self.limits.text}"
                raise RefusalError(Kind.TOO_LONG, said)
            characters += length
        return characters

    def _check_whole(self, unread: Any, whole: bool, side: str | None) -> None:
        """Refuse a text that would be cut, or from the other side than the model's texts are."""
        if not unread.texts_cut:
            return
        if whole:
            given = f" Given: {unread.tokens}" if unread.texts == 1 else ""
            said = f"Input validation error: `inputs` must have less than {self.max_length} tokens.{given}"
            raise RefusalError(Kind.TOO_LONG, said)
        own = self.predictor.tokenizer.truncation_side
        if side is not None and side.lower() != own:
            raise RefusalError(Kind.INVALID, f"a text is too long, and this model cuts texts on the {own} side only")


class Models:
    """The models of a server by name; of one that does several tasks also each task, as `model:task`.

    Args:
        served: each has a name of its own.
    """

    def __init__(self, served: Sequence[ServedModel]) -> None:
        self._served = {model.name: model for model in served}
        self._whole = [model for model in served if model.task_name is None]
        self._sources = {name: model for model in self._whole for name in (Path(model.source).name, model.source)}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served.values())

    @property
    def whole(self) -> Sequence[ServedModel]:
        """The models, without their tasks."""
        return self._whole

    def get(self, name: str | None, version: str | None = None) -> ServedModel:
        """The model of a name, or the only one; each has one version, `1`.

        Raises:
            RefusalError: where there is no such model, or several and no name.
        """
        if name is None:
            if len(self._whole) > 1:
                listed = ", ".join(self._served)
                said = f"several models are served; say which by `model` ({listed})"
                raise RefusalError(Kind.MALFORMED, said, "model")
            return self._whole[0]
        model = self._served.get(name) or self._sources.get(name)
        if model is not None and version not in (None, "1"):
            raise RefusalError(Kind.NOT_FOUND, f"{name} has one version, `1`", "version")
        if model is None:
            raise RefusalError(Kind.NOT_FOUND, str(unknown("model", name, self._served)), "model")
        return model
