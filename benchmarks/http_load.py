"""Requests to a server: each client as fast as it is answered, or at times that the answers have no influence on."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

PATIENCE = 600  # seconds that an answer may take


@dataclass
class Answers:
    """What came back.

    Attributes:
        seconds: how long each answered request took; with arrivals, from when it was to be sent.
        statuses: how many had each status; 0 for a connection that broke, or an answer that never came.
        took: the seconds of the whole.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    took: float = 0.0

    def count(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.seconds.append(seconds)

    @property
    def rate(self) -> float:
        """Requests answered with 200 a second."""
        return len(self.seconds) / self.took

    def percentile(self, percent: float) -> float:
        """Milliseconds within which so many per cent were answered."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]

    @property
    def median(self) -> float:
        """Milliseconds."""
        return 1000 * statistics.median(self.seconds)


class Connection:
    """A connection that is kept, and opened anew where the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request; the status of its answer, 0 where none comes."""
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(request)
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            await self._reader.readexactly(length)
            if b"connection: close" in head:
                self.close()
            return int(head.split(None, 2)[1])
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0

    def close(self) -> None:
        """Close it."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None


async def _ended(asking: list["asyncio.Future[None]"], answers: Answers, seconds: float) -> None:
    """Wait until all that asks for so many seconds has ended; not for ever, if a server loses a request."""
    late = (await asyncio.wait(asking, timeout=seconds + PATIENCE))[1] if asking else set()
    for one in late:
        one.cancel()
        answers.count(0, seconds + PATIENCE)


async def as_fast_as_answered(port: int, requests: Iterator[bytes], clients: int, seconds: float) -> Answers:
    """Each client sends its next request when the last one is answered."""
    answers, end = Answers(), time.perf_counter() + seconds

    async def client() -> None:
        connection = Connection(port)
        while (sent := time.perf_counter()) < end:
            status = await connection.ask(next(requests))
            answers.count(status, time.perf_counter() - sent)
        connection.close()

    started = time.perf_counter()
    await _ended([asyncio.ensure_future(client()) for _ in range(clients)], answers, seconds)
    answers.took = time.perf_counter() - started
    return answers


async def at_a_rate(port: int, requests: Iterator[bytes], rate: float, clients: int, seconds: float) -> Answers:
    """Requests arrive as those of many independent people do (Poisson), whatever the answers are doing.

    One that finds all clients waiting for answers waits for one, and its time counts from its arrival.
    """
    answers, random = Answers(), Random(0)
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    for _ in range(clients):
        free.put_nowait(Connection(port))

    async def one(request: bytes, arrived: float) -> None:
        connection = await free.get()
        status = await connection.ask(request)
        answers.count(status, time.perf_counter() - arrived)
        free.put_nowait(connection)

    started = time.perf_counter()
    due, waiting = started, set()
    while (due := due + random.expovariate(rate)) < started + seconds:
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        task = asyncio.ensure_future(one(next(requests), due))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
    await _ended([*waiting], answers, 0)
    answers.took = time.perf_counter() - started
    while not free.empty():
        free.get_nowait().close()
    return answers
