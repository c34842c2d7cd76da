"""The queue of a device: what runs together, in which order, and what a failure does."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from enct5.serving.metrics import Metrics
from enct5.serving.queue import DeviceQueue, Item, Waiting


class Model:
    """Doubles numbers, a batch at a time, when it may; fails for 13."""

    def __init__(self, budget: int = 10) -> None:
        self.threads: list[int] = []
        self.engine: Any = SimpleNamespace(config=SimpleNamespace(num_labels=1), use_threads=self.threads.append)
        self.batches: list[list[int]] = []
        self.may, self.running, self._budget = threading.Event(), threading.Event(), budget

    def most_tokens(self) -> int:
        return self._budget

    def run(self, rows: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
        self.running.set()
        assert self.may.wait(10)
        self.batches.append(list(rows))
        if 13 in rows:
            raise ValueError("13")
        order = list(reversed(range(len(rows))))
        yield order, [2 * rows[place] for place in order]


class Text:
    """A text of as many rows as it has numbers."""

    def __init__(self, *rows: int) -> None:
        self.rows = rows

    def outputs(self, logits: Sequence[int], num_labels: int) -> int:
        return sum(logits)


class Ask:
    """Asks a queue from asyncio."""

    def __init__(self, device: str = "cpu", cores: int = 1) -> None:
        self.queue = DeviceQueue(device, Metrics(), cores)
        self.queue.start()

    def put(self, model: Any, *texts: Text, name: str = "m", tokens: int = 1) -> Waiting:
        waiting = Waiting(asyncio.get_running_loop(), len(texts))
        items = [
            Item(name, model, waiting, place, inputs=text, tokens=tokens * len(text.rows))
            for place, text in enumerate(texts)
        ]
        self.queue.put(items)
        return waiting

    async def busy(self, model: Model) -> Waiting:
        """Something that runs until the model may, so that what is put meanwhile waits."""
        waiting = self.put(model, Text(0))
        assert await asyncio.to_thread(model.running.wait, 10)
        return waiting


async def results(*waiting: Waiting) -> list[Any]:
    await asyncio.wait([one.future for one in waiting], timeout=10)
    return [one.future.exception() or one.results for one in waiting]


@pytest.fixture
def ask() -> Iterator[Ask]:
    made = Ask()
    yield made
    made.queue.stop()


def test_what_waits_runs_together_when_the_model_is_free(ask: Ask) -> None:
    model = Model()

    async def go() -> None:
        first = await ask.busy(model)
        others = [ask.put(model, Text(number)) for number in range(1, 6)]
        model.may.set()
        assert await results(first, *others) == [[0], [2], [4], [6], [8], [10]]

    asyncio.run(go())
    assert model.batches == [[0], [1, 2, 3, 4, 5]]


def test_a_text_alone_waits_for_no_other(ask: Ask) -> None:
    model = Model()
    model.may.set()

    async def go() -> None:
        assert await results(ask.put(model, Text(1))) == [[2]]

    asyncio.run(go())
    assert model.batches == [[1]]


def test_batches_keep_within_the_budget_and_the_order(ask: Ask) -> None:
    model = Model(budget=10)

    async def go() -> None:
        first = await ask.busy(model)
        others = [ask.put(model, Text(number), tokens=4) for number in (1, 2, 3)]
        large = ask.put(model, Text(4), tokens=99)
        several = ask.put(model, Text(5, 6), Text(7))
        model.may.set()
        assert (await results(first, *others, large, several))[-2:] == [[8], [22, 14]]

    asyncio.run(go())
    assert model.batches == [[0], [1, 2], [3], [4], [5, 6, 7]]


def test_models_take_turns_by_the_oldest_text(ask: Ask) -> None:
    one, other = Model(), Model()
    other.may.set()

    async def go() -> None:
        first = await ask.busy(one)
        waiting = [
            ask.put(other, Text(1), name="other"),
            ask.put(one, Text(2)),
            ask.put(other, Text(3), name="other"),
            ask.put(one, Text(4)),
        ]
        one.may.set()
        assert await results(first, *waiting) == [[0], [2], [4], [6], [8]]

    asyncio.run(go())
    assert (one.batches, other.batches) == ([[0], [2, 4]], [[1, 3]])


def test_a_text_that_fails_does_not_fail_its_neighbours(ask: Ask) -> None:
    model = Model()

    async def go() -> None:
        first = await ask.busy(model)
        waiting = [ask.put(model, Text(number)) for number in (1, 13, 3)]
        mixed = ask.put(model, Text(4), Text(13))
        model.may.set()
        _, one, failed, three, both = await results(first, *waiting, mixed)
        assert (one, three) == ([2], [6])
        assert (str(failed), str(both)) == ("13", "13")
        assert not ask.queue.failing
        assert isinstance((await results(ask.put(model, Text(13))))[0], ValueError)

    asyncio.run(go())
    ask.queue.stop()
    assert ask.queue.failing


def test_what_nobody_waits_for_does_not_run(ask: Ask) -> None:
    model = Model()

    async def go() -> None:
        first = await ask.busy(model)
        gone, here = ask.put(model, Text(1), Text(2)), ask.put(model, Text(3))
        gone.dropped = True
        model.may.set()
        assert await results(first, here) == [[0], [6]]

    asyncio.run(go())
    assert model.batches == [[0], [3]]


def test_other_work_runs_alone_and_in_its_turn(ask: Ask) -> None:
    model, ran = Model(), []

    async def go() -> None:
        first = await ask.busy(model)
        before = ask.put(model, Text(1))
        waiting = Waiting(asyncio.get_running_loop(), 1)
        work: Any = lambda: ran.append(list(model.batches)) or "done"  # noqa: E731
        ask.queue.put([Item("m", model, waiting, 0, work=work, tokens=1)])  # type: ignore[arg-type]
        after = ask.put(model, Text(2))
        model.may.set()
        assert await results(first, before, waiting, after) == [[0], [2], ["done"], [4]]

    asyncio.run(go())
    assert model.batches == [[0], [1], [2]]
    assert ran == [[[0], [1]]]


def test_the_time_that_waiting_takes_is_told_by_the_last_batches(ask: Ask) -> None:
    model = Model()

    async def go() -> None:
        assert ask.queue.seconds() == 0
        first = await ask.busy(model)
        model.may.set()
        await results(first)
        model.may.clear()
        model.running.clear()
        await ask.busy(model)
        waiting = ask.put(model, Text(1), tokens=5)
        five = ask.queue.seconds()
        more = ask.put(model, Text(1), tokens=5)
        assert ask.queue.seconds() == pytest.approx(2 * five)
        model.may.set()
        await results(waiting, more)
        assert five > 0

    asyncio.run(go())


@pytest.fixture
def ask_of_four_cores() -> Iterator[Ask]:
    made = Ask(cores=4)
    yield made
    made.queue.stop()


def test_a_whole_batch_runs_beside_another_and_shares_the_cores(ask_of_four_cores: Ask) -> None:
    ask, slow, quick = ask_of_four_cores, Model(), Model(budget=10)
    quick.may.set()

    async def go() -> None:
        first = await ask.busy(slow)
        second = ask.put(quick, Text(1), name="quick", tokens=10)
        assert await results(second) == [[2]]  # while the first one still runs
        slow.may.set()
        assert await results(first) == [[0]]

    asyncio.run(go())
    assert slow.threads == [4]
    assert quick.threads == [2]


@pytest.mark.parametrize(("device", "tokens"), [("cpu", 9), ("cuda:0", 10)], ids=["less than a batch", "on a GPU"])
def test_what_waits_for_the_whole_device(device: str, tokens: int) -> None:
    ask, slow, quick = Ask(device, cores=4), Model(), Model(budget=10)
    quick.may.set()

    async def go() -> None:
        first = await ask.busy(slow)
        second = ask.put(quick, Text(1), name="quick", tokens=tokens)
        await asyncio.sleep(0.05)
        assert quick.batches == []
        slow.may.set()
        assert await results(first, second) == [[0], [2]]

    try:
        asyncio.run(go())
    finally:
        ask.queue.stop()
    assert quick.threads == [4]


def test_other_work_runs_one_at_a_time(ask_of_four_cores: Ask) -> None:
    ask, model, ran = ask_of_four_cores, Model(budget=10), []

    async def go() -> None:
        first = await ask.busy(model)
        waiting = Waiting(asyncio.get_running_loop(), 1)
        work: Any = lambda: ran.append(1) or "done"  # noqa: E731
        ask.queue.put([Item("m", model, waiting, 0, work=work, tokens=100)])  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        assert ran == []
        model.may.set()
        assert await results(first, waiting) == [[0], ["done"]]

    asyncio.run(go())


def test_batches_that_come_one_by_one_have_all_cores_and_the_same_thread(ask_of_four_cores: Ask) -> None:
    ask, model, ran = ask_of_four_cores, Model(), []
    run = model.run
    model.run = lambda rows: ran.append(threading.get_ident()) or run(rows)  # type: ignore[method-assign]
    model.may.set()

    async def go() -> None:
        for number in range(12):
            assert await results(ask.put(model, Text(number))) == [[2 * number]]
            while ask.queue.running:
                await asyncio.sleep(0.001)

    asyncio.run(go())
    assert model.threads == [4] * 12
    assert len(set(ran)) == 1
