"""The cluster of Ray that a command runs on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from enct5.errors import EncT5Error, InterruptedByUserError, show


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A block in which Ray runs here, or is one that runs already.

    Args:
        address: `local`, `auto`, or as Ray has it: `host:port`, `ray://host:port`.

    Raises:
        EncT5Error: If there is none; or when interrupted.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # tells nobody what it is used for
    import ray

    try:
        ray.init(address, logging_level="WARNING", include_dashboard=None if address != "local" else False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise EncT5Error(
            f"no cluster of Ray at {show(address)} ({show(error, 100)}); start one (`ray start --head`), or give "
            "--ray local"
        ) from error
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedByUserError("interrupted; the same command with --resume goes on with what is done") from error
    finally:
        ray.shutdown()
