"""What training logs, where it is to be heard of once."""

import logging
import warnings
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


@contextmanager
def no_bars() -> Iterator[None]:
    """Keep transformers from showing a bar whenever a checkpoint is written or read."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars
    from transformers.utils import logging as bars

    if not bars.is_progress_bar_enabled():
        yield
        return
    hub_is_silent = are_progress_bars_disabled()  # which transformers turns on and off, too
    bars.disable_progress_bar()
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the hub's, where the environment has turned them off
            bars.enable_progress_bar()
        if hub_is_silent:
            disable_progress_bars()
