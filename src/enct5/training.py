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
import torch
import transformers
from transformers import (
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainingArguments,
    set_seed,
)

from enct5 import __version__, data, model_card, report, run_folder
from enct5.assets import bundled_t5
from enct5.configuration_enct5 import EncT5Config
from enct5.conversion import PROMPTS, convert, start_prompts
from enct5.errors import EncT5Error
from enct5.loading import first_line, load_tokenizer
from enct5.modeling_enct5 import EncT5ForSequenceClassification
from enct5.predict import Predictor
from enct5.tasks import Task
from enct5.trainer import EncT5Trainer, Narrator, ProgressBar, bfloat16_on_gpu
from enct5.training_config import BUNDLED, TRAIN_CONFIG, TrainConfig

if TYPE_CHECKING:
    from datasets import Dataset

EVALUATIONS = 15  # a run, evenly spread; each writes a checkpoint
EVAL_BATCH_SIZE = 64
# Tensors whose shape follows from the labels; they may start anew where the base has others.
_MADE_FOR_LABELS = ("classifier.", "transformer.decoder.embed_tokens.")
# By default a run sees about so many texts: 30 epochs of small data, 3 of large.
_TEXTS_SEEN, _FEWEST_EPOCHS, _MOST_EPOCHS = 60_000, 3, 30


@dataclass
class _Prepared:
    """Tokenised data and what is known about it."""

    task: Task
    label_names: list[str]
    counts: dict[str, int]
    train: "Dataset"
    evaluation: "Dataset"  # longest first
    evaluation_texts: list[dict[str, Any]]  # the raw rows, in the order of `evaluation`
    split: str
    texts_cut: int


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
    base = str(bundled_t5()) if config.base == BUNDLED else config.base
    tokenizer = load_tokenizer(base)
    prepared = prepare(config, tokenizer, say)
    set_seed(config.seed)
    model = build_model(base, prepared.task, prepared.label_names)
    settings = _resolve(config, model.config.d_model, len(prepared.train))
    checkpoint = run_folder.claim(out, resume)
    _remember(settings, out, resume)
    say(
        f"{settings.epochs:g} epochs of {len(prepared.train)} texts, learning rate {settings.learning_rate:.2g}, "
        f"{model.num_parameters() / 1e6:.1f}M parameters"
    )

    trainer = build_trainer(model, tokenizer, prepared, settings, say)
    if checkpoint is not None:
        say(f"continuing from {checkpoint}")
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    # Measured as `enct5 evaluate` measures: by the model as it is saved, without the autocast of bfloat16 training.
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    tokenizer.model_max_length = config.max_length  # what a pipeline with truncation=True cuts to
    texts = [tuple(row.values()) for row in prepared.evaluation_texts]
    logits = Predictor(model, tokenizer).logits([parts[0] if len(parts) == 1 else parts for parts in texts])
    labels = np.array(prepared.evaluation["labels"][:])

    record = {
        "task": prepared.task.name,
        "data": {
            "file": Path(config.data).name,
            "sha256": _digest(config.data),
            "text": list(config.text),
            "label": config.label,
            "train_rows": len(prepared.train),
            "eval_rows": len(prepared.evaluation),
            "eval_split": prepared.split,
            "class_counts": prepared.counts,
            "texts_cut": prepared.texts_cut,
            "tokens": _lengths(prepared),
        },
        "metrics": prepared.task.metrics(logits, labels, prepared.label_names),
        "per_label": prepared.task.per_label(logits, labels, prepared.label_names),
        "base": Path(config.base).name if Path(config.base).exists() else config.base,
        "parameters": model.num_parameters(),
        "seed": config.seed,
        "steps": trainer.state.global_step,
        "best_step": trainer.state.best_global_step,
        "seconds": round(time.time() - started, 1),
        "history": trainer.state.log_history,
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
        settings.write(folder / TRAIN_CONFIG)
        (folder / run_folder.METRICS).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        model_card.write(record, folder)
        report.write(record, settings, prepared.task, prepared.evaluation_texts, logits, labels, folder)
    run_folder.finish(out)
    return record


def prepare(config: TrainConfig, tokenizer: PreTrainedTokenizerBase, say: Callable[[str], None]) -> _Prepared:
    """Read, check, split and tokenise the data of a run."""
    table = data.read_table(config.data)
    data.check_columns(table, config.data, config.text, config.label, config.label_separator)
    task = data.infer_task(table, config.label, config.task, config.label_separator)
    values = data.label_values(table, config.label, task, config.label_separator)
    names = data.label_names(values, task)
    counts = data.class_counts(values, task)
    say(f"task: {task.description}, {len(names)} {'label' if len(names) == 1 else 'labels'}, {len(table)} texts")
    if counts:
        say("texts a label: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    if config.eval is None:
        table, held_out = data.split_held_out(table, task.strata(values), config.eval_fraction, config.seed)
        split = f"{len(held_out)} rows held out of {Path(config.data).name} (stratified, seed {config.seed})"
        say(f"evaluation: {split}")
    else:
        held_out = data.read_table(config.eval)
        data.check_columns(held_out, config.eval, config.text, config.label, config.label_separator)
        split = Path(config.eval).name
    label2id = {name: index for index, name in enumerate(names)}
    datasets, cut = [], 0
    for part in (table, held_out):
        labels = task.encode(data.label_values(part, config.label, task, config.label_separator), label2id)
        dataset, part_cut = data.tokenize(part, tokenizer, config.text, config.max_length, labels)
        datasets.append(dataset)
        cut += part_cut
    if cut:
        say(f"{cut} texts are longer than {config.max_length} tokens and were cut (--max-length)")
    order = sorted(range(len(held_out)), key=lambda row: -datasets[1]["length"][row])
    rows = held_out.select(order).select_columns(list(config.text)).to_list()
    return _Prepared(task, names, counts, datasets[0], datasets[1].select(order), rows, split, cut)


def _lengths(prepared: _Prepared) -> dict[str, int]:
    """Tokens of the texts of both splits, as they were kept."""
    lengths = np.concatenate([part["length"][:] for part in (prepared.train, prepared.evaluation)])
    return {
        "median": int(np.median(lengths)),
        "percentile_95": int(np.percentile(lengths, 95, method="higher")),
        "longest": int(lengths.max()),
    }


def build_model(base: str, task: Task, label_names: list[str]) -> EncT5ForSequenceClassification:
    """A model for the labels: converted from T5, or an EncT5 checkpoint with a head that fits."""
    id2label = dict(enumerate(label_names))
    try:
        stored, _ = EncT5Config.get_config_dict(base)
    except OSError:
        stored = {}  # `convert` says what is wrong with the folder
    if stored.get("model_type") != EncT5Config.model_type:
        return convert(base, problem_type=task.name, id2label=id2label).model
    same_task = stored.get("problem_type") == task.name
    values = {key: value for key, value in stored.items() if key not in ("num_labels", "decoder_vocab_size")}
    values |= {
        "problem_type": task.name,
        "id2label": id2label,
        "label2id": {name: index for index, name in id2label.items()},
        # New prompts come in no order that a position bias could stand for.
        "prompt_position_bias": same_task and stored.get("prompt_position_bias", True),
    }
    try:
        model, info = EncT5ForSequenceClassification.from_pretrained(
            base,
            config=EncT5Config.from_dict(values),
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises whatever the damage leads to
        raise EncT5Error(f"cannot load {base}: {first_line(error)}") from error
    drawn = [key if isinstance(key, str) else key[0] for key in (*info["missing_keys"], *info["mismatched_keys"])]
    damaged = sorted(name for name in drawn if not name.startswith(_MADE_FOR_LABELS))
    if damaged:
        raise EncT5Error(f"the weights of {base} lack {damaged[0]} or hold it in another shape; get the model again")
    if any(name == PROMPTS for name in drawn):
        start_prompts(model)
    return model


def _resolve(config: TrainConfig, d_model: int, rows: int) -> TrainConfig:
    """Fill in what follows from the data and the base model."""
    epochs = min(max(_TEXTS_SEEN / rows, _FEWEST_EPOCHS), _MOST_EPOCHS)
    resolved = {
        # Wider models want smaller steps: 1e-3 for the bundled T5 (256), 3e-4 for T5-base (768).
        "learning_rate": config.learning_rate or 0.25 / d_model,
        "epochs": config.epochs or float(round(epochs)),
        "precision": ("bfloat16" if bfloat16_on_gpu() else "float32")
        if config.precision == "auto"
        else config.precision,
    }
    return config.model_copy(update=resolved)


def _remember(settings: TrainConfig, out: Path, resume: bool) -> None:
    """Keep the settings beside the checkpoints; a resumed run must have the same."""
    path, digests = out / run_folder.CHECKPOINTS / TRAIN_CONFIG, out / run_folder.CHECKPOINTS / "data.sha256"
    read = " ".join(str(_digest(source)) for source in (settings.data, settings.eval) if source is not None)
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
    logits, labels = np.asarray(result.predictions), np.asarray(result.label_ids)
    if not np.isfinite(logits).all():
        raise EncT5Error(
            "training diverged: the model's outputs are no numbers any more; lower --learning-rate, or use "
            "--precision float32"
        )
    return prepared.task.metrics(logits, labels, prepared.label_names)


def build_trainer(
    model: EncT5ForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    prepared: _Prepared,
    settings: TrainConfig,
    say: Callable[[str], None],
) -> EncT5Trainer:
    """The HF Trainer of a run: evaluations, checkpoints, early stopping and the best model at the end."""
    task = prepared.task
    steps = math.ceil(max(1, round(len(prepared.train) / settings.batch_size)) * (settings.epochs or 1))
    interval = max(1, math.ceil(steps / EVALUATIONS))
    trainer = EncT5Trainer(
        model,
        TrainingArguments(
            output_dir=str(Path(settings.out) / run_folder.CHECKPOINTS),
            num_train_epochs=settings.epochs or 1,
            per_device_train_batch_size=settings.batch_size,
            per_device_eval_batch_size=EVAL_BATCH_SIZE,
            learning_rate=settings.learning_rate or 0.0,
            warmup_steps=settings.warmup,
            lr_scheduler_type="linear",
            weight_decay=settings.weight_decay,
            optim="adamw_torch_fused",
            bf16=settings.precision == "bfloat16",
            use_cpu=not torch.cuda.is_available(),
            eval_strategy="steps",
            eval_steps=interval,
            save_strategy="steps",
            save_steps=interval,
            save_total_limit=2,
            load_best_model_at_end=True,
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
        data_collator=DataCollatorWithPadding(tokenizer),
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
