"""The end of a training run: the model finished and measured, and its folder written."""

import json
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from transformers import (
    PreTrainedTokenizerBase,
    TrainerState,
)

from enct5.data.digests import digest_of_files
from enct5.data.locating import data_name
from enct5.files.writing import atomic_folder
from enct5.model.digests import digests_of_tokenizer, digests_of_weights
from enct5.model.folder import METRICS, REPORT, TRAIN_CONFIG, Ancestry, public_name
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.reports import model_card, training_report
from enct5.training import lora, run_folder
from enct5.training.config import TrainConfig
from enct5.training.data import TrainingData
from enct5.training.figures import Figures, measure
from enct5.training.multi_task.adding import with_old_tasks
from enct5.training.multi_task.figures import TasksFigures
from enct5.training.multi_task.figures import measure as measure_tasks
from enct5.training.multi_task.finish import record_of_tasks, write_pages
from enct5.training.multi_task.prepared import TasksData
from enct5.version import __version__


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

    model: EncT5ForClassification | EncT5ForTasks
    adapter: lora.Adapter | None
    tokenizer: PreTrainedTokenizerBase

    def save(self, folder: Path, base: str) -> dict[str, Any]:
        """Write it, and return what is recorded of the files; `base` is the name of what it was trained from."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        if self.adapter is not None:
            self.adapter.write(folder / lora.ADAPTER, base)
        return {"weights_sha256": digests_of_weights(folder), "tokenizer_sha256": digests_of_tokenizer(folder)}


def conclude(finished: FinishedModel, prepared: TrainingData, settings: TrainConfig, course: Course) -> dict[str, Any]:
    """Measure the trained model, and write the run folder; return the run's record."""
    # what a pipeline with truncation=True cuts to, too
    finished.tokenizer.model_max_length = cast("int", settings.max_length)
    model: Any = finished.model
    several = prepared if isinstance(prepared, TasksData) else None
    figures: Any = (
        measure(model, finished.tokenizer, prepared)
        if several is None
        else measure_tasks(model, finished.tokenizer, several)
    )
    record = _record(model, prepared, settings, figures, course)
    if several is not None:
        record["tasks"] = record_of_tasks(several, settings, figures)
        if settings.extends:
            model, record["tasks"] = with_old_tasks(settings.base, model, record["tasks"], settings.add_labels)
            record["parameters"] = model.num_parameters()
            finished = replace(finished, model=model)
    evaluation, published, out = prepared.evaluation, settings.published(), Path(settings.out)
    with atomic_folder(out) as folder:
        record |= finished.save(folder, record["base"])
        published.write(folder / TRAIN_CONFIG)
        (folder / METRICS).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        rows, described = evaluation.records(settings.text), published.described()
        if several is not None:
            write_pages(record, several, figures, described, rows, folder)
        else:
            model_card.write(record, folder)
            page = folder / REPORT
            training_report.write(record, described, prepared.task, rows, figures.logits, evaluation.labels, page)
    run_folder.finish(out)
    return record


def _record(
    model: EncT5ForClassification | EncT5ForTasks,
    prepared: TrainingData,
    settings: TrainConfig,
    figures: Figures | TasksFigures,
    course: Course,
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
