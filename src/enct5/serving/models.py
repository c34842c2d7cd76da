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
    """How many texts of all clients are here; a request that would be too many is refused whole."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.texts = self._characters = 0

    def enter(self, texts: int, characters: int, seconds: float) -> None:
        """Take in a request, or refuse it.

        Args:
            texts: how many it has.
            characters: how many they have.
            seconds: how long what is here will take.
        """
        crowded = self._characters + characters > _MOST_CHARACTERS and self.texts
        if self.texts + texts > self._limits.queued or crowded:
            after = max(1, round(min(seconds, self._limits.timeout)))
            raise RefusalError(Kind.OVERLOADED, "Model is overloaded", retry_after=after)
        self.texts += texts
        self._characters += characters

    def leave(self, texts: int, characters: int) -> None:
        """Let a request go."""
        self.texts -= texts
        self._characters -= characters


class ServedModel:
    """A model that requests are answered by.

    Args:
        name: what requests call it.
        source: the folder or hub id that it came from.
        predictor: the model.
        queue: that of its device.
        admission: that of the server.
        limits: likewise.
        readers: the threads that tokenise.

    Attributes:
        name: as given.
        source: as given.
        predictor: as given.
        limits: as given.
        created: when it was made, in seconds since 1970.
    """

    def __init__(
        self,
        name: str,
        source: str,
        predictor: Predictor,
        queue: DeviceQueue,
        admission: Admission,
        limits: Limits,
        readers: ThreadPoolExecutor,
    ) -> None:
        self.name, self.source, self.predictor = name, source, predictor
        self._queue, self._admission, self.limits, self._readers = queue, admission, limits, readers
        self.created = int(time.time())
        predictor.warns_of_unknown = False  # of other people's texts

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
    def explains(self) -> bool:
        """Whether predictions can be explained."""
        try:
            self.predictor.engine.differentiable()
        except EncT5Error:
            return False
        task = self.predictor.task
        return not task.inputs.windowed and not isinstance(task, MultiTask)

    @property
    def takes_pairs(self) -> bool | None:
        """Whether it was trained on pairs; None where nobody knows."""
        trained = self.predictor.config
        return None if trained is None else len(trained.text) == 2

    def check_task(self, *, windowed: bool) -> None:
        """Refuse a route that is not for this kind of model."""
        self.check_is_one()
        task = self.predictor.task
        if task.inputs.windowed != windowed:
            wanted = "entities" if windowed else "labels of whole texts"
            raise RefusalError(Kind.NOT_FOR_MODEL, f"this route gives {wanted}, but the model does {task.description}")

    def check_is_one(self) -> None:
        """Refuse a dialect that has no words for several tasks."""
        task = self.predictor.task
        if isinstance(task, MultiTask):
            first = task.parts[0].name
            said = f"the model does {task.description}; ask for one of them, such as `{self.name}:{first}`"
            raise RefusalError(Kind.NOT_FOR_MODEL, said)

    def settings(self) -> dict[str, Any]:
        """How predictions are made."""
        return self.predictor.settings()

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
            tokenized = self._readers.submit(self.predictor.tokenized, texts, max_length)
            try:
                inputs = await asyncio.wrap_future(tokenized)
            except EncT5Error as error:
                raise RefusalError(Kind.INVALID, str(error)) from error
            self._check_whole(inputs.unread, whole, side)
            alone = inputs.apart()
            outputs = await self._wait([{"inputs": one, "tokens": sum(map(len, one.rows))} for one in alone])
            return Read(inputs.together(outputs), sum(len(row) for row in inputs.rows))
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
        self._queue.put([Item(self.name, self.predictor, waiting, place, **item) for place, item in enumerate(items)])
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
        if self.takes_pairs is not None and not self.predictor.task.inputs.windowed:
            assert self.predictor.config is not None
            columns = " and ".join(f"`{column}`" for column in self.predictor.config.text)
            for text in texts:
                if isinstance(text, str) == self.takes_pairs:
                    given = "pairs" if self.takes_pairs else "single texts"
                    raise RefusalError(Kind.INVALID, f"the model was trained on {columns}; give it {given}")
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


class ServedTask(ServedModel):
    """One of several tasks of a model, by a name of its own; texts are read by the model, with those for other tasks.

    Args:
        model: the model.
        task: the task's name.
    """

    def __init__(self, model: ServedModel, task: str) -> None:
        super().__init__(
            f"{model.name}:{task}",
            model.source,
            model.predictor.of_task(task),
            model._queue,
            model._admission,
            model.limits,
            model._readers,
        )
        self._model, self._task = model, task

    async def read(
        self, texts: Sequence[Text], *, max_length: int | None = None, whole: bool = False, side: str | None = None
    ) -> Read:
        """The model's outputs for this task; see `ServedModel.read`."""
        read = await self._model.read(texts, max_length=max_length, whole=whole, side=side)
        return Read(read.logits[self._task], read.tokens)

    async def warm_up(self) -> None:
        """Nothing: the model runs."""

    def settings(self) -> dict[str, Any]:
        """Those of the model."""
        return self._model.settings()


def with_tasks(model: ServedModel) -> list[ServedModel]:
    """A model and, where it does several tasks, each of these by itself: `NAME:TASK`.

    An exported model gives all tasks only.
    """
    task = model.predictor.task
    if not isinstance(task, MultiTask):
        return [model]
    try:
        return [model, *(ServedTask(model, part.name) for part in task.parts)]
    except EncT5Error:
        return [model]


class Models:
    """The models of a server by name.

    Args:
        served: each has a name of its own; tasks of several come in beside their model.
    """

    def __init__(self, served: Sequence[ServedModel]) -> None:
        self._named = len(served) > 1
        self._served = {one.name: one for model in served for one in with_tasks(model)}
        self._sources = {name: model for model in served for name in (Path(model.source).name, model.source)}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served.values())

    def get(self, name: str | None, version: str | None = None) -> ServedModel:
        """The model of a name, or the only one; each has one version, `1`.

        Raises:
            RefusalError: where there is no such model, or several and no name.
        """
        if name is None:
            if self._named:
                listed = ", ".join(self._served)
                raise RefusalError(
                    Kind.MALFORMED, f"several models are served; say which by `model` ({listed})", "model"
                )
            return next(iter(self._served.values()))
        model = self._served.get(name) or self._sources.get(name)
        if model is not None and version not in (None, "1"):
            raise RefusalError(Kind.NOT_FOUND, f"{name} has one version, `1`", "version")
        if model is None:
            raise RefusalError(Kind.NOT_FOUND, str(unknown("model", name, self._served)), "model")
        return model
