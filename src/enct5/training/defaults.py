"""Settings that follow from the task, the size of the data, the size of the base model and the GPU."""

import torch

from enct5.errors import EncT5Error
from enct5.tasks.base import Task
from enct5.training.config import TrainConfig
from enct5.training.model_init import is_enct5, stored_config

# Up to 900 texts take 20 epochs; eight times the data takes a quarter of the epochs, so twice the steps.
_FEW_TEXTS, _FEWEST_EPOCHS, _MOST_EPOCHS = 900, 3, 20
_FEWEST_STEPS = 250  # so a handful of texts takes more epochs than that
# The peak rate up to this width; the wider, the smaller (T5-base: 0.0019; T5's authors fine-tuned at 0.001).
_LEARNING_RATE, _NARROW = 0.01, 256
_LABEL_SMOOTHING = 0.1
# Tokens that are read of a text: in windows as many as memory grows with slowly, and else what its square allows.
_WINDOW, _MOST_TOKENS, _MOST_TOKENS_AT_ONCE = 512, 4096, 512


def bfloat16_on_gpu() -> bool:
    """Whether there is a GPU that computes in bfloat16.

    A CPU may have it, too, but its kernels are compiled anew for every shape of a batch, which costs a small model more
    than they save.
    """
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def with_lengths(config: TrainConfig, task: Task, base: str) -> TrainConfig:
    """Fill in how much of a text is read, and how much of it at once.

    Args:
        config: the settings as given.
        task: what is learned.
        base: folder or hub id.

    Raises:
        EncT5Error: for windows of the encoder where tokens have labels.
    """
    if task.inputs.windowed:
        if config.window is not None:
            raise EncT5Error(
                "--window is for labels of whole texts; texts whose tokens have labels are read in windows of "
                "--max-length tokens; leave it out"
            )
        return config.model_copy(update={"max_length": config.max_length or _MOST_TOKENS_AT_ONCE})
    window = config.window
    if window is None:
        window = stored_config(base).get("encoder_window") or 0 if is_enct5(base) else _WINDOW
    most = config.max_length or (_MOST_TOKENS if window else _MOST_TOKENS_AT_ONCE)
    return config.model_copy(update={"window": window, "max_length": most})


def smoothing(config: TrainConfig, task: Task) -> float | None:
    """The label smoothing of a task, for which not every one has a use."""
    smooths = "label_smoothing" in task.options and config.label_smoothing is None
    return _LABEL_SMOOTHING * config.has_plain_loss if smooths else config.label_smoothing


def resolve(config: TrainConfig, task: Task, d_model: int, rows: int) -> TrainConfig:
    """Fill in what a user left open.

    Args:
        config: the settings as given.
        task: what is learned.
        d_model: width of the base model.
        rows: number of training rows.
    """
    epochs = min(max(_MOST_EPOCHS * (_FEW_TEXTS / rows) ** (2 / 3), _FEWEST_EPOCHS), _MOST_EPOCHS)
    epochs = max(epochs, _FEWEST_STEPS * config.batch_size / rows)
    resolved = {
        "learning_rate": config.learning_rate or _LEARNING_RATE * min(1.0, _NARROW / d_model) ** 1.5,
        "epochs": config.epochs or float(round(epochs)),
        "label_smoothing": smoothing(config, task),
        "precision": ("bfloat16" if bfloat16_on_gpu() else "float32")
        if config.precision == "auto"
        else config.precision,
    }
    return config.model_copy(update=resolved)
