"""The model card: the README.md of a run folder, as the Hugging Face hub and its readers expect it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enct5.training_config import BUNDLED

CARD = "README.md"

# What Markdown would take for markup in a file or label name; an underscore inside a word is none.
_MARKUP = re.compile(r"[\\`*\[\]<>|&#~]|(?<![^\W_])_|_(?![^\W_])")
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
    """

    predicts: str
    decoding: str
    pipeline_options: str = ""
    pipeline_note: str = ""
    limitation: str = ""


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
        pipeline_options=", top_k=None",
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
        pipeline_options=", top_k=None",
    ),
}


def write(record: dict[str, Any], folder: Path) -> None:
    """Write the model card of a training run.

    The card names and counts the training data; it never holds texts of it.

    Args:
        record: The run's record, as in its metrics.json.
        folder: The run folder.
    """
    import jinja2

    # Markdown is no HTML: names are escaped by the filter, and code blocks must stay as they are
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("enct5"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["plain"] = _plain
    card = environment.get_template("model_card.md.jinja").render(
        front_matter=_front_matter(record),
        name=_name(record),
        usage=_USAGES[record["task"]],
        pair=len(record["data"]["text"]) == 2,
        bundled=record["base"] == BUNDLED,
        epochs=max((entry["epoch"] for entry in record["history"] if "epoch" in entry), default=None),
        **record,
    )
    (folder / CARD).write_text(card, encoding="utf-8")


def _front_matter(record: dict[str, Any]) -> str:
    """The card's YAML, made by the hub's own library."""
    from huggingface_hub import EvalResult, ModelCardData

    source = record["data"]
    results = [
        EvalResult(
            task_type="text-classification",
            task_name=record["task"].replace("_", " "),
            dataset_type=_slug(source["file"]),
            dataset_name=source["file"],
            dataset_split=source["eval_split"],
            metric_type=name,
            metric_value=value,
        )
        for name, value in record["metrics"].items()
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["enct5", "text-classification"],
        # the hub links the base model, so a folder's name has no place here
        base_model=record["base"] if _HUB_ID.fullmatch(record["base"]) else None,
        metrics=list(record["metrics"]),
        model_name=_name(record),
        eval_results=results,
    ).to_yaml()


def _name(record: dict[str, Any]) -> str:
    # from the data: the card is written before the run folder has its final name
    return f"enct5-{_slug(Path(record['data']['file']).stem)}"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-")


def _plain(value: object) -> str:
    """Make text one line that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(value).split()))
