"""The model card: the README.md of a run folder or converted checkpoint, as the hub and its readers expect it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.assets import BUNDLED
from enct5.model.folder import public_name
from enct5.reports import rendering
from enct5.tasks.registry import find_task

if TYPE_CHECKING:
    from enct5.model.configuration_enct5 import EncT5Config

CARD = "README.md"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class _Usage:
    """What a reader of the card does with the outputs of one kind of task.

    Attributes:
        predicts: What the model gives for a text, in words.
        decoding: Python lines from `logits` to printed results.
        pipeline_options: Arguments of a `pipeline` call that make it show the whole result.
        pipeline_note: What is left to do with the pipeline's result.
        limitation: What else the figures do not tell.
        auto_class: The Auto class that loads the model.
        pipeline_tag: The task of the pipeline, as the hub names it.
        pipeline_arguments: Arguments of the pipeline itself.
        decoder: What stands between encoder and head.
        windows: Whether enct5 reads long texts in windows instead of cutting them.
    """

    predicts: str
    decoding: str
    pipeline_options: str = ", truncation=True"
    pipeline_note: str = ""
    limitation: str = ""
    auto_class: str = "AutoModelForSequenceClassification"
    pipeline_tag: str = "text-classification"
    pipeline_arguments: str = ""
    decoder: str = "one T5 decoder layer that reads the encoder's states from constant prompts"
    windows: bool = False


_USAGES = {
    "single_label_classification": _Usage(
        predicts="one label",
        decoding="""\
for scores in logits.softmax(dim=-1):
    print(model.config.id2label[int(scores.argmax())], float(scores.max()))""",
    ),
    "multi_label_classification": _Usage(
        predicts="any number of labels (those whose score reaches the label's threshold)",
        decoding="""\
thresholds = model.config.thresholds or [0.5] * model.config.num_labels
for scores in logits.sigmoid():
    print({model.config.id2label[i]: float(score) for i, score in enumerate(scores) if score >= thresholds[i]})""",
        pipeline_options=", truncation=True, top_k=None",
        pipeline_note="The pipeline knows no thresholds: it gives every label's score. A label is meant from its own "
        "threshold on, which is in `thresholds` of `config.json` (`classify.model.config.thresholds`), in the order "
        "of `id2label`.",
        limitation="The labels' thresholds were tuned on that split, too, so its figures with them are optimistic. "
        "Those that end in `_at_0.5` use none. A label with fewer than 10 positives there has the threshold that is "
        "best for all labels together.",
    ),
    "regression": _Usage(
        predicts="a number",
        decoding="""\
for values in logits:
    print({model.config.id2label[i]: float(value) for i, value in enumerate(values)})""",
        pipeline_options=", truncation=True, top_k=None",
    ),
    "token_classification": _Usage(
        predicts="the entities",
        decoding="""\
for ids, scores in zip(inputs["input_ids"], logits.softmax(dim=-1)):
    for token, best in zip(tokenizer.convert_ids_to_tokens(ids), scores.argmax(dim=-1)):
        print(token, model.config.id2label[int(best)])""",
        pipeline_options="",
        auto_class="AutoModelForTokenClassification",
        pipeline_tag="token-classification",
        pipeline_arguments=', aggregation_strategy="simple"',
        decoder="one T5 decoder layer over the text's own tokens (if config.json sets `token_decoder`)",
        windows=True,
    ),
}


def write(record: dict[str, Any], folder: Path) -> None:
    """Write the model card of a training run.

    The card names and counts the training data; it never holds texts of it.

    Args:
        record: The run's record, as in its metrics.json.
        folder: The run folder.
    """
    card = rendering.render(
        "model_card.md.jinja",
        front_matter=_front_matter(record),
        name=_name(record),
        usage=_USAGES[record["task"]],
        counted=find_task(record["task"]).counted,
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
        base_model=source if _HUB_ID.fullmatch(source) else None,
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


def _front_matter(record: dict[str, Any]) -> str:
    """The card's YAML, made by the hub's own library."""
    from huggingface_hub import EvalResult, ModelCardData

    source, pipeline_tag = record["data"], _USAGES[record["task"]].pipeline_tag
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
        tags=["enct5", pipeline_tag],
        # the hub links the base model, so a folder's name has no place here
        base_model=record["origin"] if _HUB_ID.fullmatch(record["origin"]) else None,
        metrics=list(record["metrics"]),
        model_name=_name(record),
        eval_results=results,
    ).to_yaml()


def _name(record: dict[str, Any]) -> str:
    # from the data: the card is written before the run folder has its final name
    return f"enct5-{_slug(Path(record['data']['file']).stem)}"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-")
