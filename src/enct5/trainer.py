"""The HF Trainer as `enct5 train` uses it: batches of like length, steps relative to a tensor's size, plain words."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_pt_utils import nested_concat

from enct5 import progress
from enct5.batching import TokenBatchSampler
from enct5.errors import EncT5Error
from enct5.optimizer import relative_adamw

if TYPE_CHECKING:
    from datasets import Dataset

# Training is called flat when, over its second quarter, the loss has not fallen below this share of its start, nor has
# that of the evaluation since its first.
_FLAT = 0.98
_FEWEST_LOSSES = 3

# Arguments about how rows are loaded, as `DataLoader` calls them; some are newer than the oldest transformers allowed.
_LOADING = ("num_workers", "pin_memory", "persistent_workers", "multiprocessing_context", "prefetch_factor", "in_order")
# Arguments about which rows make a batch, with the only value that they may have.
_BATCHES = {"dataloader_drop_last": False, "auto_find_batch_size": False, "train_sampling_strategy": "random"}


class EncT5Trainer(Trainer):
    """`Trainer` with `TokenBatchSampler` for the training data (its dataset has a `length` column).

    A step's gradient is that of one process with the whole batch, however many processes share it. One process trains
    on one GPU, however many there are: the others need processes of their own (`torchrun`).

    An evaluation runs as many rows at once as training does: what can be trained can be evaluated.

    Args:
        model: as for `Trainer`.
        args: likewise.
        others: likewise.
        loss: from logits and `labels` to what is minimised, a mean over the texts (over the labelled tokens where
            tokens have labels, with -100 for none); by default the model's own loss.
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

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as ever, with a bar where the command shows one."""
        with progress.bar("training", total=0):
            return super().train(*args, **kwargs)

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
            cast("Dataset", self.train_dataset)["length"],
            self.args.per_device_train_batch_size * self.args.world_size,
            seed=self.args.seed,
            parts=self.args.world_size,
        )

    @cached_property
    def _prompts(self) -> int:
        """What the decoder reads beside a text's tokens."""
        return getattr(getattr(self.model, "config", None), "decoder_vocab_size", None) or 0

    @cached_property
    def _room(self) -> float:
        """Tokens and prompts that a process has in a training batch, or in one of its longest text alone."""
        if "length" not in (getattr(self.train_dataset, "column_names", None) or ()):
            return math.inf
        sampler = self._sampler()
        sizes = sampler.lengths + self._prompts
        return max(sizes.sum() / len(sampler), sizes.max())

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


class Narrator(TrainerCallback):
    """Says how training goes, and warns when it goes nowhere.

    Args:
        say: called with every line.
        metric: the figure to tell beside the losses.
        starts_untrained: whether there is something to learn; a model that is trained on may be as good as it gets.
    """

    def __init__(self, say: Any, metric: str, starts_untrained: bool = True) -> None:
        self.say, self.metric = say, metric
        self.losses: list[tuple[float, float]] = []
        self.evaluation_losses: list[float] = []
        self.warned_of_nan, self.judged = False, not starts_untrained

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take over what a resumed run logged before, so that its start is not where it was continued."""
        self.losses = [(entry["step"], float(entry["loss"])) for entry in state.log_history if "loss" in entry]
        self.evaluation_losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the training loss, and judge it once half the steps are done."""
        if logs is None or "loss" not in logs:
            return
        self.losses.append((state.global_step, float(logs["loss"])))
        if not math.isfinite(self.losses[-1][1]) and not self.warned_of_nan:
            self.warned_of_nan = True
            self.say("warning: the loss is not a number; lower --learning-rate, or use --precision float32")
        if self.judged or state.global_step < state.max_steps / 2:
            return
        self.judged = True
        # One batch's loss is mere chance, so a short run's start is the mean of a few, too.
        early = sum(step <= state.max_steps / 20 for step, _ in self.losses)
        start = [loss for _, loss in self.losses[: max(early, _FEWEST_LOSSES)]]
        later = [loss for step, loss in self.losses if step >= state.max_steps / 4]
        if any(loss < _FLAT * self.evaluation_losses[0] for loss in self.evaluation_losses):
            return
        if len(self.losses) >= 2 * _FEWEST_LOSSES and sum(later) / len(later) > _FLAT * sum(start) / len(start):
            self.say(
                f"warning: the loss is flat ({sum(start) / len(start):.3f} at the start, "
                f"{sum(later) / len(later):.3f} now): the model has learned next to nothing. Check that labels belong "
                "to their texts; try another --learning-rate, more --epochs, or a larger --base"
            )

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Print one line an evaluation."""
        if metrics is None or state.epoch is None:
            return
        self.evaluation_losses.append(metrics["eval_loss"])
        training = f"loss {self.losses[-1][1]:.3f}  " if self.losses else ""
        score = metrics.get(f"eval_{self.metric}", math.nan)
        self.say(f"epoch {state.epoch:5.1f}  {training}eval loss {metrics['eval_loss']:.3f}  {self.metric} {score:.4f}")


class Progress(TrainerCallback):
    """Moves the bar that `EncT5Trainer.train` shows."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *others: Any, **kwargs: Any) -> None:
        """Tell how many steps there are."""
        progress.describe("training", state.max_steps, state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, *others: Any, **kwargs: Any) -> None:
        """Move on."""
        progress.describe("training", completed=state.global_step)

    def on_prediction_step(self, *others: Any, **kwargs: Any) -> None:
        """Tell why there are no steps."""
        progress.describe("evaluating")


def bfloat16_on_gpu() -> bool:
    """Whether there is a GPU that computes in bfloat16.

    A CPU may have it, too, but its kernels are compiled anew for every shape of a batch, which costs a small model more
    than they save.
    """
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
