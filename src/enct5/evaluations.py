"""Evaluation from Python: a model measured on data that a program holds."""

import inspect
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.data.data_file import ReadOptions
from enct5.data.in_memory import in_memory
from enct5.data.notes import line
from enct5.data.texts_and_labels import LABEL, are_texts, table_of, text_columns
from enct5.errors import EncT5Error, show, unknown
from enct5.files.hub_names import hub_token
from enct5.runs import Run
from enct5.training.logs import no_bars

if TYPE_CHECKING:
    from enct5.inference.predictor import Predictor

logger = logging.getLogger(__name__)


def evaluate(  # noqa: PLR0913  # what is to be measured, by name
    model: "str | Path | Run | Predictor",
    data: Any,
    labels: Any = None,
    *,
    text: str | Sequence[str] | None = None,
    label: str | None = None,
    label_separator: str | None = None,
    skip_unknown_labels: bool = False,
    delimiter: str | None = None,
    encoding: str | None = None,
    abstain_below: float | None = None,
    token: str | bool | None = None,
    **loading: Any,
) -> dict[str, Any]:
    """Measure a model on labelled texts.

    Example:
        >>> enct5.evaluate("runs/intents", frame)["metrics"]["macro_f1"]

    What is odd in the data is logged as a warning, beside `notes`.

    Args:
        model: Run folder, other EncT5 checkpoint, exported model, hub id `name[@revision]`, `Run` or `Predictor`.
        data: A table as for `enct5.train`, or the texts, where `labels` are given.
        labels: One a text, as for `enct5.train`.
        text: Text column, or two for pairs; by default those of the training.
        label: Label column; by default that of the training.
        label_separator: What separates several labels in one field; by default that of the training.
        skip_unknown_labels: Leave out rows of labels that the model does not know.
        delimiter: What separates the fields of a CSV file; by default it is found out.
        encoding: Of text files, as Python names it; by default it is found out.
        abstain_below: Also measure predictions that are withheld where their score is lower (single-label only).
        token: Access token of the hub; by default that of `hf auth login` or `HF_TOKEN`.
        loading: Those of `Predictor.from_pretrained`: `device`, `dtype`, `quantize`, `batch_tokens`, `revision`, ...

    Returns:
        What `enct5 evaluate --json` writes: `data`, `rows`, `notes`, `task`, `metrics`, `per_label` and `unread`.

    Raises:
        EncT5Error: For a model or data that cannot be used.
    """
    from enct5.inference import evaluation

    if labels is not None:
        if isinstance(labels, str):
            raise EncT5Error(f"`labels` is {show(labels)}; name columns as `text=...` and `label=...`")
        if text is not None or label is not None:
            raise EncT5Error("`text` and `label` name columns of a table; leave them out where labels are given")
        data = table_of(data, labels)
        text, label = text_columns(data), LABEL
    elif are_texts(data):
        raise EncT5Error("these are texts without labels; give both, as in `evaluate(model, texts, labels)`")
    source = os.fspath(data) if isinstance(data, (str, os.PathLike)) else in_memory(data)
    columns = (text,) if isinstance(text, str) else text
    with hub_token(token), no_bars():
        predictor = _predictor(model, loading)
        warns, predictor.warns_of_unknown = predictor.warns_of_unknown, False  # the notes tell
        try:
            rows = evaluation.read_rows(
                predictor, source, columns, label, abstain_below, label_separator, ReadOptions(delimiter, encoding)
            )
            record = evaluation.evaluate(
                predictor, source, columns, label, abstain_below, label_separator, rows, skip_unknown_labels
            )
        finally:
            predictor.warns_of_unknown = warns
    for note in record["notes"]:
        logger.warning(line(note))
    return record


def _predictor(model: "str | Path | Run | Predictor", loading: dict[str, Any]) -> "Predictor":
    """The model, loaded where it is not yet."""
    from enct5.inference.predictor import Predictor

    known = [name for name in inspect.signature(Predictor.from_pretrained).parameters if name not in ("path", "token")]
    for name in loading:
        if name not in known:
            raise unknown("argument", name, known)
    if not isinstance(model, (Run, Predictor)):
        return Predictor.from_pretrained(model, **loading)
    if loading:
        raise EncT5Error(
            f"`{next(iter(loading))}` is for a model that is loaded here, but this is a {type(model).__name__}; give "
            "its folder or hub id instead"
        )
    return model.predictor if isinstance(model, Run) else model
