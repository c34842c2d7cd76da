"""Fine-tune an EncT5 model on a file of labelled texts: data in, run folder out."""

import hashlib
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from accelerate.utils import parse_flag_from_env
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from enct5 import __version__, adapters, data, model_card, report, run_folder, search
from enct5.assets import bundled_t5
from enct5.calibration import expected_calibration_error
from enct5.configuration_enct5 import EncT5Config
from enct5.conversion import PROMPTS, convert, start_prompts
from enct5.errors import EncT5Error, require, show
from enct5.inputs import WholeTexts, Windows
from enct5.label_prompts import are_untrained, label_words, read_descriptions, start_from_words
from enct5.loading import first_line, load_tokenizer, model_class_of
from enct5.modeling_enct5 import EncT5ForClassification
from enct5.predict import Predictor
from enct5.processes import agreed, process_state, whole_model
from enct5.rescaling import rescale_outputs
from enct5.tasks import TASKS, Task
from enct5.trainer import EncT5Trainer, Narrator, ProgressBar, bfloat16_on_gpu
from enct5.training_config import BUNDLED, TRAIN_CONFIG, TrainConfig

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import PeftModel
    from sklearn.preprocessing import StandardScaler

EVALUATIONS = 15  # a run, evenly spread; each writes a checkpoint
EVAL_BATCH_SIZE = 64
# Tensors whose shape follows from the labels; they may start anew where the base has others.
_MADE_FOR_LABELS = ("classifier.", "transformer.decoder.embed_tokens.")
# What a base may have been trained with; the new run's settings decide.
_OF_A_RUN = ("token_decoder", "loss", "loss_gamma", "class_weights", "thresholds")
_MOST_LISTED, _MOST_COUNTS = 5, 200
# Up to 900 texts take 20 epochs; eight times the data takes a quarter of the epochs, so twice the steps.
_FEW_TEXTS, _FEWEST_EPOCHS, _MOST_EPOCHS = 900, 3, 20
# The peak rate up to this width; the wider, the smaller (T5-base: 0.0019; T5's authors fine-tuned at 0.001).
_LEARNING_RATE, _NARROW = 0.01, 256
_LABEL_SMOOTHING = 0.1
_MAKE_ROOM = "make room, and the same command with --resume goes on from the last checkpoint"


@dataclass
class _Prepared:
    """Tokenised data and what is known about it.

    Where the task's labels have a unit, those of `train` and `evaluation` are standardised by `scaler`.
    """

    task: Task
    label_names: list[str]
    counts: dict[str, int]
    scaler: "StandardScaler | None"
    train: "Dataset"
    train_texts: int
    evaluation: "Dataset"  # longest first
    evaluation_order: list[int]  # number of every row of `evaluation` in `evaluation_inputs`
    evaluation_inputs: WholeTexts | Windows
    evaluation_texts: list[dict[str, Any]]  # the raw rows
    evaluation_labels: Any  # of the raw rows, as the task encodes them, in the user's unit
    split: str
    texts_cut: int
    prompt_texts: list[str] | None  # what each label's new prompt starts from, instead of `<pad>`
    class_weights: list[float] | None


def train(config: TrainConfig, resume: bool = False, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Fine-tune a model and write its run folder.

    Args:
        config: the run's settings.
        resume: continue the interrupted run in `config.out`.
        say: called with every line of progress.

    Returns:
        The run's record, as in the folder's metrics.json.

    Raises:
        EncT5Error: for data, settings or a base model that cannot be used.
    """
    out = Path(config.out)
    started = time.time()
    processes = process_state()
    if not processes.is_main_process:
        say = _say_nothing
    _check_extras(config, processes.num_processes)
    base = str(bundled_t5()) if config.base == BUNDLED else config.base
    tokenizer = load_tokenizer(base)
    prepared = prepare(config, tokenizer, say)
    _check_processes(config, prepared, processes.num_processes)
    names = search.searched(config, prepared.task, _has_plain_loss(config)) if config.hpo else []
    model = _new_model(config, base, tokenizer, prepared)
    settings = resolve(config, prepared.task, model.config.d_model, len(prepared.train))
    checkpoint = agreed(lambda: _claim(settings, out, resume))
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
        settings, model = settings.model_copy(update=found), _new_model(config, base, tokenizer, prepared)
    said = f"{settings.epochs:g} epochs of {prepared.train_texts} texts, learning rate {settings.learning_rate:.2g}, "
    said += f"{model.num_parameters() / 1e6:.1f}M parameters"
    trained: Any = adapters.add_adapters(model) if config.lora else model
    if config.lora:
        said += f", {trained.num_parameters(only_trainable=True) / 1e6:.2g}M trained"
    if processes.num_processes > 1:
        said += f", {processes.num_processes} processes"
    say(said)

    trainer = build_trainer(trained, tokenizer, prepared, settings, say)
    if checkpoint is not None:
        say(f"continuing from {checkpoint}")
    with run_folder.told_when_full(out, _MAKE_ROOM):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    # Measured as `enct5 evaluate` measures: by the model as it is saved, without the autocast of bfloat16 training.
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    model, adapter = adapters.merge(trained) if config.lora else (whole_model(trained), None)
    with run_folder.told_when_full(out, _MAKE_ROOM):
        return agreed(
            lambda: _conclude(model, adapter, tokenizer, prepared, settings, trainer.state, trials, started, say)
        )


def _new_model(
    config: TrainConfig, base: str, tokenizer: PreTrainedTokenizerBase, prepared: _Prepared
) -> EncT5ForClassification:
    """The model that training starts from; always the same for the same seed."""
    set_seed(config.seed)
    model = build_model(
        base,
        prepared.task,
        prepared.label_names,
        prepared.scaler,
        loss=config.loss,
        class_weights=prepared.class_weights,
        token_decoder=config.token_decoder,
    )
    chosen = config.label_prompts is not None or config.label_descriptions is not None
    if prepared.prompt_texts is not None and (chosen or are_untrained(model)):
        start_from_words(model, tokenizer, prepared.prompt_texts)
    return model


def _trial_trainer(
    tried: TrainConfig, base: str, tokenizer: PreTrainedTokenizerBase, prepared: _Prepared
) -> EncT5Trainer:
    """The trainer of a trial: as that of the run, but silent and without checkpoints."""
    model = _new_model(tried, base, tokenizer, prepared)
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


def _claim(settings: TrainConfig, out: Path, resume: bool) -> Path | None:
    """Make the run folder this run's; return the checkpoint to continue from."""
    checkpoint = run_folder.claim(out, resume)
    _remember(settings, out, resume)
    return checkpoint


def _conclude(
    model: EncT5ForClassification,
    adapter: adapters.Adapter | None,
    tokenizer: PreTrainedTokenizerBase,
    prepared: _Prepared,
    settings: TrainConfig,
    state: TrainerState,
    trials: list[dict[str, Any]],
    started: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Finish the trained model, measure it, and write the run folder; return the run's record."""
    out = Path(settings.out)
    tokenizer.model_max_length = settings.max_length  # what a pipeline with truncation=True cuts to
    texts = [tuple(row.values()) for row in prepared.evaluation_texts]
    if prepared.scaler is not None:
        rescale_outputs(model, prepared.scaler.scale_, prepared.scaler.mean_)
    logits = Predictor(model, tokenizer).logits([parts[0] if len(parts) == 1 else parts for parts in texts])
    labels = prepared.evaluation_labels
    calibration: dict[str, Any] = {}
    if prepared.task.fit_temperature is not None:
        logits, calibration = _calibrate(model, prepared.task.fit_temperature, logits, labels, say)
    if prepared.task.tune is not None:
        model.config.thresholds = prepared.task.tune(logits, labels)
        say("thresholds tuned on the evaluation rows; the figures there with them are optimistic")
    thresholds = model.config.thresholds

    record = {
        "task": prepared.task.name,
        "data": {
            "file": Path(settings.data).name,
            "sha256": _digest(settings.data),
            "text": list(settings.text),
            "label": settings.label,
            "train_rows": prepared.train_texts,
            "eval_rows": len(prepared.evaluation_texts),
            "eval_split": prepared.split,
            "class_counts": prepared.counts,
            "texts_cut": prepared.texts_cut,
            "tokens": _lengths(prepared),
        },
        "metrics": prepared.task.metrics(logits, labels, prepared.label_names, thresholds),
        "per_label": prepared.task.per_label(logits, labels, prepared.label_names, thresholds),
        **calibration,
        "base": Path(settings.base).name if Path(settings.base).exists() else settings.base,
        "parameters": model.num_parameters(),
        "seed": settings.seed,
        "steps": state.global_step,
        "best_step": state.best_global_step,
        "seconds": round(time.time() - started, 1),
        "history": state.log_history,
        **({"trials": trials} if trials else {}),
        "versions": {
            "enct5": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
    }
    with run_folder.written_aside(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if adapter is not None:
            adapter.write(folder / adapters.ADAPTER, record["base"])
        settings.write(folder / TRAIN_CONFIG)
        (folder / run_folder.METRICS).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        model_card.write(record, folder)
        report.write(record, settings, prepared.task, prepared.evaluation_texts, logits, labels, folder)
    run_folder.finish(out)
    return record


def prepare(config: TrainConfig, tokenizer: PreTrainedTokenizerBase, say: Callable[[str], None]) -> _Prepared:
    """Read, check, split and tokenise the data of a run."""
    table = data.read_table(config.data)
    data.check_columns(table, config.data, config.text, config.label, config.label_separator, takes_words=True)
    task = data.infer_task(table, config.label, config.task, config.label_separator)
    _check_options(config, task)
    values = data.label_values(table, config.label, task, config.label_separator, config.text)
    names = data.label_names(values, task)
    prompt_texts = _prompt_texts(config, task, names, say)
    counts = data.class_counts(values, task)
    known = len(counts) or len(names)
    say(f"task: {task.description}, {known} {'label' if known == 1 else 'labels'}, {len(table)} texts")
    if counts:
        more = f" and {len(counts) - _MOST_COUNTS} more labels" if len(counts) > _MOST_COUNTS else ""
        listed = ", ".join(f"{name} {counts[name]}" for name in list(counts)[:_MOST_COUNTS])
        say(f"{task.counted} a label: {listed}{more}")
    if config.eval is None:
        table, held_out = data.split_held_out(table, task.strata(values), config.eval_fraction, config.seed)
        split = f"{len(held_out)} rows held out of {Path(config.data).name} (stratified, seed {config.seed})"
        say(f"evaluation: {split}")
    else:
        held_out = data.read_table(config.eval)
        data.check_columns(
            held_out, config.eval, config.text, config.label, config.label_separator, task.inputs.takes_words
        )
        split = Path(config.eval).name
    label2id = {name: index for index, name in enumerate(names)}
    train_labels, labels = (
        task.encode(data.label_values(part, config.label, task, config.label_separator, config.text), label2id)
        for part in (table, held_out)
    )
    scaler = None if task.fit_scaler is None else task.fit_scaler(train_labels)
    train_targets, targets = (
        values if scaler is None else scaler.transform(_columns(values)).astype(np.float32)
        for values in (train_labels, labels)
    )
    class_weights = None
    if config.class_weights is not None:
        if task.balance is None:
            raise EncT5Error(f"--class-weights is for classes of texts, this is {task.description}; leave it out")
        class_weights = task.balance(train_labels, len(names))
    train, long = data.tokenize(table, tokenizer, config.text, config.max_length, train_targets, task.inputs)
    inputs = task.inputs(data.read_texts(held_out, config.text), tokenizer, config.max_length)
    evaluation = data.as_dataset(inputs, targets)
    long += inputs.long
    if long:
        done = "are read in overlapping windows" if inputs.windowed else "were cut"
        say(f"{long} texts are longer than {config.max_length} tokens and {done} (--max-length)")
    lengths = evaluation["length"][:]
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    return _Prepared(
        task=task,
        label_names=names,
        counts=counts,
        scaler=scaler,
        train=train,
        train_texts=len(table),
        evaluation=evaluation.select(order),
        evaluation_order=order,
        evaluation_inputs=inputs,
        evaluation_texts=held_out.select_columns(list(config.text)).to_list(),
        evaluation_labels=labels,
        split=split,
        texts_cut=0 if inputs.windowed else long,
        prompt_texts=prompt_texts,
        class_weights=class_weights,
    )


def _lengths(prepared: _Prepared) -> dict[str, int]:
    """Tokens of the texts of both splits, as they were kept."""
    lengths = np.concatenate([part["length"][:] for part in (prepared.train, prepared.evaluation)])
    return {
        "median": int(np.median(lengths)),
        "percentile_95": int(np.percentile(lengths, 95, method="higher")),
        "longest": int(lengths.max()),
    }


def _has_plain_loss(config: TrainConfig) -> bool:
    return config.loss is None and config.class_weights is None


def _check_options(config: TrainConfig, task: Task) -> None:
    """Refuse settings that belong to another kind of task."""
    for other in TASKS.values():
        for name in set(other.options) - set(task.options):
            if getattr(config, name) != TrainConfig.model_fields[name].default:
                raise EncT5Error(
                    f"--{name.replace('_', '-')} goes with --task {other.alias}, not {task.alias}; leave it out"
                )
    if config.label_smoothing and not _has_plain_loss(config):
        raise EncT5Error(
            f"--label-smoothing {config.label_smoothing:g} goes with plain cross-entropy; leave it out, or --loss and "
            "--class-weights"
        )


def _check_processes(config: TrainConfig, prepared: _Prepared, processes: int) -> None:
    """Refuse batches that the processes cannot share."""
    if config.batch_size % processes:
        raise EncT5Error(f"--batch-size {config.batch_size} is no multiple of the {processes} processes that share it")
    if len(prepared.train) < processes:
        raise EncT5Error(f"{prepared.train_texts} texts are too few for {processes} processes; start fewer")


def _prompt_texts(config: TrainConfig, task: Task, names: list[str], say: Callable[[str], None]) -> list[str] | None:
    """What each label's prompt starts from; `None` for `<pad>`."""
    asked_for = config.label_descriptions is not None or config.label_prompts == "names"
    if not asked_for and (config.label_prompts == "pad" or not task.prompt_per_label):
        return None
    if not task.prompt_per_label:
        option = "--label-descriptions" if config.label_descriptions else "--label-prompts names"
        raise EncT5Error(
            f"{option} needs a prompt per label, as multi-label classification has; this is {task.description}, with "
            "one prompt for all: leave the option out"
        )
    if config.label_descriptions is not None:
        texts, unused = read_descriptions(config.label_descriptions, names)
        if unused:
            listed = ", ".join(show(name) for name in unused[:_MOST_LISTED])
            more = f" and {len(unused) - _MOST_LISTED} more" if len(unused) > _MOST_LISTED else ""
            say(f"{config.label_descriptions} also describes {listed}{more}, which the data does not have")
        return texts
    return [label_words(name) or name for name in names]


def _columns(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Numbers as a scaler takes them: a column for each target, and precise."""
    return values.reshape(len(values), -1).astype(np.float64)


def build_model(
    base: str,
    task: Task,
    label_names: list[str],
    scaler: "StandardScaler | None" = None,
    **overrides: Any,
) -> EncT5ForClassification:
    """A model for the labels: converted from T5, or an EncT5 checkpoint with a head that fits.

    Args:
        base: folder or hub id.
        task: what is to be learned.
        label_names: names of the outputs, in id order.
        scaler: what standardises the targets the model is to be trained on, where they have a unit.
        overrides: further keys of `EncT5Config`.

    Raises:
        EncT5Error: for a base that cannot be loaded or converted, or keys that do not fit the task.
    """
    id2label = dict(enumerate(label_names))
    try:
        stored, _ = EncT5Config.get_config_dict(base)
    except OSError:
        stored = {}  # `convert` says what is wrong with the folder
    if stored.get("model_type") != EncT5Config.model_type:
        return convert(base, problem_type=task.name, id2label=id2label, **overrides).model
    same_task = stored.get("problem_type") == task.name
    values = {
        key: value for key, value in stored.items() if key not in ("num_labels", "decoder_vocab_size", *_OF_A_RUN)
    }
    values |= {
        "problem_type": task.name,
        "id2label": id2label,
        "label2id": {name: index for index, name in id2label.items()},
        # New prompts of labels come in no order that a position bias could stand for.
        "prompt_position_bias": (same_task or not task.prompt_per_label) and stored.get("prompt_position_bias", True),
        **overrides,
    }
    try:
        config = EncT5Config.from_dict(values)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise EncT5Error(f"{first_line(error)} (base: {base})") from error
    try:
        model, info = model_class_of(config).from_pretrained(
            base,
            config=config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises whatever the damage leads to
        raise EncT5Error(f"cannot load {base}: {first_line(error)}") from error
    drawn = [key if isinstance(key, str) else key[0] for key in (*info["missing_keys"], *info["mismatched_keys"])]
    damaged = sorted(name for name in drawn if not name.startswith(_MADE_FOR_LABELS))
    if damaged and not EncT5Config.from_dict(stored).has_decoder:
        raise EncT5Error(f"{base} tags tokens without a decoder, which this task needs; start from its T5 instead")
    if damaged:
        raise EncT5Error(f"the weights of {base} lack {damaged[0]} or hold it in another shape; get the model again")
    if any(name == PROMPTS for name in drawn):
        start_prompts(model)
    if scaler is not None and same_task and model.is_fine_tuned():
        # It predicts in its user's unit: back into that of training, which these targets define.
        rescale_outputs(model, 1 / scaler.scale_, -scaler.mean_ / scaler.scale_)
    return model


def _calibrate(
    model: EncT5ForClassification,
    fit_temperature: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float],
    logits: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    say: Callable[[str], None],
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Divide the model's logits by the temperature that calibrates these; return them so, and what is recorded."""
    temperature = fit_temperature(logits, labels)
    rescale_outputs(model, 1 / temperature)
    before, logits = expected_calibration_error(logits, labels), logits / temperature
    after = expected_calibration_error(logits, labels)
    say(
        f"temperature {temperature:.3f} (fitted on the evaluation texts): expected calibration error {before:.4f} -> "
        f"{after:.4f}"
    )
    return logits, {"temperature": temperature, "expected_calibration_error": {"before": before, "after": after}}


def resolve(config: TrainConfig, task: Task, d_model: int, rows: int) -> TrainConfig:
    """Fill in what follows from the task, the data and the base model."""
    smooths = "label_smoothing" in task.options and config.label_smoothing is None
    epochs = min(max(_MOST_EPOCHS * (_FEW_TEXTS / rows) ** (2 / 3), _FEWEST_EPOCHS), _MOST_EPOCHS)
    resolved = {
        "learning_rate": config.learning_rate or _LEARNING_RATE * min(1.0, _NARROW / d_model) ** 1.5,
        "epochs": config.epochs or float(round(epochs)),
        "label_smoothing": _LABEL_SMOOTHING * _has_plain_loss(config) if smooths else config.label_smoothing,
        "precision": ("bfloat16" if bfloat16_on_gpu() else "float32")
        if config.precision == "auto"
        else config.precision,
    }
    return config.model_copy(update=resolved)


def _remember(settings: TrainConfig, out: Path, resume: bool) -> None:
    """Keep the settings beside the checkpoints; a resumed run must have the same."""
    path, digests = out / run_folder.CHECKPOINTS / TRAIN_CONFIG, out / run_folder.CHECKPOINTS / "data.sha256"
    sources = (settings.data, settings.eval, settings.label_descriptions)
    read = " ".join(str(_digest(source)) for source in sources if source is not None)
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


def _measure(prepared: _Prepared, result: EvalPrediction) -> dict[str, float]:
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
        logits = prepared.scaler.inverse_transform(_columns(logits))
    # Without thresholds: tuned anew for every checkpoint they would favour the one they happen to suit.
    return prepared.task.metrics(logits, prepared.evaluation_labels, prepared.label_names, None)


def build_trainer(
    model: "EncT5ForClassification | PeftModel",
    tokenizer: PreTrainedTokenizerBase,
    prepared: _Prepared,
    settings: TrainConfig,
    say: Callable[[str], None],
    keeps: bool = True,
) -> EncT5Trainer:
    """The HF Trainer of a run: evaluations, checkpoints, early stopping and the best model at the end.

    Args:
        model: the model, which may have adapters.
        tokenizer: its tokenizer.
        prepared: the run's data.
        settings: the run's settings, resolved.
        say: called with every line of progress.
        keeps: whether it writes checkpoints and ends with the best model.
    """
    task = prepared.task
    steps = math.ceil(max(1, round(len(prepared.train) / settings.batch_size)) * (settings.epochs or 1))
    interval = max(1, math.ceil(steps / EVALUATIONS))
    trainer = EncT5Trainer(
        model,
        TrainingArguments(
            output_dir=str(Path(settings.out) / run_folder.CHECKPOINTS),
            num_train_epochs=settings.epochs or 1,
            per_device_train_batch_size=settings.batch_size // process_state().num_processes,
            per_device_eval_batch_size=EVAL_BATCH_SIZE,
            learning_rate=settings.learning_rate or 0.0,
            warmup_steps=settings.warmup,
            lr_scheduler_type="linear",
            weight_decay=settings.weight_decay,
            label_smoothing_factor=settings.label_smoothing or 0.0,
            bf16=settings.precision == "bfloat16",
            activation_checkpointing=settings.gradient_checkpointing,
            activation_checkpointing_kwargs={"use_reentrant": False},
            use_cpu=not torch.cuda.is_available(),
            ddp_find_unused_parameters=False,  # all are used, and looking for them takes time
            eval_strategy="steps",
            eval_steps=interval,
            save_strategy="steps" if keeps else "no",
            save_steps=interval,
            save_total_limit=2,
            load_best_model_at_end=keeps,
            metric_for_best_model=task.metric_for_best_model,
            greater_is_better=task.greater_is_better,
            logging_steps=max(1, interval // 4),
            logging_nan_inf_filter=False,  # it would hide a loss that is not a number
            restore_callback_states_from_checkpoint=True,  # patience goes on where it was
            label_names=["labels"],
            seed=settings.seed,
            report_to=[],
            disable_tqdm=True,  # our own bar says less
        ),
        train_dataset=prepared.train,
        eval_dataset=prepared.evaluation,
        data_collator=prepared.evaluation_inputs.collator(tokenizer),
        compute_metrics=lambda result: _measure(prepared, result),
        callbacks=[
            Narrator(say, task.metric_for_best_model),
            EarlyStoppingCallback(early_stopping_patience=settings.patience),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    if sys.stderr.isatty():
        trainer.add_callback(ProgressBar)
    return trainer


def _digest(source: str) -> str | None:
    """SHA-256 of a data file; `None` for a hub data set."""
    path = Path(source)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
