"""What a server is made of, and how it does."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from starlette.responses import Response

from enct5.inference.predictor import Predictor
from enct5.serving.limits import Limits
from enct5.serving.metrics import Metrics
from enct5.serving.models import Admission, Models, ServedModel, tasks_of
from enct5.serving.queue import DeviceQueue

logger = logging.getLogger(__name__)


class Service:
    """Models, their queues, and the state of the whole.

    Args:
        predictors: name, source (folder or hub id) and predictor of each model.
        limits: what is taken.
        api_key: what requests have to show; None for no key.
        log: takes a line of JSON for every request; None for no log.

    Attributes:
        models: by name.
        limits: as given.
        api_key: as given.
        metrics: what has been done.
        draining: whether it is about to end.
    """

    def __init__(
        self,
        predictors: Sequence[tuple[str, str, Predictor]],
        limits: Limits | None = None,
        api_key: str | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.limits, self.api_key, self._log = limits or Limits(), api_key, log
        self.metrics, self.admission = Metrics(), Admission(self.limits)
        engines = sorted((predictor.engine for _, _, predictor in predictors), key=lambda engine: engine.device)
        self._queues = {engine.device: DeviceQueue(engine.device, self.metrics, engine.threads) for engine in engines}
        self.models = Models(
            [
                ServedModel(name, source, predictor, task, self._queues[predictor.engine.device], self.admission)
                for name, source, predictor in predictors
                for task in (None, *tasks_of(predictor))
            ]
        )
        self.draining = self._warm = False
        self._probe: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the queues; the models warm up meanwhile."""
        for queue in self._queues.values():
            queue.start()
        self.probe()

    async def stop(self) -> None:
        """End the queues' threads."""
        if self._probe is not None:
            self._probe.cancel()
        for queue in self._queues.values():
            queue.stop()
        self.admission.readers.shutdown(wait=False, cancel_futures=True)

    def probe(self) -> None:
        """Have every model predict something, unless that is going on."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.ensure_future(self._warm_up())

    async def _warm_up(self) -> None:
        try:
            for model in self.models.whole:
                await model.warm_up()
            self._warm = True
        except Exception as error:  # the next question for its health asks it again
            logger.error("not ready: %s", error)

    async def warmed_up(self) -> None:
        """Wait until the models that warm up have done so, or have failed to."""
        if self._probe is not None:
            await asyncio.shield(self._probe)  # who waits for it may give up

    def not_ready(self) -> str | None:
        """Why requests had better go elsewhere; None where they need not."""
        if self.draining:
            return "shutting down"
        if not self._warm:
            self.probe()
            return "loading"
        if not all(model.answers() for model in self.models.whole):
            self.probe()
            return "the last batch failed"
        return None

    def check_room(self) -> None:
        """Refuse a request that is not worth reading.

        Raises:
            RefusalError: where no text can be taken in.
        """
        self.admission.check_room(max(queue.seconds() for queue in self._queues.values()))

    def answered(self, route: str, response: Response, call: Any, seconds: float) -> None:
        """Count a request, and log it if that is wanted."""
        if self.draining:
            response.headers["connection"] = "close"
        self.metrics.answered(route, response.status_code, seconds)
        if self._log is not None:
            request = call.http
            record = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "client": request.client.host if request.client else None,
                "method": request.method,
                "route": route,
                "status": response.status_code,
                "ms": round(1000 * seconds, 2),
                "model": call.model or None,
                "texts": call.texts,
                "tokens": call.tokens,
            }
            self._log(json.dumps(record))
