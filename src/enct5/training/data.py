"""The data of a training run: read, checked, split and encoded before torch is imported, then tokenised."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from enct5.assets import BUNDLED
from enct5.data import reading
from enct5.data.columns import check_columns
from enct5.data.data_file import ReadOptions
from enct5.data.locating import data_name
from enct5.data.notes import line
from enct5.data.shaping import with_labels
from enct5.errors import EncT5Error, shorten, show
from enct5.model.folder import public_name
from enct5.tasks.base import Task
from enct5.tasks.labelled import infer_task, notes_on_numbers, read_labelled
from enct5.tasks.notes import without_evaluation
from enct5.tasks.registry import TASKS
from enct5.tasks.unknown_labels import known_rows
from enct5.tokenization import unread
from enct5.tokenization.token_rows import lengths_of as lengths_of_rows
from enct5.tokenization.unread import Unread
from enct5.training.config import TrainConfig
from enct5.training.dataset import lengths_of, tokenize
from enct5.training.evaluation_set import EvaluationSet
from enct5.training.label_prompts import label_words, read_descriptions
from enct5.training.splitting import Split, split

if TYPE_CHECKING:
    from datasets import Dataset
    from sklearn.preprocessing import StandardScaler
    from transformers import PreTrainedTokenizerBase

    from enct5.training.known_labels import KnownLabels
    from enct5.training.teaching import Teaching

logger = logging.getLogger(__name__)

_MOST_LISTED, _MOST_COUNTS = 5, 200


@dataclass
class Rows:
    """The texts of a run, checked and split, with their labels as the task encodes them; nothing is tokenised yet.

    Where the task's labels have a unit, the targets are standardised by `scaler`.
    """

    task: Task
    label_names: list[str]
    counts: dict[str, int]
    scaler: "StandardScaler | None"
    split: Split
    targets: tuple[Any, Any]  # of the texts to train on, and of those held out
    labels: Any  # of those held out, in the user's unit
    prompt_texts: list[str] | None
    class_weights: list[float] | None
    notes: list[str]
    teaching: "Teaching | None" = None


@dataclass
class TrainingData:
    """Tokenised data and what is known about it.

    Where the task's labels have a unit, those of `train` and `evaluation` are standardised by `scaler`.
    """

    task: Task
    label_names: list[str]
    counts: dict[str, int]
    scaler: "StandardScaler | None"
    train: "Dataset"
    train_texts: int
    evaluation: EvaluationSet
    texts_cut: int
    notes: list[str]  # on the data, as in `enct5.data.notes`
    unread: Unread  # of the training texts; that of the evaluation is in its inputs
    prompt_texts: list[str] | None  # what each label's new prompt starts from, instead of `<pad>`
    class_weights: list[float] | None
    teaching: "Teaching | None" = None  # what is learned from a teacher

    @property
    def loss(self) -> "Callable[..., Any] | None":
        """What training minimises, instead of the model's own loss."""
        return None if self.teaching is None else self.teaching.loss

    def figures(self, predictions: Any) -> dict[str, float]:
        """The task's figures of a model's outputs for the rows of `evaluation`; one that diverged has none."""
        rows = np.asarray(predictions)
        refuse_diverged([rows])
        logits = self.evaluation.logits(rows, len(self.label_names))
        if self.scaler is not None:
            logits = self.scaler.inverse_transform(as_columns(logits))
        # Without thresholds: tuned anew for every checkpoint they would favour the one they happen to suit.
        return self.task.metrics(logits, self.evaluation.labels, self.label_names, None)

    def lengths(self) -> dict[str, int]:
        """Tokens of the texts of both splits, as they were kept."""
        lengths = np.concatenate([lengths_of(part) for part in (self.train, self.evaluation.dataset)])
        return {
            "median": int(np.median(lengths)),
            "percentile_95": int(np.percentile(lengths, 95, method="higher")),
            "longest": int(lengths.max()),
        }


def refuse_diverged(outputs: Iterable[npt.NDArray[Any]]) -> None:
    """Refuse outputs that are no numbers.

    Raises:
        EncT5Error: then.
    """
    if not all(np.isfinite(rows).all() for rows in outputs):
        raise EncT5Error(
            "training diverged: the model's outputs are no numbers any more; lower --learning-rate, or use "
            "--precision float32"
        )


def read_rows(config: TrainConfig, of_base: "KnownLabels | None" = None) -> Rows:
    """Read, check and split the data of a run, and log what was found.

    Args:
        config: the run's settings.
        of_base: the labels that others are added to, if any.

    Raises:
        EncT5Error: for data that cannot be used, or settings that do not suit it.
    """
    rows = checked_rows(config, of_base)
    texts = len(rows.split.train) + (len(rows.split.held_out) if config.eval is None else 0)
    known = len(rows.counts) or len(rows.label_names)
    logger.info(f"task: {rows.task.description}, {known} {'label' if known == 1 else 'labels'}, {texts} texts")
    log_counts(f"{rows.task.counted} a label", rows.counts)
    if config.eval is None:
        logger.info(f"evaluation: {rows.split.said}")
    return rows


def checked_rows(config: TrainConfig, of_base: "KnownLabels | None" = None) -> Rows:
    """Read, check and split the data of a run, as `read_rows`, and log nothing but how it was read."""
    columns, notes = _read(config, config.data, takes_words=True)
    if of_base is None:
        task = infer_task(columns, config.label, config.task, config.label_separator, notes.append)
    else:
        task = of_base.task
    check_options(config, task)
    data, found = read_labelled(columns, config.data, config.text, config.label, task, config.label_separator)
    notes += found + task.doubts(data.values)
    names = task.label_names(data.values) if of_base is None else of_base.with_those_of(data.values)
    prompt_texts = prompts_of(config, task, names)
    counts = task.class_counts(data.values)
    evaluation = None
    if config.eval is not None:
        columns, shaped = _read(config, config.eval, task.inputs.takes_words)
        evaluation, found = read_labelled(columns, config.eval, config.text, config.label, task, config.label_separator)
        found = [*shaped, *notes_on_numbers(columns, config.label, task), *found]
        notes += [f"{data_name(config.eval)}: {note}" for note in found]
        evaluation, found = known_rows(evaluation, task, names, data_name(config.eval), config.skip_unknown_labels)
        notes += found
    parts = split(config, task, data, evaluation, counts)
    notes += without_evaluation(counts, parts.counts, task.counted) + parts.notes()
    return encoded(config, task, names, counts, parts, prompt_texts, notes)


def encoded(
    config: TrainConfig,
    task: Task,
    names: list[str],
    counts: dict[str, int],
    parts: Split,
    prompt_texts: list[str] | None,
    notes: list[str],
) -> Rows:
    """Rows whose labels are encoded, and standardised where they have a unit.

    Args:
        config: the run's settings.
        task: the task.
        names: its labels, in id order.
        counts: how often each occurs.
        parts: the texts to train on and those held out.
        prompt_texts: as from `prompts_of`.
        notes: on the data.

    Raises:
        EncT5Error: for labels that do not fit.
    """
    label2id = {name: index for index, name in enumerate(names)}
    train_labels, labels = (task.encode(part.values, label2id) for part in (parts.train, parts.held_out))
    scaler = None if task.fit_scaler is None else task.fit_scaler(train_labels)
    class_weights = None
    if config.class_weights is not None:
        if task.balance is None:
            raise EncT5Error(f"--class-weights is for classes of texts, this is {task.description}; leave it out")
        class_weights = task.balance(train_labels, len(names))
    return Rows(
        task=task,
        label_names=names,
        counts=counts,
        scaler=scaler,
        split=parts,
        targets=(standardised(train_labels, scaler), standardised(labels, scaler)),
        labels=labels,
        prompt_texts=prompt_texts,
        class_weights=class_weights,
        notes=notes,
    )


def _read(config: TrainConfig, source: str, takes_words: bool) -> tuple[dict[str, Sequence[Any]], list[str]]:
    """The texts and labels of a table, checked, and notes on them."""
    table = reading.read_table(source, ReadOptions(config.delimiter, config.encoding))
    table, notes = with_labels(table, config.text, config.label, config.label_separator, source)
    return check_columns(table, source, config.text, config.label, config.label_separator, takes_words), notes


def log_counts(what: str, counts: Mapping[str, int]) -> None:
    """Log how often each label occurs, where there are any."""
    if counts:
        more = f" and {len(counts) - _MOST_COUNTS} more labels" if len(counts) > _MOST_COUNTS else ""
        listed = ", ".join(f"{shorten(name)} {counts[name]}" for name in list(counts)[:_MOST_COUNTS])
        logger.info(f"{what}: {listed}{more}")


def prepare(config: TrainConfig, rows: Rows, tokenizer: "PreTrainedTokenizerBase") -> TrainingData:
    """Tokenise the data of a run, and log what was found.

    Args:
        config: the run's settings, with its lengths.
        rows: its data.
        tokenizer: the base model's.
    """
    task, parts = rows.task, rows.split
    train_targets, targets = rows.targets
    train, read = tokenize(parts.train.texts, tokenizer, config.max_length, train_targets, task.inputs)
    texts = parts.held_out.texts
    inputs = task.inputs(texts, tokenizer, config.max_length)
    lengths = np.concatenate([lengths_of(train), lengths_of_rows(inputs.rows)])
    notes = [*rows.notes, *told_of_reading(config, read, inputs.unread, rows.notes, lengths)]
    together = read + inputs.unread
    return TrainingData(
        task=task,
        label_names=rows.label_names,
        counts=rows.counts,
        scaler=rows.scaler,
        train=train,
        train_texts=len(parts.train),
        evaluation=EvaluationSet(texts, rows.labels, parts.said, parts.shared, inputs, targets),
        texts_cut=together.texts_cut,
        notes=notes,
        unread=read,
        prompt_texts=rows.prompt_texts,
        class_weights=rows.class_weights,
        teaching=rows.teaching,
    )


def told_of_reading(
    config: TrainConfig, train: Unread, evaluation: Unread, before: Sequence[str], lengths: npt.NDArray[Any]
) -> list[str]:
    """Log what of the texts the base does not read, and which it reads in windows, and notes on the data.

    Args:
        config: the run's settings.
        train: what of the training texts is not read.
        evaluation: likewise, of the evaluation texts.
        before: the notes on the data.
        lengths: tokens of all texts, (rows,).

    Returns:
        Notes on what is not read.
    """
    found = notes_on_reading(config, train, evaluation)
    together = train + evaluation
    if together.texts_cut and config.max_length is not None:
        logger.warning(f"{unread.cut(together, config.max_length)} (--max-length)")
    elif together.long:
        logger.info(
            f"{together.long} texts are longer than {config.max_length} tokens and are read in overlapping windows "
            "(--max-length)"
        )
    if config.window and (long := int((lengths > config.window).sum())):
        logger.info(
            f"{long} {'text is' if long == 1 else 'texts are'} longer than {config.window} tokens and read in windows, "
            "of which the prompts read all (--window)"
        )
    for note in (*before, *found):
        logger.warning(line(note))
    return found


def notes_on_reading(config: TrainConfig, train: Unread, evaluation: Unread) -> list[str]:
    """What of the texts the base's tokenizer does not know; held-out texts are like the others, and count with them.

    Args:
        config: the run's settings.
        train: what is not read of the texts to train on.
        evaluation: what is not read of those to judge by.

    Raises:
        EncT5Error: if that is half of them or more, and the settings do not allow it.
    """
    if config.eval is None:
        parts = {"the texts": train + evaluation}
    else:
        parts = {"the training texts": train, "the evaluation texts": evaluation}
    tokenizer = f"the tokenizer of {'the bundled T5' if config.base == BUNDLED else public_name(config.base)}"
    notes = []
    for texts, part in parts.items():
        if not config.allow_unknown:
            unread.check(part, texts, tokenizer)
        notes += unread.notes(part, texts, tokenizer)
    return notes


def check_options(config: TrainConfig, task: Task) -> None:
    """Refuse settings that belong to another kind of task."""
    for other in TASKS.values():
        for name in set(other.options) - set(task.options):
            if getattr(config, name) != TrainConfig.model_fields[name].default:
                raise EncT5Error(
                    f"--{name.replace('_', '-')} goes with --task {other.alias}, not {task.alias}; leave it out"
                )
    if config.label_smoothing and not config.has_plain_loss:
        raise EncT5Error(
            f"--label-smoothing {config.label_smoothing:g} goes with plain cross-entropy; leave it out, or --loss and "
            "--class-weights"
        )


def prompts_of(config: TrainConfig, task: Task, names: list[str]) -> list[str] | None:
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
            logger.warning(f"{config.label_descriptions} also describes {listed}{more}, which the data does not have")
        return texts
    return [label_words(name) or name for name in names]


def standardised(values: Any, scaler: "StandardScaler | None") -> Any:
    """Encoded labels in the unit of training, float32, where they have one; others as they are."""
    return values if scaler is None else scaler.transform(as_columns(values)).astype(np.float32)


def as_columns(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Numbers as a scaler takes them: a column for each target, and precise."""
    return values.reshape(len(values), -1).astype(np.float64)
