"""A run folder becomes a run's, and an interrupted run goes on with its own settings and data only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from enct5 import run_folder
from enct5.digests import digest
from enct5.errors import EncT5Error
from enct5.training_config import TRAIN_CONFIG, TrainConfig


@contextmanager
def claim(settings: TrainConfig, out: Path, resume: bool, say: Callable[[str], None]) -> Iterator[Path | None]:
    """Make the run folder this run's within the block.

    Args:
        settings: the run's settings, resolved.
        out: the run folder.
        resume: whether an interrupted run in it is to be continued.
        say: told of checkpoints that cannot be continued from.

    Yields:
        The checkpoint to continue from; `None` to start from the beginning.

    Raises:
        EncT5Error: as `run_folder.claim`, and for a resumed run with other settings or data.
    """
    with run_folder.claim(out, resume, say) as checkpoint:
        _remember(settings, out, resume)
        yield checkpoint


def _remember(settings: TrainConfig, out: Path, resume: bool) -> None:
    """Keep the settings beside the checkpoints; a resumed run must have the same."""
    path, digests = out / run_folder.CHECKPOINTS / TRAIN_CONFIG, out / run_folder.CHECKPOINTS / "data.sha256"
    sources = (settings.data, settings.eval, settings.label_descriptions)
    read = " ".join(str(digest(source)) for source in sources if source is not None)
    if resume and path.is_file() and digests.is_file():
        former = TrainConfig.read(path)
        # A run folder may be moved, or named in another way, before it is resumed.
        compared = [name for name in TrainConfig.model_fields if name != "out"]
        changed = [name for name in compared if getattr(former, name) != getattr(settings, name)]
        if changed:
            name = changed[0]
            raise EncT5Error(
                f"`{name}` is {getattr(settings, name)}, but the interrupted run in {out} has {getattr(former, name)}; "
                "resume with the same options"
            )
        if digests.read_text(encoding="utf-8") != read:
            raise EncT5Error(
                f"the data has changed since the run in {out} was interrupted; restore it, or start anew with another "
                "--out"
            )
        return
    settings.write(path)
    digests.write_text(read, encoding="utf-8")
