"""The model card: the README.md of a run folder or converted checkpoint, as the hub and its readers expect it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.assets import BUNDLED
from enct5.model.folder import public_name
from enct5.reports import rendering
from enct5.tasks.registry import find_task

if TYPE_CHECKING:
    from enct5.model.configuration_enct5 import EncT5Config

CARD = "README.md"

_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@[\w./-]+)?")


def write(record: dict[str, Any], folder: Path) -> None:
    """Write the model card of a training run.

    The card names and counts the training data; it never holds texts of it.

    Args:
        record: The run's record, as in its metrics.json.
        folder: The run folder.
    """
    task = find_task(record["task"])
    card = rendering.render(
        "model_card.md.jinja",
        front_matter=front_matter(record, task.usage.pipeline_tag),
        name=name_of(record),
        usage=task.usage,
        counted=task.counted,
        pair=len(record["data"]["text"]) == 2,
        bundled=record["origin"] == BUNDLED,
        epochs=max((entry["epoch"] for entry in record["history"] if "epoch" in entry), default=None),
        **record,
    )
    (folder / CARD).write_text(card, encoding="utf-8")


def write_converted(base: str, config: "EncT5Config", parameters: int, folder: Path) -> None:
    """Write the card of a checkpoint that was converted and is yet to be fine-tuned.

    Args:
        base: The T5 checkpoint it was made of: folder or hub id.
        config: Its configuration.
        parameters: Their number.
        folder: Its folder.
    """
    from huggingface_hub import ModelCardData

    source = public_name(base)
    front_matter = ModelCardData(
        library_name="transformers",
        tags=["enct5"],
        base_model=_on_hub(source),
    ).to_yaml()
    card = rendering.render(
        "converted_card.md.jinja",
        front_matter=front_matter,
        name=f"enct5-{_slug(source)}",
        base=source,
        config=config,
        parameters=parameters,
    )
    (folder / CARD).write_text(card, encoding="utf-8")


def front_matter(record: dict[str, Any], pipeline_tag: str, *tags: str) -> str:
    """The card's YAML, made by the hub's own library.

    Args:
        record: The run's record.
        pipeline_tag: The pipeline that runs the model, as the hub names it.
        tags: Others.
    """
    from huggingface_hub import EvalResult, ModelCardData

    source = record["data"]
    results = [
        EvalResult(
            task_type=pipeline_tag,
            task_name=record["task"].replace("_", " "),
            dataset_type=_slug(source["eval_file"] or source["file"]),
            dataset_name=source["eval_file"] or source["file"],
            dataset_split=None if source["eval_file"] else source["eval_split"],
            metric_type=name,
            metric_value=value,
        )
        for name, value in record["metrics"].items()
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag=pipeline_tag,
        tags=["enct5", pipeline_tag, *tags],
        # the hub links the base model, so a folder's name has no place here
        base_model=_on_hub(record["origin"]),
        metrics=list(record["metrics"]),
        model_name=name_of(record),
        eval_results=results,
    ).to_yaml()


def _on_hub(base: str) -> str | None:
    """A base's name on the hub, without its revision."""
    found = _HUB_ID.fullmatch(base)
    return None if found is None else found[1]


def name_of(record: dict[str, Any]) -> str:
    """What the model of a run is called."""
    # from the data: the card is written before the run folder has its final name
    return f"enct5-{_slug(Path(record['data']['file']).stem)}"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-")
