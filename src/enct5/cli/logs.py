"""What enct5 logs while a command runs, as plain lines on standard output."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from enct5.cli.options import say
from enct5.errors import printable

# Set by `torchrun` and `accelerate launch`, or by MPI: the number of a process among those that train one model.
_RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")

# What these log is the command's output; warnings of others go where Python sends them, to standard error.
_SHOWN = ("enct5.data", "enct5.training", "enct5.inference.bench")


def is_main_process() -> bool:
    """Whether this is the first of the processes that a launcher started, told before torch connects them."""
    return next((os.environ[name] for name in _RANKS if name in os.environ), "0") == "0"


class _Lines(logging.Handler):
    """Says records as the command says its own lines; what goes wrong ends the command, as it does there.

    Attributes:
        is_aside: Whether they go to standard error, as standard output is for a table.
    """

    is_aside = False

    def emit(self, record: logging.LogRecord) -> None:
        if self.is_aside:
            print(printable(record.getMessage()), file=sys.stderr)
        else:
            say(record.getMessage())


def say_aside() -> None:
    """Keep standard output for a table that the command writes there; the next command has it again."""
    for handler in logging.getLogger(_SHOWN[0]).handlers:
        if isinstance(handler, _Lines):
            handler.is_aside = True


@contextmanager
def shown() -> Iterator[None]:
    """Show what reading data, training and the benchmark log within the block, in the main process."""
    handler = _Lines() if is_main_process() else logging.NullHandler()
    with ExitStack() as restore:
        for logger in map(logging.getLogger, _SHOWN):
            restore.callback(setattr, logger, "propagate", logger.propagate)
            restore.callback(logger.setLevel, logger.level)
            restore.callback(logger.removeHandler, handler)
            logger.propagate = False  # a library that sets the root logger up would show it once more
            logger.setLevel(logging.INFO)
            logger.addHandler(handler)
        yield
