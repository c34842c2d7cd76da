"""Distillation: a small model learns what a large one says about texts, with labels or without (arXiv 1503.02531)."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerBase

from enct5.data.notes import blank_texts
from enct5.data.split import text_keys
from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from enct5.model.digests import digest_of_checkpoint
from enct5.model.folder import CHECKPOINTS, public_name
from enct5.model.vocabularies import check_tokenizer
from enct5.tasks import entities
from enct5.tasks.base import Task
from enct5.tasks.entities import Entities, Span
from enct5.tasks.labelled import LabelledTexts
from enct5.tokenization.windows import tags_of_tokens
from enct5.training import run as training_run
from enct5.training.data import Rows, log_counts, prompts_of, standardised
from enct5.training.distillation import teacher_outputs
from enct5.training.distillation.config import DistillConfig
from enct5.training.distillation.data import Texts, read_distillation_texts
from enct5.training.distillation.losses import SoftLoss
from enct5.training.distillation.token_alignment import TokenTargets
from enct5.training.distributed import on_main_process
from enct5.training.model_init import build_model
from enct5.training.splitting import split
from enct5.training.teaching import Teaching

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler


logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]


def distill(config: DistillConfig, resume: bool = False, texts: Texts | None = None) -> dict[str, Any]:
    """Train a student on what a teacher says about texts, and write its run folder.

    The teacher is asked once, before training; its answers are kept beside the checkpoints until the run is complete.
    Progress is logged: `logging.basicConfig(level="INFO")` shows it.

    Args:
        config: the run's settings.
        resume: continue the interrupted run in `config.out`.
        texts: its data, where they have been read already (`data.read_distillation_texts`).

    Returns:
        The run's record, as in the folder's metrics.json; what is about the teacher is in `distillation`.

    Raises:
        EncT5Error: for a teacher, data, settings or a base model that cannot be used or do not go together.
    """
    return training_run.train_on(lambda base, tokenizer: _rows(config, texts, base, tokenizer), config, resume)


def _rows(config: DistillConfig, texts: Texts | None, base: str, tokenizer: PreTrainedTokenizerBase) -> Rows:
    """The rows of a run whose labels are numbers of rows of `SoftLoss`."""
    predictor = Predictor.from_pretrained(config.teacher)
    if predictor.engine.is_fine_tuned() is False:
        raise EncT5Error(f"the teacher {config.teacher} has never been trained; train it first (enct5 train)")
    task, teacher = predictor.task, predictor.model.config
    texts = texts or read_distillation_texts(config, predictor)
    names = [teacher.id2label[index] for index in range(teacher.num_labels)]
    sides = [texts.train, *([] if texts.evaluation is None else [texts.evaluation])]
    labelled = np.concatenate([side.labelled for side in sides])
    encoded = _encoded(task, [value for side in sides for value in side.values], names)
    all_texts = [text for side in sides for text in side.texts]
    logger.info(f"teacher: {public_name(config.teacher)}, {task.description}, {len(names)} outputs")

    outputs, digest = _ask(predictor, config, base, tokenizer, all_texts, names)
    records = task.decode(outputs, teacher.id2label, teacher.thresholds)
    values = [_label_value(task, record[task.prediction_columns[0]]) for record in records]
    decisions = task.encode(values, teacher.label2id)
    by_labels = bool(texts.train.labelled.all())
    of_train = len(texts.train.texts)
    own = texts.train.values if by_labels else values[:of_train]
    everything = LabelledTexts(all_texts, [*own, *values[of_train:]], text_keys(all_texts))
    data = everything.select(range(of_train))
    evaluation = None if texts.evaluation is None else everything.select(range(of_train, len(everything)))
    counts = task.class_counts(data.values)
    counted_by = "the labels" if by_labels else "the teacher's decisions"
    log_counts(f"{task.counted} a label, by {counted_by}", counts)

    parts = split(config, task, data, evaluation, counts)
    training_rows, held_out_rows = parts.rows
    notes = blank_texts(data.texts, config.data) + [note for side in sides for note in side.notes] + parts.notes()
    judged_by_labels = bool(labelled[held_out_rows].all())
    judge = "the labels" if judged_by_labels else "the teacher's decisions"
    logger.info(f"evaluation: {parts.said}, judged by {judge}")
    place = np.cumsum(labelled) - 1  # of a row with label among those
    labels = _take(encoded, place[held_out_rows]) if judged_by_labels else _take(decisions, held_out_rows)
    with_label = int(labelled[training_rows].sum())
    if config.label is not None:
        logger.info(
            f"labels: {with_label} of {len(training_rows)} training texts have one, with a weight of "
            f"{config.label_weight:g} beside the teacher"
        )
    scaler = None if task.fit_scaler is None else task.fit_scaler(outputs[training_rows])
    numbers: Any
    if task.inputs.windowed:
        targets = TokenTargets(outputs, tokenizer, teacher.id2label, task)
        if targets.kept < 1:
            logger.info(f"{targets.kept:.1%} of the teacher's entities can be told in the base's tokens")
        loss, numbers = _loss_of_tokens(config, task, targets, all_texts, encoded, labelled, place)
    else:
        loss, numbers = _loss_of_texts(config, task, outputs, encoded, labelled, scaler)
    facts = {
        "teacher": public_name(config.teacher),
        "teacher_sha256": digest,
        "label": config.label,
        "labelled_texts": with_label,
        "label_weight": config.label_weight if with_label else None,
        "temperature": None if scaler is not None else config.temperature,
        "judged_by": judge,
        "counted_by": counted_by,
    }
    return Rows(
        task=task,
        label_names=names,
        counts=counts,
        scaler=scaler,
        split=parts,
        targets=(_take(numbers, training_rows), _take(numbers, held_out_rows)),
        labels=labels,
        prompt_texts=prompts_of(config, task, names),
        class_weights=None,
        notes=notes,
        teaching=Teaching(
            task=task,
            loss=loss,
            label_names=names,
            facts=facts,
            judged_by_labels=judged_by_labels,
            outputs=_take(outputs, held_out_rows),
            decisions=_take(decisions, held_out_rows),
            labels=labels,
            thresholds=teacher.thresholds,
        ),
    )


def _ask(
    predictor: Predictor,
    config: DistillConfig,
    base: str,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[Any],
    names: list[str],
) -> tuple[teacher_outputs.Outputs, str | None]:
    """The teacher's outputs, which the main process has computed now or in an interrupted run, and its digest."""
    file = Path(config.out) / CHECKPOINTS / teacher_outputs.FILE
    digest = digest_of_checkpoint(config.teacher)
    decided_by = teacher_outputs.identity(digest, texts)

    def ask() -> None:
        if not file.is_file():
            # what is wrong with the base is told before a large model is asked about all texts
            student = build_model(base, predictor.task, names, token_decoder=config.token_decoder)
            check_tokenizer(tokenizer, student.config.vocab_size)
            teacher_outputs.write(predictor, decided_by, texts, file)

    on_main_process(ask)
    return teacher_outputs.read(file, decided_by, texts), digest


def _label_value(task: Task, decided: Any) -> Any:
    """What a teacher decides as the label column would have it."""
    if not task.inputs.windowed:
        return decided
    return Entities([Span(one["start"], one["end"], one["label"]) for one in decided])


def _encoded(task: Task, values: list[Any], names: list[str]) -> Any:
    """Label values as the task encodes them, None where there are none; what the teacher does not know is refused."""
    if not values:
        return None
    if task.inputs.windowed and names != entities.tag_names(entities.entity_labels(names)):
        raise EncT5Error(
            f"labels go with a teacher of BIO tags (O, B-x, I-x, ...), not {', '.join(names[:5])}; leave out --label"
        )
    return task.encode(values, {name: index for index, name in enumerate(names)})


def _take(values: Any, rows: Array) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]


def _loss_of_texts(
    config: DistillConfig,
    task: Task,
    outputs: Array,
    encoded: Array | None,
    labelled: Array,
    scaler: "StandardScaler | None",
) -> tuple[SoftLoss, Array]:
    """The loss whose rows are texts, and the row of each."""
    labels = None
    if encoded is not None:
        own = standardised(encoded, scaler)
        labels = np.zeros((len(labelled), *own.shape[1:]), dtype=own.dtype)
        labels[labelled] = own
    return _loss(config, task, standardised(outputs, scaler), labels, labelled), np.arange(len(labelled))


def _loss_of_tokens(
    config: DistillConfig,
    task: Task,
    targets: TokenTargets,
    texts: Sequence[Any],
    encoded: Sequence[Any] | None,
    labelled: Array,
    place: Array,
) -> tuple[SoftLoss, list[Array]]:
    """The loss whose rows are the student's tokens, and the rows of those of each text."""
    if encoded is None:
        return _loss(config, task, targets.teacher, None, labelled), targets.numbers
    labels = np.zeros(len(targets.teacher), dtype=np.int64)
    has_label = np.zeros(len(targets.teacher), dtype=np.bool_)
    for number in np.flatnonzero(labelled).tolist():
        rows = targets.numbers[number]
        tags = tags_of_tokens(texts[number], targets.offsets[number], encoded[int(place[number])])
        labels[rows[rows >= 0]] = tags[rows >= 0]
        has_label[rows[rows >= 0]] = True
    return _loss(config, task, targets.teacher, labels, has_label), targets.numbers


def _loss(config: DistillConfig, task: Task, outputs: Array, labels: Array | None, labelled: Array) -> SoftLoss:
    return SoftLoss(
        task=task,
        teacher=torch.from_numpy(outputs),
        labels=None if labels is None else torch.from_numpy(labels),
        labelled=torch.from_numpy(labelled),
        temperature=config.temperature,
        label_weight=config.label_weight,
    )
