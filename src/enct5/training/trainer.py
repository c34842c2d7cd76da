"""The HF Trainer as `enct5 train` uses it: batches of like length, steps relative to a tensor's size, plain words."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_pt_utils import nested_concat

from enct5 import progress
from enct5.errors import EncT5Error
from enct5.model.folder import CHECKPOINTS
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.training import trackers
from enct5.training.callbacks import EarlyStopping, Progress, ProgressCallback
from enct5.training.config import TrainConfig
from enct5.training.data import TrainingData
from enct5.training.dataset import lengths_of
from enct5.training.distributed import process_state
from enct5.training.freezing import FrozenParts
from enct5.training.optimizer import relative_adamw
from enct5.training.sampler import TokenBatchSampler
from enct5.training.starting_point import StartingPoint

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import PeftModel


logger = logging.getLogger(__name__)

# Arguments about how rows are loaded, as `DataLoader` calls them; some are newer than the oldest transformers allowed.
_LOADING = ("num_workers", "pin_memory", "persistent_workers", "multiprocessing_context", "prefetch_factor", "in_order")
# Arguments about which rows make a batch, with the only value that they may have.
_BATCHES = {"dataloader_drop_last": False, "auto_find_batch_size": False, "train_sampling_strategy": "random"}
# Tokens of a text for which a step has room: a step of longer ones is trained in parts, in no more memory.
ROOM_OF_A_TEXT = 512
EVALUATIONS = 15  # a run, evenly spread; each writes a checkpoint
EVAL_BATCH_SIZE = 64  # at most: the trainer runs as many rows at once as fit in a training batch
# With fewer evaluation texts than this, their score picks a checkpoint by chance, and often an early one.
FEWEST_TO_CHOOSE_BY = 50
FEWEST_TO_COMPARE_BY = 20  # two models: the one before training and the last


@contextmanager
def _without_cudnn_attention() -> Iterator[None]:
    """Attention on GPUs by torch's other kernels: cuDNN's plans every shape anew, and nearly every batch has its own.

    On an H100 (torch 2.11, six layers of width 256, 65,536 tokens in a batch) that was more than half of a step.
    """
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


class EncT5Trainer(Trainer):
    """`Trainer` with `TokenBatchSampler` for the training data (its dataset has a `length` column).

    A step's gradient is that of one process with the whole batch, however many processes share it. One process trains
    on one GPU, however many there are: the others need processes of their own (`torchrun`).

    An encoder that learns nothing (`requires_grad_(False)`) is in evaluation mode and reads every text once a training.

    A step of long texts is trained in parts, as many texts at once as have room where batches are of texts of 512
    tokens (`ROOM_OF_A_TEXT`), or one; their gradients add up to the step's. (Whole stay the parts of several processes,
    labels of tokens, whose texts are short, and the steps of subclasses with a `compute_loss` of their own.) An
    evaluation runs as many rows at once as training does: what can be trained can be evaluated.

    Args:
        model: as for `Trainer`.
        args: likewise.
        others: likewise.
        loss: from logits and `labels` to what is minimised, a mean over the texts (over the labelled tokens where
            tokens have labels, with -100 for none); by default the model's own loss.
        start_metric: a figure of the evaluation by which the model before training is the result where training makes
            nothing better; None where it never is, and with several processes.
        options: as for `Trainer`.

    Raises:
        EncT5Error: for arguments that ask for other batches.
    """

    def __init__(
        self,
        model: Any = None,
        args: TrainingArguments | None = None,
        *others: Any,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
        start_metric: str | None = None,
        **options: Any,
    ) -> None:
        args = args or TrainingArguments()
        for name, usual in _BATCHES.items():
            if (value := getattr(args, name, usual)) != usual:
                raise EncT5Error(
                    f"`{name}` is {value}, but EncT5Trainer makes batches of its own, of about equally many tokens; "
                    "leave it out"
                )
        args._n_gpu = min(args.n_gpu, 1)  # of several, torch's DataParallel would take all
        super().__init__(model, args, *others, **options)
        self.loss = loss
        self.start_metric = start_metric if args.world_size == 1 else None

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as ever, with a bar where the command shows one, and without cuDNN's attention."""
        self.__dict__.pop("_frozen", None)
        try:
            with _without_cudnn_attention(), progress.bar("training", total=0):
                start = StartingPoint(self, self.start_metric) if self.start_metric else None
                output = super().train(*args, **kwargs)
                if start is not None:
                    start.keep_if_better(self)
                return output
        finally:
            self.__dict__.pop("_frozen", None)  # whoever goes on with the model may change what is frozen

    @cached_property
    def _frozen(self) -> FrozenParts:
        """What does not learn in the present training."""
        elsewhere = self.is_fsdp_enabled or self.is_deepspeed_enabled  # whose weights are there for a whole pass only
        return FrozenParts(cast("torch.nn.Module", self.model), keeps=not elsewhere)

    def get_train_dataloader(self) -> DataLoader:
        """The training data in batches of about equally many tokens."""
        self.batch_sampler = self._sampler()
        rows: Any = cast("Dataset", self.train_dataset).select_columns(["input_ids", "labels"])
        given = {name: f"dataloader_{name}" for name in _LOADING if hasattr(self.args, f"dataloader_{name}")}
        loading: dict[str, Any] = {name: getattr(self.args, argument) for name, argument in given.items()}
        loader = DataLoader(rows, batch_sampler=self.batch_sampler, collate_fn=self.data_collator, **loading)
        even_batches, self.accelerator.even_batches = self.accelerator.even_batches, False  # there is no fixed size
        try:
            return self.accelerator.prepare(loader)
        finally:
            self.accelerator.even_batches = even_batches

    def _sampler(self) -> TokenBatchSampler:
        return TokenBatchSampler(
            lengths_of(cast("Dataset", self.train_dataset)),
            self.args.per_device_train_batch_size * self.args.world_size,
            seed=self.args.seed,
            parts=self.args.world_size,
        )

    @cached_property
    def _prompts(self) -> int:
        """What the decoder reads beside a text's tokens."""
        return getattr(getattr(self.model, "config", None), "num_prompts", 0)

    @cached_property
    def _room(self) -> float:
        """Tokens and prompts that a process trains at once: a batch of them, or its longest text alone."""
        if "length" not in (getattr(self.train_dataset, "column_names", None) or ()):
            return math.inf
        sampler = self._sampler()
        sizes = sampler.lengths + self._prompts
        return max(min(sizes.sum() / len(sampler), self._most_tokens + self._prompts), sizes.max())

    @property
    def _most_tokens(self) -> float:
        """Tokens, padding included, that are trained at once."""
        # Where processes share a model's weights, all have to run it equally often.
        return math.inf if self.args.world_size > 1 else self.args.per_device_train_batch_size * ROOM_OF_A_TEXT

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """A step, as many of its texts at a time as have room."""
        rows, length = inputs["input_ids"].shape
        most = int(max(1, min(rows, self._most_tokens // length)))
        is_own = type(self).compute_loss is EncT5Trainer.compute_loss  # whose losses of parts are known to add up
        if most == rows or _are_of_tokens(inputs) or not is_own:
            return super().training_step(model, inputs, num_items_in_batch)
        parts = [
            {name: value[first : first + most] for name, value in inputs.items()} for first in range(0, rows, most)
        ]
        losses = [super(EncT5Trainer, self).training_step(model, part, num_items_in_batch) for part in parts]
        return torch.stack(losses).sum()

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Any, Any, Any]:
        """A batch of an evaluation, as many rows at a time as have room."""
        # Of all processes: where they share a model's weights, all have to run it equally often.
        longest = self.accelerator.gather(torch.tensor(inputs["input_ids"].shape[1], device=self.args.device))
        rows = int(max(1, min(len(inputs["input_ids"]), self._room // (int(longest.max()) + self._prompts))))
        parts = [
            {name: value[first : first + rows] for name, value in inputs.items()}
            for first in range(0, len(inputs["input_ids"]), rows)
        ]
        step = super().prediction_step
        losses, logits, labels = zip(
            *(step(model, part, prediction_loss_only, ignore_keys) for part in parts), strict=True
        )
        return _mean(losses, [_counted(part) for part in parts]), _together(logits), _together(labels)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """An epoch, unless a resumed run had stopped early already: the HF Trainer looks only after a step."""
        if not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW with steps relative to each tensor's size; `learning_rate` is that relation."""
        if self.optimizer is None:
            trained = cast("torch.nn.Module", self.model if model is None else model)
            self.optimizer = relative_adamw(trained, self.args.learning_rate, self.args.weight_decay)
        return self.optimizer

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss; in training, scaled so that a text weighs the same in a batch of few and of many.

        The loss of token labels is a mean over tokens, of which batches hold about equally many: it stays as it is,
        but for the processes' parts of a batch, whose gradients are averaged: a token weighs the same in each.
        """
        if self.is_in_train:
            if model.training:
                self._frozen.settle()
            with self.accelerator.autocast():
                inputs = self._frozen.encoded(inputs)
        of_tokens, labels = _are_of_tokens(inputs), inputs["labels"]
        if self.loss is None:
            loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        else:
            outputs = model(**{name: tensor for name, tensor in inputs.items() if name != "labels"})
            loss = self.loss(outputs.logits, labels)
        if model.training and of_tokens:
            labelled = (labels != -100).sum().float()
            average = cast("torch.Tensor", self.accelerator.reduce(labelled, "mean"))
            loss = loss * (labelled / average.clamp(min=1 / self.args.world_size))  # 0 where no process has a label
        elif model.training:
            loss = loss * (len(inputs["input_ids"]) / self.batch_sampler.mean_rows)
        return (loss, outputs) if return_outputs else loss


def _are_of_tokens(inputs: dict[str, Any]) -> bool:
    """Whether each token of a text has a label."""
    labels = inputs["labels"]
    return labels.shape == inputs["input_ids"].shape and not labels.is_floating_point()


def _counted(inputs: dict[str, Any]) -> int:
    """What the loss of these rows is the mean of: texts, or tokens that have a label."""
    if "labels" in inputs and _are_of_tokens(inputs):
        return int((inputs["labels"] != -100).sum())
    return len(inputs["input_ids"])


def _mean(losses: Sequence[Any], counts: Sequence[int]) -> Any:
    """The loss of all rows, from those of its parts; one without anything to count has none."""
    counted = [(loss, count) for loss, count in zip(losses, counts, strict=True) if count]
    if len(losses) == 1 or losses[0] is None or not counted:
        return losses[0]
    return sum(loss * count for loss, count in counted) / sum(counts)


def _together(parts: Sequence[Any]) -> Any:
    return None if parts[0] is None else reduce(nested_concat, parts)


def _checkpointing(wanted: bool) -> dict[str, Any]:
    """The training arguments for it, which are called `gradient_checkpointing` before transformers 5.23."""
    known = {field.name for field in fields(TrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    return {name: wanted, f"{name}_kwargs": {"use_reentrant": False}}


def build_trainer(
    model: "EncT5ForClassification | PeftModel",
    tokenizer: PreTrainedTokenizerBase,
    prepared: TrainingData,
    settings: TrainConfig,
    keeps: bool = True,
    starts_untrained: bool = True,
    trainer_class: type[EncT5Trainer] = EncT5Trainer,
) -> EncT5Trainer:
    """The HF Trainer of a run: evaluations, checkpoints, early stopping and the best model at the end.

    With fewer evaluation texts than `FEWEST_TO_CHOOSE_BY` it does not stop early, and ends with the last weights.

    Args:
        model: the model, which may have adapters.
        tokenizer: its tokenizer.
        prepared: the run's data.
        settings: the run's settings, resolved.
        keeps: whether it writes checkpoints, from which the best model is loaded at the end.
        starts_untrained: whether the model's head is new.
        trainer_class: its class.
    """
    task = prepared.task
    steps = math.ceil(max(1, round(len(prepared.train) / settings.batch_size)) * (settings.epochs or 1))
    interval = max(1, math.ceil(steps / EVALUATIONS))
    texts = len(prepared.evaluation)
    if not (chooses := texts >= FEWEST_TO_CHOOSE_BY):
        logger.info(
            f"{texts} evaluation texts are too few to choose by: no early stopping, the last weights are the result"
        )
    starts_well = keeps and (not starts_untrained or task.fit_head is not None)
    reported = list(settings.report_to) if keeps else []
    trainer = trainer_class(
        model,
        TrainingArguments(
            output_dir=str(Path(settings.out) / CHECKPOINTS),
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
            report_to=reported,
            run_name=Path(settings.out).name,
            disable_tqdm=True,  # our own bar says less
        ),
        train_dataset=prepared.train,
        eval_dataset=prepared.evaluation.dataset,
        data_collator=prepared.evaluation.inputs.collator(tokenizer),
        loss=prepared.loss,
        start_metric=task.metric_for_best_model if starts_well and texts >= FEWEST_TO_COMPARE_BY else None,
        compute_metrics=lambda result: prepared.figures(result.predictions),
        callbacks=[
            Progress(),
            ProgressCallback(task.metric_for_best_model, starts_untrained),
            *([EarlyStopping(settings.patience)] if chooses else []),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    trackers.prepare(trainer, reported, Path(settings.out))
    return trainer
