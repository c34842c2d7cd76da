"""The end of a training run: the model finished and measured, and its folder written."""

import json
import logging
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy.typing as npt
import torch
import transformers
from transformers import (
    PreTrainedTokenizerBase,
    TrainerState,
)

from enct5 import progress
from enct5.data.digests import digest_of_files
from enct5.data.locating import data_name
from enct5.files.writing import atomic_folder
from enct5.inference.predictor import Predictor
from enct5.metrics.calibration import expected_calibration_error
from enct5.model.digests import digests_of_tokenizer, digests_of_weights
from enct5.model.folder import METRICS, TRAIN_CONFIG, Ancestry, public_name
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.rescaling import rescale_outputs
from enct5.reports import model_card, training_report
from enct5.training import lora, run_folder
from enct5.training.config import TrainConfig
from enct5.training.data import TrainingData
from enct5.version import __version__

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Course:
    """How a run went, for its record.

    Attributes:
        ancestry: where its base comes from.
        trials: those of its search.
        state: the trainer's at the end.
        started: when it started, in seconds of `time.time`.
        resumed: whether it went on from where it had been interrupted.
    """

    ancestry: Ancestry
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


@dataclass(frozen=True)
class FinishedModel:
    """What a run is about, once it is trained.

    Attributes:
        model: the model.
        adapter: that of LoRA, which the model holds, where there is one.
        tokenizer: the tokenizer.
    """

    model: EncT5ForClassification
    adapter: lora.Adapter | None
    tokenizer: PreTrainedTokenizerBase

    def save(self, folder: Path, base: str) -> dict[str, Any]:
        """Write it, and return what is recorded of the files; `base` is the name of what it was trained from."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        if self.adapter is not None:
            self.adapter.write(folder / lora.ADAPTER, base)
        return {"weights_sha256": digests_of_weights(folder), "tokenizer_sha256": digests_of_tokenizer(folder)}


@dataclass(frozen=True)
class Figures:
    """What a finished model does with the texts that its run is judged by.

    Attributes:
        logits: its outputs for them, calibrated.
        metrics: the task's figures.
        per_label: those of each label.
        calibration: what is recorded of it, where the task's scores are calibrated.
        distillation: what is recorded of the teacher, where there is one.
    """

    logits: Any
    metrics: dict[str, float]
    per_label: list[dict[str, Any]]
    calibration: dict[str, Any]
    distillation: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """What is recorded of them."""
        return {"metrics": self.metrics, "per_label": self.per_label, **self.calibration, **self.distillation}


def conclude(finished: FinishedModel, prepared: TrainingData, settings: TrainConfig, course: Course) -> dict[str, Any]:
    """Measure the trained model, and write the run folder; return the run's record."""
    # what a pipeline with truncation=True cuts to, too
    finished.tokenizer.model_max_length = cast("int", settings.max_length)
    figures = _measure(finished.model, finished.tokenizer, prepared)
    record = _record(finished.model, prepared, settings, figures, course)
    evaluation, published, out = prepared.evaluation, settings.published(), Path(settings.out)
    with atomic_folder(out) as folder:
        record |= finished.save(folder, record["base"])
        published.write(folder / TRAIN_CONFIG)
        (folder / METRICS).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        model_card.write(record, folder)
        rows = evaluation.records(settings.text)
        training_report.write(
            record, published.described(), prepared.task, rows, figures.logits, evaluation.labels, folder
        )
    run_folder.finish(out)
    return record


def _record(
    model: EncT5ForClassification, prepared: TrainingData, settings: TrainConfig, figures: Figures, course: Course
) -> dict[str, Any]:
    """What metrics.json says of the run, but for its files."""
    return {
        "task": prepared.task.name,
        "data": _data_record(prepared, settings),
        **figures.record(),
        "base": public_name(settings.base),
        "origin": course.ancestry.origin,
        "base_trained_on": course.ancestry.trained_on,
        "parameters": model.num_parameters(),
        "encoder_window": model.config.encoder_window,
        "seed": settings.seed,
        **course.record(),
        "versions": {
            "enct5": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
    }


def _measure(model: EncT5ForClassification, tokenizer: PreTrainedTokenizerBase, prepared: TrainingData) -> Figures:
    """Give the model its unit, temperature and thresholds, and measure it so."""
    task, teaching, names = prepared.task, prepared.teaching, prepared.label_names
    texts, labels = prepared.evaluation.texts, prepared.evaluation.labels
    if prepared.scaler is not None:
        rescale_outputs(model, prepared.scaler.scale_, prepared.scaler.mean_)
    predictor = Predictor(model, tokenizer)
    predictor.warns_of_unknown = False  # it was told of these texts
    with progress.bar("evaluating", total=len(texts)):
        logits = predictor.logits(texts)
    calibration: dict[str, Any] = {}
    if task.fit_temperature is not None:
        scores = None if teaching is None else teaching.scores_to_match
        logits, calibration = _calibrate(model, task.fit_temperature, logits, labels, scores)
    if task.tune is not None:
        model.config.thresholds = task.tune(logits, labels)
        logger.info("thresholds tuned on the evaluation rows; the figures there with them are optimistic")
    thresholds = model.config.thresholds
    return Figures(
        logits=logits,
        metrics=task.metrics(logits, labels, names, thresholds),
        per_label=task.per_label(logits, labels, names, thresholds),
        calibration=calibration,
        distillation={} if teaching is None else {"distillation": teaching.record(logits, thresholds)},
    )


def _data_record(prepared: TrainingData, settings: TrainConfig) -> dict[str, Any]:
    """What is recorded of the data."""
    evaluation = prepared.evaluation
    return {
        "file": data_name(settings.data),
        "sha256": digest_of_files(settings.data),
        "text": list(settings.text),
        "label": settings.label,
        "train_rows": prepared.train_texts,
        "eval_rows": len(evaluation),
        "eval_file": None if settings.eval is None else data_name(settings.eval),
        "eval_split": evaluation.split,
        "eval_texts_in_training": evaluation.shared_texts,
        "class_counts": prepared.counts,
        "texts_cut": prepared.texts_cut,
        "unread": {"training": prepared.unread.record(), "evaluation": evaluation.inputs.unread.record()},
        "notes": prepared.notes,
        "tokens": prepared.lengths(),
    }


def _calibrate(
    model: EncT5ForClassification,
    fit_temperature: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float],
    logits: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    scores: npt.NDArray[Any] | None,
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Divide the model's logits by the temperature that calibrates these; return them so, and what is recorded.

    Where there are scores (of a teacher, which are no ones and zeros) it is they that are matched, and not the labels:
    the teacher's decisions are not the truth, of which a calibration error could be told.
    """
    temperature = fit_temperature(logits, labels if scores is None else scores)
    rescale_outputs(model, 1 / temperature)
    if scores is not None:
        logger.info(f"temperature {temperature:.3f} (fitted on the evaluation texts to the teacher's scores)")
        return logits / temperature, {"temperature": temperature}
    before, logits = expected_calibration_error(logits, labels), logits / temperature
    after = expected_calibration_error(logits, labels)
    logger.info(
        f"temperature {temperature:.3f} (fitted on the evaluation texts): expected calibration error {before:.4f} -> "
        f"{after:.4f}"
    )
    return logits, {"temperature": temperature, "expected_calibration_error": {"before": before, "after": after}}
