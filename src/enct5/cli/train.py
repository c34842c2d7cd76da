"""`enct5 train` and `enct5 distill`: their options are the fields of `TrainConfig` and `DistillConfig`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.cli.options import push, repository_of, say
from enct5.errors import InterruptedByUserError
from enct5.extras import need

if TYPE_CHECKING:
    from enct5.training.config import TrainConfig

# What typer evaluates may name nothing that is imported for types alone.
Configured = tuple[Any, Callable[..., None]]


def train() -> Configured:
    """Fine-tune a model on labelled texts and write its run folder."""
    from enct5.training.config import TrainConfig

    return TrainConfig, partial(_run, "train")


def distill() -> Configured:
    """Train a small model on what a large one says about texts, with labels or without."""
    from enct5.training.distillation.config import DistillConfig

    return DistillConfig, partial(_run, "distill")


def _run(
    name: str, config: "TrainConfig", resume: bool, overwrite: bool, push_to_hub: str | None, private: bool
) -> None:
    """Train into a run folder, and say what came of it."""
    need("train", f"`enct5 {name}`")
    from enct5.cli import start, tables
    from enct5.model import overwriting
    from enct5.model.folder import is_interrupted

    repository = repository_of(push_to_hub, private)
    out = place = Path(config.out)
    if overwrite:
        place = overwriting.place(out, overwriting.RUN, *(getattr(config, name) for name in config.sources))
    try:
        record = getattr(start, name)(config.model_copy(update={"out": str(place)}), resume, repository)
    except KeyboardInterrupt:
        if not is_interrupted(place):
            raise InterruptedByUserError("interrupted; nothing was written yet") from None
        raise InterruptedByUserError(
            f"interrupted; the same command with --resume continues the run in {place}"
        ) from None
    from enct5.training.distributed import process_state

    is_main = process_state().is_main_process
    process_state().destroy_process_group()
    if not is_main:
        return
    overwriting.replace(out, place, overwriting.RUN)
    tables.show_record(record, record["data"]["eval_split"])
    if taught := record.get("distillation"):
        agreement = ", ".join(f"{name} {value:.4f}" for name, value in taught["agreement"].items())
        say(f"agreement with the teacher {taught['teacher']}: {agreement}")
    say(f"model: {out} ({record['seconds']:.0f} s); read its report.html, use it with:")
    say(f"  enct5 predict {out} FILE")
    if repository is not None:
        push(repository, out)
