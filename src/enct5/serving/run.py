"""The process that serves: a socket, uvicorn, and an end that fails nobody."""

import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from enct5.serving.service import Service

_KEEP_ALIVE = 75  # seconds; longer than balancers keep a connection that they may use again (60 for AWS)


def serve(
    application: Starlette,
    service: Service,
    at: socket.socket,
    drain_delay: float,
    grace: float,
    started: Callable[[], None],
) -> None:
    """Serve until a signal ends it.

    Args:
        application: what answers.
        service: its state.
        at: the socket.
        drain_delay: seconds for which new requests are still taken after the signal, while the server says that it is
            not ready.
        grace: seconds that requests then have to end.
        started: called when the first request can come.
    """
    config = uvicorn.Config(
        application,
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(grace)),
        ws="none",
    )
    _Server(config, service, drain_delay, started).run([at])


class _Server(uvicorn.Server):
    """Uvicorn's, which goes on for a while after the signal."""

    def __init__(
        self, config: uvicorn.Config, service: Service, drain_delay: float, started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._service, self._drain_delay, self._when_started = service, drain_delay, started
        self._ends: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGINT or self._ends is not None:
            super().handle_exit(sig, frame)
        else:
            self._ends = time.monotonic() + self._drain_delay
        self._service.draining = True

    async def on_tick(self, counter: int) -> bool:
        if self._ends is not None and time.monotonic() >= self._ends:
            self.should_exit = True
        return await super().on_tick(counter)
