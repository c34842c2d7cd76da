"""Fine-tune an EncT5 model on a file of labelled texts: data in, run folder out."""

import json
import math
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from accelerate.utils import parse_flag_from_env
from transformers import (
    EvalPrediction,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerState,
    TrainingArguments,
)

from enct5 import adapters, model_card, progress, report, run_folder, search
from enct5.assets import BUNDLED, bundled_t5
from enct5.calibration import expected_calibration_error
from enct5.digests import digest, digests_of_tokenizer, digests_of_weights
from enct5.early_stopping import EarlyStopping
from enct5.errors import EncT5Error, require
from enct5.loading import load_tokenizer
from enct5.modeling_enct5 import EncT5ForClassification
from enct5.predict import Predictor
from enct5.presets import resolve
from enct5.processes import agreed, process_state, whole_model
from enct5.rescaling import rescale_outputs
from enct5.resuming import remember
from enct5.starting_model import is_enct5, new_model
from enct5.trainer import EncT5Trainer, Narrator, Progress
from enct5.training_config import TRAIN_CONFIG, TrainConfig
from enct5.training_data import Prepared, Rows, as_columns, prepare, read_rows
from enct5.version import __version__
from enct5.writing import atomic_folder, told_when_full

if TYPE_CHECKING:
    from peft import PeftModel

EVALUATIONS = 15  # a run, evenly spread; each writes a checkpoint
EVAL_BATCH_SIZE = 64  # at most: the trainer runs as many rows at once as fit in a training batch
# With fewer evaluation texts than this, their score picks a checkpoint by chance, and often an early one.
FEWEST_TO_CHOOSE_BY = 50
Reader = Callable[[str, PreTrainedTokenizerBase, Callable[[str], None]], Rows]
_MAKE_ROOM = "make room, and the same command with --resume goes on from the last checkpoint"


def train(
    config: TrainConfig, resume: bool = False, say: Callable[[str], None] = print, rows: Rows | None = None
) -> dict[str, Any]:
    """Fine-tune a model and write its run folder.

    Args:
        config: the run's settings.
        resume: continue the interrupted run in `config.out`.
        say: called with every line of progress.
        rows: its data, where they have been read already (`training_data.read_rows`).

    Returns:
        The run's record, as in the folder's metrics.json.

    Raises:
        EncT5Error: for data, settings or a base model that cannot be used.
    """
    return train_on(lambda base, tokenizer, say: rows or read_rows(config, say), config, resume, say)


def train_on(read: Reader, config: TrainConfig, resume: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Like `train`, on rows that are read once the run folder is this run's.

    Args:
        read: from the base (folder or hub id), its tokenizer and what is called with every line of progress to the
            rows; a process that is not the main one calls it, too.
        config: as for `train`.
        resume: likewise.
        say: likewise.
    """
    with ExitStack() as held:  # the run folder, until the run ends in any way
        return _train(config, resume, say, read, held)


def _train(
    config: TrainConfig, resume: bool, say: Callable[[str], None], read: Reader, held: ExitStack
) -> dict[str, Any]:
    out = Path(config.out)
    started = time.time()
    processes = process_state()
    if not processes.is_main_process:
        say = _say_nothing
    _check_extras(config, processes.num_processes)
    checkpoint = agreed(lambda: held.enter_context(run_folder.claim(out, resume, say)))
    base = str(bundled_t5()) if config.base == BUNDLED else config.base
    tokenizer = load_tokenizer(base)
    prepared = prepare(config, read(base, tokenizer, say), tokenizer, say)
    _check_processes(config, prepared, processes.num_processes)
    names = search.searched(config, prepared.task, config.has_plain_loss) if config.hpo else []
    model = new_model(config, base, tokenizer, prepared)
    starts_untrained = not model.is_fine_tuned()
    if is_enct5(base) and starts_untrained:
        say("the head is new: the base has none for these labels")
    ancestry = run_folder.ancestry(config.base)
    if ancestry.trained_on is not None:
        say(
            f"the base was trained on {ancestry.trained_on}: figures on texts that it knows are too good; --eval takes "
            "new ones"
        )
    settings = resolve(config, prepared.task, model.config.d_model, len(prepared.train))
    agreed(lambda: remember(settings, out, resume, continues=checkpoint is not None))
    trials: list[dict[str, Any]] = []
    if config.hpo:
        found, trials = search.search(
            settings,
            names,
            prepared.task,
            lambda tried: _trial_trainer(tried, base, tokenizer, prepared),
            out / run_folder.CHECKPOINTS / search.JOURNAL,
            say,
        )
        settings, model = settings.model_copy(update=found), new_model(config, base, tokenizer, prepared)
    epochs = f"{settings.epochs:g} epoch{'' if settings.epochs == 1 else 's'}"
    said = f"{epochs} of {prepared.train_texts} texts, learning rate {settings.learning_rate:.2g}, "
    said += f"{model.num_parameters() / 1e6:.1f}M parameters"
    trained: Any = adapters.add_adapters(model) if config.lora else model
    if config.lora:
        said += f", {trained.num_parameters(only_trainable=True) / 1e6:.2g}M trained"
    if config.base == BUNDLED:
        said += ", from the bundled T5"
    if processes.num_processes > 1:
        said += f", {processes.num_processes} processes"
    say(said)
    gpus = torch.cuda.device_count()
    if gpus > 1 and processes.num_processes == 1:
        say(f"one of {gpus} GPUs is used; `torchrun --nproc-per-node {gpus} -m enct5.cli train ...` uses all of them")

    trainer = build_trainer(trained, tokenizer, prepared, settings, say, starts_untrained=starts_untrained)
    if checkpoint is not None:
        say(f"continuing from {checkpoint}")
    with told_when_full(out, _MAKE_ROOM):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    # Measured as `enct5 evaluate` measures: by the model as it is saved, without the autocast of bfloat16 training.
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    model, adapter = adapters.merge(trained) if config.lora else (whole_model(trained), None)
    course = _Course(ancestry, trials, trainer.state, started, resume)
    with told_when_full(out, _MAKE_ROOM):
        return agreed(lambda: _conclude(model, adapter, tokenizer, prepared, settings, course, say))


def _checkpointing(wanted: bool) -> dict[str, Any]:
    """The training arguments for it, which are called `gradient_checkpointing` before transformers 5.23."""
    known = {field.name for field in fields(TrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    return {name: wanted, f"{name}_kwargs": {"use_reentrant": False}}


def _trial_trainer(
    tried: TrainConfig, base: str, tokenizer: PreTrainedTokenizerBase, prepared: Prepared
) -> EncT5Trainer:
    """The trainer of a trial: as that of the run, but silent and without checkpoints."""
    model = new_model(tried, base, tokenizer, prepared)
    trained = adapters.add_adapters(model) if tried.lora else model
    return build_trainer(trained, tokenizer, prepared, tried, _say_nothing, keeps=False)


def _say_nothing(line: str) -> None:
    """What trials and processes other than the main one say."""


def _check_extras(config: TrainConfig, processes: int) -> None:
    """Refuse LoRA and a search where they cannot be had."""
    if config.lora:
        require("peft", "peft", "--lora")
    if config.lora and parse_flag_from_env("ACCELERATE_USE_FSDP"):
        raise EncT5Error("--lora and FSDP do not go together; leave out one of them")
    if config.hpo:
        require("optuna", "hpo", "--hpo")
    if config.hpo and processes > 1:
        raise EncT5Error("--hpo searches in one process; start it without a launcher, then train with what it found")


@dataclass(frozen=True)
class _Course:
    """How a run went, for its record.

    Attributes:
        ancestry: where its base comes from.
        trials: those of its search.
        state: the trainer's at the end.
        started: when it started, in seconds of `time.time`.
        resumed: whether it went on from where it had been interrupted.
    """

    ancestry: run_folder.Ancestry
    trials: list[dict[str, Any]]
    state: TrainerState
    started: float
    resumed: bool

    def record(self) -> dict[str, Any]:
        """What is recorded of it, up to now."""
        return {
            "steps": self.state.global_step,
            "best_step": self.state.best_global_step,
            "seconds": round(time.time() - self.started, 1),
            "resumed": self.resumed,
            "history": self.state.log_history,
            **({"trials": self.trials} if self.trials else {}),
        }


def _conclude(
    model: EncT5ForClassification,
    adapter: adapters.Adapter | None,
    tokenizer: PreTrainedTokenizerBase,
    prepared: Prepared,
    settings: TrainConfig,
    course: _Course,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Finish the trained model, measure it, and write the run folder; return the run's record."""
    out = Path(settings.out)
    tokenizer.model_max_length = settings.max_length  # what a pipeline with truncation=True cuts to
    texts = [tuple(row.values()) for row in prepared.evaluation_texts]
    if prepared.scaler is not None:
        rescale_outputs(model, prepared.scaler.scale_, prepared.scaler.mean_)
    predictor = Predictor(model, tokenizer)
    predictor.warns_of_unknown = False  # it was told of these texts
    with progress.bar("evaluating", total=len(texts)):
        logits = predictor.logits([parts[0] if len(parts) == 1 else parts for parts in texts])
    labels = prepared.evaluation_labels
    calibration: dict[str, Any] = {}
    if prepared.task.fit_temperature is not None:
        scores = None if prepared.teaching is None else prepared.teaching.scores_to_match
        logits, calibration = _calibrate(model, prepared.task.fit_temperature, logits, labels, scores, say)
    if prepared.task.tune is not None:
        model.config.thresholds = prepared.task.tune(logits, labels)
        say("thresholds tuned on the evaluation rows; the figures there with them are optimistic")
    thresholds = model.config.thresholds

    record = {
        "task": prepared.task.name,
        "data": {
            "file": Path(settings.data).name,
            "sha256": digest(settings.data),
            "text": list(settings.text),
            "label": settings.label,
            "train_rows": prepared.train_texts,
            "eval_rows": len(prepared.evaluation_texts),
            "eval_file": None if settings.eval is None else Path(settings.eval).name,
            "eval_split": prepared.split,
            "eval_texts_in_training": prepared.shared_texts,
            "class_counts": prepared.counts,
            "texts_cut": prepared.texts_cut,
            "unread": {
                "training": prepared.unread.record(),
                "evaluation": prepared.evaluation_inputs.unread.record(),
            },
            "notes": prepared.notes,
            "tokens": prepared.lengths(),
        },
        "metrics": prepared.task.metrics(logits, labels, prepared.label_names, thresholds),
        "per_label": prepared.task.per_label(logits, labels, prepared.label_names, thresholds),
        **calibration,
        **({} if prepared.teaching is None else {"distillation": prepared.teaching.record(logits, thresholds)}),
        "base": run_folder.public_name(settings.base),
        "origin": course.ancestry.origin,
        "base_trained_on": course.ancestry.trained_on,
        "parameters": model.num_parameters(),
        "seed": settings.seed,
        **course.record(),
        "versions": {
            "enct5": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
    }
    with atomic_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        record["weights_sha256"] = digests_of_weights(folder)
        record["tokenizer_sha256"] = digests_of_tokenizer(folder)
        if adapter is not None:
            adapter.write(folder / adapters.ADAPTER, record["base"])
        published = settings.published()
        published.write(folder / TRAIN_CONFIG)
        (folder / run_folder.METRICS).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        model_card.write(record, folder)
        report.write(record, published.described(), prepared.task, prepared.evaluation_texts, logits, labels, folder)
    run_folder.finish(out)
    return record


def _calibrate(
    model: EncT5ForClassification,
    fit_temperature: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float],
    logits: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    scores: npt.NDArray[Any] | None,
    say: Callable[[str], None],
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Divide the model's logits by the temperature that calibrates these; return them so, and what is recorded.

    Where there are scores (of a teacher, which are no ones and zeros) it is they that are matched, and not the labels:
    the teacher's decisions are not the truth, of which a calibration error could be told.
    """
    temperature = fit_temperature(logits, labels if scores is None else scores)
    rescale_outputs(model, 1 / temperature)
    if scores is not None:
        say(f"temperature {temperature:.3f} (fitted on the evaluation texts to the teacher's scores)")
        return logits / temperature, {"temperature": temperature}
    before, logits = expected_calibration_error(logits, labels), logits / temperature
    after = expected_calibration_error(logits, labels)
    say(
        f"temperature {temperature:.3f} (fitted on the evaluation texts): expected calibration error {before:.4f} -> "
        f"{after:.4f}"
    )
    return logits, {"temperature": temperature, "expected_calibration_error": {"before": before, "after": after}}


def _check_processes(config: TrainConfig, prepared: Prepared, processes: int) -> None:
    """Refuse batches that the processes cannot share."""
    if config.batch_size % processes:
        raise EncT5Error(f"--batch-size {config.batch_size} is no multiple of the {processes} processes that share it")
    if len(prepared.train) < processes:
        raise EncT5Error(f"{prepared.train_texts} texts are too few for {processes} processes; start fewer")


def _measure(prepared: Prepared, result: EvalPrediction) -> dict[str, float]:
    """The task's figures; a model that diverged has none."""
    rows = np.asarray(result.predictions)
    if not np.isfinite(rows).all():
        raise EncT5Error(
            "training diverged: the model's outputs are no numbers any more; lower --learning-rate, or use "
            "--precision float32"
        )
    in_order = [rows[place] for place in np.argsort(prepared.evaluation_order)]
    logits: Any = prepared.evaluation_inputs.outputs(in_order, len(prepared.label_names))
    if prepared.scaler is not None:
        logits = prepared.scaler.inverse_transform(as_columns(logits))
    # Without thresholds: tuned anew for every checkpoint they would favour the one they happen to suit.
    return prepared.task.metrics(logits, prepared.evaluation_labels, prepared.label_names, None)


def build_trainer(
    model: "EncT5ForClassification | PeftModel",
    tokenizer: PreTrainedTokenizerBase,
    prepared: Prepared,
    settings: TrainConfig,
    say: Callable[[str], None],
    keeps: bool = True,
    starts_untrained: bool = True,
) -> EncT5Trainer:
    """The HF Trainer of a run: evaluations, checkpoints, early stopping and the best model at the end.

    With fewer evaluation texts than `FEWEST_TO_CHOOSE_BY` it does not stop early, and ends with the last weights.

    Args:
        model: the model, which may have adapters.
        tokenizer: its tokenizer.
        prepared: the run's data.
        settings: the run's settings, resolved.
        say: called with every line of progress.
        keeps: whether it writes checkpoints, from which the best model is loaded at the end.
        starts_untrained: whether the model's head is new.
    """
    task = prepared.task
    steps = math.ceil(max(1, round(len(prepared.train) / settings.batch_size)) * (settings.epochs or 1))
    interval = max(1, math.ceil(steps / EVALUATIONS))
    texts = len(prepared.evaluation_texts)
    if not (chooses := texts >= FEWEST_TO_CHOOSE_BY):
        say(f"{texts} evaluation texts are too few to choose by: no early stopping, the last weights are the result")
    trainer = EncT5Trainer(
        model,
        TrainingArguments(
            output_dir=str(Path(settings.out) / run_folder.CHECKPOINTS),
            num_train_epochs=settings.epochs or 1,
            per_device_train_batch_size=settings.batch_size // process_state().num_processes,
            per_device_eval_batch_size=EVAL_BATCH_SIZE,
            learning_rate=settings.learning_rate or 0.0,
            # the first step of a rise has a rate of 0: an only step would train nothing
            warmup_steps=settings.warmup if steps > 1 else 0,
            lr_scheduler_type="linear",
            weight_decay=settings.weight_decay,
            label_smoothing_factor=settings.label_smoothing or 0.0,
            bf16=settings.precision == "bfloat16",
            **_checkpointing(settings.gradient_checkpointing),
            use_cpu=not torch.cuda.is_available(),
            ddp_find_unused_parameters=False,  # all are used, and looking for them takes time
            eval_strategy="steps",
            eval_steps=interval,
            save_strategy="steps" if keeps else "no",
            save_steps=interval,
            save_total_limit=2,
            load_best_model_at_end=keeps and chooses,
            metric_for_best_model=task.metric_for_best_model if chooses else None,
            greater_is_better=task.greater_is_better,
            logging_steps=max(1, interval // 4),
            logging_nan_inf_filter=False,  # it would hide a loss that is not a number
            label_names=["labels"],
            seed=settings.seed,
            report_to=[],
            disable_tqdm=True,  # our own bar says less
        ),
        train_dataset=prepared.train,
        eval_dataset=prepared.evaluation,
        data_collator=prepared.evaluation_inputs.collator(tokenizer),
        loss=None if prepared.teaching is None else prepared.teaching.loss,
        compute_metrics=lambda result: _measure(prepared, result),
        callbacks=[
            Progress(),
            Narrator(say, task.metric_for_best_model, starts_untrained),
            *([EarlyStopping(settings.patience, say)] if chooses else []),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
