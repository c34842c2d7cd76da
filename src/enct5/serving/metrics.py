"""Figures for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_POWERS = tuple(2**power for power in range(0, 16))


class Metrics:
    """What a server has done, in a registry of its own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "enct5_requests", "Requests answered or refused.", ["route", "status"], registry=registry
        )
        self._duration = Histogram(
            "enct5_request_duration_seconds",
            "From a request's headers to its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._dropped = Counter(
            "enct5_requests_dropped", "Requests that nobody waited for any more.", ["reason"], registry=registry
        )
        self._queue_texts = Gauge("enct5_queue_texts", "Texts that wait for a device.", ["device"], registry=registry)
        self._queue_tokens = Gauge("enct5_queue_tokens", "Their tokens.", ["device"], registry=registry)
        self._queue_duration = Histogram(
            "enct5_queue_duration_seconds",
            "How long texts waited for their device.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batch_texts = Histogram(
            "enct5_batch_texts", "Texts that ran together.", ["model"], buckets=_POWERS[:12], registry=registry
        )
        self._batch_tokens = Histogram(
            "enct5_batch_tokens", "Tokens that ran together.", ["model"], buckets=_POWERS[3:], registry=registry
        )
        self._batch_duration = Histogram(
            "enct5_batch_duration_seconds",
            "How long a batch ran.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._split = Counter("enct5_batches_split", "Batches that failed as a whole.", ["model"], registry=registry)

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._duration.labels(route).observe(seconds)

    def dropped(self, reason: str) -> None:
        """Count a request that nobody waits for: `disconnected` or `timeout`."""
        self._dropped.labels(reason).inc()

    def queued(self, device: str, texts: int, tokens: int) -> None:
        """Say what waits for a device."""
        self._queue_texts.labels(device).set(texts)
        self._queue_tokens.labels(device).set(tokens)

    def waited(self, model: str, seconds: float) -> None:
        """Count a text that has waited."""
        self._queue_duration.labels(model).observe(seconds)

    def ran(self, model: str, texts: int, tokens: int, seconds: float) -> None:
        """Count a batch."""
        self._batch_texts.labels(model).observe(texts)
        self._batch_tokens.labels(model).observe(tokens)
        self._batch_duration.labels(model).observe(seconds)

    def split(self, model: str) -> None:
        """Count a batch that was run in halves."""
        self._split.labels(model).inc()
