"""What training logs, where it is to be heard of once."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence() -> Iterator[None]:
    """Keep training from logging: in processes other than the main one, and in the trials of a search."""
    logger = logging.getLogger("enct5.training")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
