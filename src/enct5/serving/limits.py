"""How much a server takes."""

from dataclasses import dataclass

from enct5.errors import EncT5Error


@dataclass(frozen=True)
class Limits:
    """What is refused beyond.

    Attributes:
        body: bytes of a request.
        batch: texts (or pairs) of a request.
        text: characters of a text.
        queued: texts of all clients that wait or run.
        timeout: seconds until a request is given up, its body's way here included.

    Raises:
        EncT5Error: where a request may have more texts than the queue.
    """

    body: int = 2_000_000
    batch: int = 1024
    text: int = 100_000
    queued: int = 2048
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.batch > self.queued:
            raise EncT5Error(
                f"a request may have {self.batch} texts (--max-batch), but only {self.queued} may wait (--max-queued)"
            )
