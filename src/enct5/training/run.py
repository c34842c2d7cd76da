"""Fine-tune an EncT5 model on a file of labelled texts: the steps of a run, in order."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import parse_flag_from_env
from transformers import (
    PreTrainedTokenizerBase,
)

from enct5.assets import BUNDLED, bundled_t5
from enct5.errors import EncT5Error, require
from enct5.files.scratch import scratch_in
from enct5.files.writing import disk_full_as_error
from enct5.model.folder import CHECKPOINTS, ancestry_of
from enct5.model.loading import load_tokenizer
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.training import adding_labels, lora, run_folder, search, trackers
from enct5.training.base import Base
from enct5.training.config import TrainConfig
from enct5.training.data import Rows, TrainingData, prepare
from enct5.training.defaults import resolve, with_lengths
from enct5.training.distributed import gather_model, on_main_process, process_state
from enct5.training.finish import Course, FinishedModel, conclude
from enct5.training.freezing import freeze_encoder
from enct5.training.logs import no_bars, silence
from enct5.training.model_init import build_model, is_enct5, new_model
from enct5.training.multi_task.data import TaskRows
from enct5.training.multi_task.model import new_model as new_model_of_tasks
from enct5.training.multi_task.prepared import TasksData
from enct5.training.multi_task.prepared import prepare as prepare_tasks
from enct5.training.resuming import remember
from enct5.training.rows import read as read_rows
from enct5.training.trainer import EncT5Trainer, build_trainer

logger = logging.getLogger(__name__)

Reader = Callable[[str, PreTrainedTokenizerBase], Rows | TaskRows]
Builder = Callable[..., EncT5ForClassification]
_MAKE_ROOM = "make room, and the same command with --resume goes on from the last checkpoint"


def train(
    config: TrainConfig,
    resume: bool = False,
    rows: Rows | TaskRows | None = None,
    *,
    trainer_class: type[EncT5Trainer] = EncT5Trainer,
    build: Builder = build_model,
) -> dict[str, Any]:
    """Fine-tune a model and write its run folder.

    Progress is logged: `logging.basicConfig(level="INFO")` shows it.

    Args:
        config: the run's settings.
        resume: continue the interrupted run in `config.out`.
        rows: its data, where they have been read already (`enct5.training.rows.read`).
        trainer_class: the HF Trainer that trains, of the run and of the trials of a search.
        build: makes the model that is trained, from what `enct5.training.model_init.build_model` takes.

    Returns:
        The run's record, as in the folder's metrics.json.

    Raises:
        EncT5Error: for data, settings or a base model that cannot be used.
    """
    return train_on(lambda base, tokenizer: rows or read_rows(config), config, resume, trainer_class, build)


def train_on(
    read: Reader,
    config: TrainConfig,
    resume: bool,
    trainer_class: type[EncT5Trainer] = EncT5Trainer,
    build: Builder = build_model,
) -> dict[str, Any]:
    """Like `train`, on rows that are read once the run folder is this run's.

    Args:
        read: from the base (folder or hub id) and its tokenizer to the rows; a process that is not the main one calls
            it, too.
        config: as for `train`.
        resume: likewise.
        trainer_class: likewise.
        build: likewise.
    """
    with no_bars(), scratch_in(Path(config.out)), ExitStack() as held:  # the run folder, until the run ends in any way
        return _train(config, resume, read, held, trainer_class, build)


def _train(
    config: TrainConfig,
    resume: bool,
    read: Reader,
    held: ExitStack,
    trainer_class: type[EncT5Trainer],
    build: Builder,
) -> dict[str, Any]:
    out = Path(config.out)
    started = time.time()
    processes = process_state()
    if not processes.is_main_process:
        held.enter_context(silence())
    _check(config, processes.num_processes)
    extended = Base.read(config)
    if extended is not None:
        extended.refuse_known(config)
    checkpoint = on_main_process(lambda: held.enter_context(run_folder.claim(out, resume)))
    base = str(bundled_t5()) if config.base == BUNDLED else config.base
    tokenizer = load_tokenizer(base)
    rows = read(base, tokenizer)
    if extended is not None:
        added = rows.task if config.add_tasks and isinstance(rows, TaskRows) else None
        config = extended.read_alike(config, added, tokenizer.model_max_length)
    config = with_lengths(config, rows.task, base)
    prepared = _prepared(config, rows, tokenizer)
    _check_processes(config, prepared, processes.num_processes)
    names = search.searched(config, prepared.task, config.has_plain_loss) if config.hpo else []
    model = _new_model(config, base, tokenizer, prepared, build)
    starts_untrained = not model.is_fine_tuned()
    if is_enct5(base) and starts_untrained:
        logger.info("the head is new: the base has none for these labels")
    ancestry = ancestry_of(config.base)
    if ancestry.trained_on is not None:
        logger.warning(
            f"the base was trained on {ancestry.trained_on}: figures on texts that it knows are too good; --eval takes "
            "new ones"
        )
    settings = resolve(config, prepared.task, model.config.d_model, len(prepared.train))
    on_main_process(lambda: remember(settings, out, resume, continues=checkpoint is not None))
    trials: list[dict[str, Any]] = []
    if config.hpo:
        found, trials = search.search(
            settings,
            names,
            prepared.task,
            lambda tried: _trial_trainer(
                tried, _new_model(tried, base, tokenizer, prepared, build), tokenizer, prepared, trainer_class
            ),
            out / CHECKPOINTS / search.JOURNAL,
        )
        # with what was found there is nothing to search for, should the written settings start another run
        settings = settings.model_copy(update={**found, "hpo": None})
        model = _new_model(config, base, tokenizer, prepared, build)
    trained: Any = lora.add_adapters(model) if config.lora else model
    _tell(settings, prepared, trained, processes.num_processes)
    trainer = build_trainer(
        trained, tokenizer, prepared, settings, starts_untrained=starts_untrained, trainer_class=trainer_class
    )
    if checkpoint is not None:
        logger.info(f"continuing from {checkpoint}")
    with disk_full_as_error(out, _MAKE_ROOM):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    # Measured as `enct5 evaluate` measures: by the model as it is saved, without the autocast of bfloat16 training.
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    if config.add_labels:
        adding_labels.settle(trained)
    model, adapter = lora.merge(trained) if config.lora else (gather_model(trained), None)
    finished = FinishedModel(model, adapter, tokenizer)
    course = Course(ancestry, trials, trainer.state, started, resume)
    with disk_full_as_error(out, _MAKE_ROOM):
        return on_main_process(lambda: conclude(finished, prepared, settings, course))


def _tell(settings: TrainConfig, prepared: TrainingData, model: Any, processes: int) -> None:
    """Log what is trained, and for how long."""
    epochs = f"{settings.epochs:g} epoch{'' if settings.epochs == 1 else 's'}"
    said = f"{epochs} of {prepared.train_texts} texts, learning rate {settings.learning_rate:.2g}, "
    said += f"{model.num_parameters() / 1e6:.1f}M parameters"
    if settings.lora or settings.freezes:
        said += f", {model.num_parameters(only_trainable=True) / 1e6:.2g}M trained"
    if settings.base == BUNDLED:
        said += ", from the bundled T5"
    if processes > 1:
        said += f", {processes} processes"
    logger.info(said)
    gpus = torch.cuda.device_count()
    if gpus > 1 and processes == 1:
        logger.warning(
            f"one of {gpus} GPUs is used; `torchrun --nproc-per-node {gpus} -m enct5.cli train ...` uses all of them"
        )


def _prepared(config: TrainConfig, rows: Rows | TaskRows, tokenizer: PreTrainedTokenizerBase) -> TrainingData:
    """The data, tokenised."""
    return prepare_tasks(config, rows, tokenizer) if isinstance(rows, TaskRows) else prepare(config, rows, tokenizer)


def _new_model(
    config: TrainConfig, base: str, tokenizer: PreTrainedTokenizerBase, prepared: TrainingData, build: Builder
) -> Any:
    """The model that training starts from."""
    if config.add_labels:
        return adding_labels.new_model(config, base, prepared)
    if isinstance(prepared, TasksData):
        model: Any = new_model_of_tasks(config, base, tokenizer, prepared, build)
    else:
        model = new_model(config, base, tokenizer, prepared, build)
    if config.freezes:
        freeze_encoder(model)
    return model


def _trial_trainer(
    tried: TrainConfig,
    model: EncT5ForClassification,
    tokenizer: PreTrainedTokenizerBase,
    prepared: TrainingData,
    trainer_class: type[EncT5Trainer],
) -> EncT5Trainer:
    """The trainer of a trial: as that of the run, but without checkpoints."""
    trained = lora.add_adapters(model) if tried.lora else model
    return build_trainer(trained, tokenizer, prepared, tried, keeps=False, trainer_class=trainer_class)


def _check(config: TrainConfig, processes: int) -> None:
    """Refuse LoRA and a search where they cannot be had."""
    if config.lora:
        require("peft", "peft", "--lora")
    for option in ("lora", "add_labels"):
        if getattr(config, option) and parse_flag_from_env("ACCELERATE_USE_FSDP"):
            raise EncT5Error(f"{config.option_of(option)} and FSDP do not go together; leave out one of them")
    trackers.check(config.report_to)
    if config.hpo:
        require("optuna", "hpo", "--hpo")
    if config.hpo and processes > 1:
        raise EncT5Error("--hpo searches in one process; start it without a launcher, then train with what it found")


def _check_processes(config: TrainConfig, prepared: TrainingData, processes: int) -> None:
    """Refuse batches that the processes cannot share."""
    if config.batch_size % processes:
        raise EncT5Error(f"--batch-size {config.batch_size} is no multiple of the {processes} processes that share it")
    if len(prepared.train) < processes:
        raise EncT5Error(f"{prepared.train_texts} texts are too few for {processes} processes; start fewer")
