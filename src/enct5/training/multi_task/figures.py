"""What a finished model of several tasks does with the texts that its run is judged by."""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from enct5 import progress
from enct5.inference.predictor import Predictor
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.model.rescaling import rescale_outputs
from enct5.tasks.multi_task import MultiTask
from enct5.training.figures import Figures, measured
from enct5.training.multi_task.prepared import TasksData


@dataclass(frozen=True)
class TasksFigures:
    """What a finished model does with the texts that its run is judged by.

    Attributes:
        parts: for each task what a run of it alone would record, of the texts that have a label for it.
        metrics: the figures of all tasks.
    """

    parts: dict[str, Figures]
    metrics: dict[str, float]

    def record(self) -> dict[str, Any]:
        """What is recorded of all tasks together; of each task it is in `tasks`."""
        return {"metrics": self.metrics, "per_label": []}


def measure(model: EncT5ForTasks, tokenizer: PreTrainedTokenizerBase, prepared: TasksData) -> TasksFigures:
    """Give each task its unit, temperature and thresholds, and measure all of them in one pass."""
    models = {name: model.task_model(name) for name in prepared.parts}
    for name, part in prepared.parts.items():
        if (scaler := part.rows.scaler) is not None:
            rescale_outputs(models[name], scaler.scale_, scaler.mean_)
    predictor = Predictor(model, tokenizer)
    predictor.warns_of_unknown = False  # it was told of these texts
    texts = prepared.evaluation.texts
    with progress.bar("evaluating", total=len(texts)):
        logits = prepared.labelled_logits(predictor.logits(texts))
    parts = {}
    for name, part in prepared.parts.items():
        rows, own = part.rows, models[name]
        parts[name] = measured(own, rows.task, logits[name], rows.labels, rows.label_names, name)
        if own.config.thresholds is not None:
            model.config.task_values(name)["thresholds"] = own.config.thresholds
    together = MultiTask.of_values(model.config.tasks).metrics(
        {name: own.logits for name, own in parts.items()},
        {name: part.rows.labels for name, part in prepared.parts.items()},
        [],
        None,
    )
    return TasksFigures(parts, together)
