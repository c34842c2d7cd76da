"""The queue before a device: all clients' texts, and the threads that run models there.

There is no wait for a batch to fill. Whenever a thread is free it takes the oldest text and, as far as the budget of
tokens goes, those of the same model behind it; under load batches are large by themselves, and a text alone waits for
nothing.

A GPU has one thread. A CPU of several cores has two, of which the second one helps as long as whole batches wait, when
each has half of the cores: what the cores do beside (requests that are refused, other programs) then holds up one
batch, where all cores at one batch wait for the slowest of them.
"""

import asyncio
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from enct5.inference.predictor import Predictor
from enct5.serving.metrics import Metrics

logger = logging.getLogger(__name__)

_MEMORY = 0.99  # how much of the best speed remains with every batch: those of few texts say little of what is possible


class Waiting:
    """What a request waits for: the results of its items.

    Attributes:
        future: done when all are there; its exception is that of the first item that failed.
        results: of the items, in their order.
        dropped: whether nobody waits any more: what is not running yet is left out.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self._loop, self._left = loop, count
        self.future: asyncio.Future[None] = loop.create_future()
        self.results: list[Any] = [None] * count
        self.dropped = False

    def settle(self, place: int, result: Any, error: BaseException | None = None) -> None:
        """Take an item's result or error; from the device's thread."""
        if self.dropped:
            return
        self.results[place] = result
        self._left -= 1
        if error is not None or self._left == 0:
            self.dropped = True
            self._loop.call_soon_threadsafe(self._finish, error)

    def _finish(self, error: BaseException | None) -> None:
        if self.future.done():  # cancelled meanwhile
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


@dataclass(eq=False)
class Item:
    """A text that waits for a model, or a piece of work that runs alone.

    Attributes:
        model: the model's name.
        predictor: what runs it.
        waiting: the request.
        place: the item's among those of the request.
        inputs: the text as read by `Predictor.tokenized`; None for other work.
        work: what gives the result of other work.
        tokens: of the text, or what the work counts as.
        since: when it was put into the queue.
    """

    model: str
    predictor: Predictor
    waiting: Waiting
    place: int
    inputs: Any = None
    work: Callable[[], Any] | None = None
    tokens: int = 0
    since: float = field(default_factory=time.monotonic)


class DeviceQueue:
    """The queue and the threads of one device.

    Args:
        device: its name.
        metrics: where to count.
        cores: threads that models have to compute with; the queue's own are two where these can be shared, else one.

    Attributes:
        failing: whether the last batch gave no result at all.
        running: how many batches do.
    """

    def __init__(self, device: str, metrics: Metrics, cores: int = 1) -> None:
        self.device, self.failing, self.running = device, False, 0
        self._metrics, self._cores = metrics, cores
        self._items: dict[str, deque[tuple[int, Item]]] = {}
        self._number = itertools.count()
        self._filled = threading.Condition()
        self._stopped = False
        self._tokens = 0  # waiting
        self._speed = 0.0  # tokens a second
        count = 2 if device == "cpu" and cores > 1 else 1
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"enct5 {device} {number}", daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads when their batches are done; what waits is left."""
        with self._filled:
            self._stopped = True
            self._filled.notify_all()
        for thread in self._threads:
            thread.join()

    def put(self, items: Sequence[Item]) -> None:
        """Append items of one model."""
        with self._filled:
            line = self._items.setdefault(items[0].model, deque())
            line.extend((next(self._number), item) for item in items)
            self._count(sum(item.tokens for item in items))
            self._filled.notify_all()

    def seconds(self) -> float:
        """How long what waits will take, by the best speed of late."""
        return self._tokens / self._speed if self._speed else 0.0

    def _count(self, tokens: int) -> None:
        self._tokens += tokens
        self._metrics.queued(self.device, sum(map(len, self._items.values())), self._tokens)

    def _oldest(self) -> deque[tuple[int, Item]]:
        """What waits for the model of the oldest item."""
        return min(filter(None, self._items.values()), key=lambda line: line[0][0])

    def _has_work(self, number: int) -> bool:
        """Whether a thread is to take something: the second one only a whole batch of texts, beside another."""
        if not any(self._items.values()):
            return False
        first = self._oldest()[0][1]
        return number == 0 or (
            self.running > 0 and first.work is None and self._tokens >= first.predictor.most_tokens()
        )

    def _take(self, number: int) -> list[Item]:
        """The next batch, for the thread of a number; empty when there is none any more."""
        with self._filled:
            while True:
                while not self._stopped and not self._has_work(number):
                    self._filled.wait()
                if self._stopped:
                    return []
                line = self._oldest()
                budget = line[0][1].predictor.most_tokens()
                taken: list[Item] = []
                tokens = before = 0
                while line:
                    item = line[0][1]
                    if not item.waiting.dropped:
                        if taken and (item.work or taken[0].work or tokens + item.tokens > budget):
                            break
                        taken.append(item)
                        tokens += item.tokens
                    before += item.tokens
                    line.popleft()
                self._count(-before)
                if taken:
                    self.running += 1
                    self._filled.notify_all()
                    return taken

    def _run(self, number: int) -> None:
        while batch := self._take(number):
            started, beside = time.monotonic(), self.running
            for item in batch:
                self._metrics.waited(item.model, started - item.since)
            batch[0].predictor.engine.use_threads(max(1, self._cores // beside))
            gave_results = self._settle(batch)
            seconds, tokens = time.monotonic() - started, sum(item.tokens for item in batch)
            self._metrics.ran(batch[0].model, len(batch), tokens, seconds)
            with self._filled:
                self.running -= 1
                if batch[0].work is None:
                    self.failing = not gave_results
                    self._speed = max(_MEMORY * self._speed, beside * tokens / max(seconds, 1e-6))

    def _settle(self, batch: list[Item]) -> bool:
        """Run a batch, in halves where it fails, so that one text does not fail its neighbours.

        Returns:
            Whether there was any result.
        """
        try:
            results = _results(batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].waiting.settle(batch[0].place, None, error)
                return False
            self._metrics.split(batch[0].model)
            middle = len(batch) // 2
            return any([self._settle(half) for half in (batch[:middle], batch[middle:])])
        for item, result in zip(batch, results, strict=True):
            item.waiting.settle(item.place, result)
        return True


def _results(batch: list[Item]) -> list[Any]:
    """The logits of each text, or what the work gives."""
    if batch[0].work is not None:
        return [batch[0].work()]
    predictor = batch[0].predictor
    rows = [row for item in batch for row in item.inputs.rows]
    logits: list[Any] = [None] * len(rows)
    for places, outputs in predictor.run(rows):
        for place, output in zip(places, outputs, strict=True):
            logits[place] = output
    results, start, num_labels = [], 0, predictor.engine.config.num_labels
    for item in batch:
        end = start + len(item.inputs.rows)
        results.append(item.inputs.outputs(logits[start:end], num_labels))
        start = end
    return results
