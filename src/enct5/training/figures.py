"""What a finished model does with the texts that its run is judged by; it gets its unit, temperature and thresholds."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy.typing as npt
from transformers import PreTrainedTokenizerBase

from enct5 import progress
from enct5.inference.predictor import Predictor
from enct5.metrics.calibration import expected_calibration_error
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.rescaling import rescale_outputs
from enct5.tasks.base import Task
from enct5.training.data import TrainingData

logger = logging.getLogger(__name__)


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
    distillation: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """What is recorded of them."""
        return {"metrics": self.metrics, "per_label": self.per_label, **self.calibration, **self.distillation}


def measure(model: EncT5ForClassification, tokenizer: PreTrainedTokenizerBase, prepared: TrainingData) -> Figures:
    """Give the model its unit, temperature and thresholds, and measure it so."""
    teaching, texts = prepared.teaching, prepared.evaluation.texts
    if prepared.scaler is not None:
        rescale_outputs(model, prepared.scaler.scale_, prepared.scaler.mean_)
    predictor = Predictor(model, tokenizer)
    predictor.warns_of_unknown = False  # it was told of these texts
    with progress.bar("evaluating", total=len(texts)):
        logits = predictor.logits(texts)
    scores = None if teaching is None else teaching.scores_to_match
    labels = prepared.evaluation.labels
    figures = measured(model, prepared.task, logits, labels, prepared.label_names, scores=scores)
    if teaching is not None:
        record = teaching.record(figures.logits, model.config.thresholds)
        figures = replace(figures, distillation={"distillation": record})
    return figures


def measured(  # what a task's figures follow from
    model: EncT5ForClassification,
    task: Task,
    logits: Any,
    labels: Any,
    names: Sequence[str],
    called: str | None = None,
    scores: npt.NDArray[Any] | None = None,
) -> Figures:
    """Give a model temperature and thresholds, and say what it does.

    Args:
        model: the model, changed in place; its outputs have their unit.
        task: its task.
        logits: its outputs for the texts that it is judged by.
        labels: theirs, as the task encodes them.
        names: the outputs' names.
        called: the task's name among several.
        scores: a teacher's, to fit the temperature to instead of labels.
    """
    prefix = f"{called}: " if called else ""
    calibration: dict[str, Any] = {}
    # Labels that others were added to keep their logits.
    if task.fit_temperature is not None and model.config.label_parts is None:
        logits, calibration = _calibrate(model, task.fit_temperature, logits, labels, scores, prefix)
    if task.tune is not None:
        model.config.thresholds = task.tune(logits, labels)
        logger.info(f"{prefix}thresholds tuned on the evaluation rows; the figures there with them are optimistic")
    thresholds = model.config.thresholds
    return Figures(
        logits=logits,
        metrics=task.metrics(logits, labels, names, thresholds),
        per_label=task.per_label(logits, labels, names, thresholds),
        calibration=calibration,
    )


def _calibrate(
    model: EncT5ForClassification,
    fit_temperature: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float],
    logits: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    scores: npt.NDArray[Any] | None,
    prefix: str,
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Divide the model's logits by the temperature that calibrates these; return them so, and what is recorded.

    Where there are scores (of a teacher, which are no ones and zeros) it is they that are matched, and not the labels:
    the teacher's decisions are not the truth, of which a calibration error could be told.
    """
    temperature = fit_temperature(logits, labels if scores is None else scores)
    rescale_outputs(model, 1 / temperature)
    if scores is not None:
        logger.info(f"{prefix}temperature {temperature:.3f} (fitted on the evaluation texts to the teacher's scores)")
        return logits / temperature, {"temperature": temperature}
    before, logits = expected_calibration_error(logits, labels), logits / temperature
    after = expected_calibration_error(logits, labels)
    logger.info(
        f"{prefix}temperature {temperature:.3f} (fitted on the evaluation texts): expected calibration error "
        f"{before:.4f} -> {after:.4f}"
    )
    return logits, {"temperature": temperature, "expected_calibration_error": {"before": before, "after": after}}
