"""A model's outputs in the shapes that several dialects share; the numbers are those of `Predictor`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from enct5.errors import EncT5Error
from enct5.serving.endpoint import Call
from enct5.serving.models import ServedModel
from enct5.serving.refusal import Kind, RefusalError
from enct5.tasks.base import sigmoid, softmax

_FUNCTIONS = {"softmax": softmax, "sigmoid": sigmoid, "none": lambda logits: logits}


def scores(model: ServedModel, logits: Any, function: str | None = None) -> Any:
    """The numbers of texts, `(texts, num_labels)`.

    Args:
        model: the model.
        logits: of texts that it reads whole.
        function: `softmax`, `sigmoid` or `none` for something else than what the model was trained for.
    """
    return model.predictor.task.scores(logits) if function is None else _FUNCTIONS[function](logits)


def ranked(model: ServedModel, numbers: Any, top_k: int | None = None) -> list[list[dict[str, Any]]]:
    """Each text's labels with their numbers, highest first."""
    labels = model.labels
    order = np.argsort(-numbers, axis=-1, kind="stable")[:, :top_k]
    return [
        [{"score": float(row[index]), "label": labels[index]} for index in best]
        for row, best in zip(numbers, order, strict=True)
    ]


def entities(model: ServedModel, logits: Any, left_out: Sequence[str] = ()) -> list[list[dict[str, Any]]]:
    """Each text's entities as transformers' pipeline gives them."""
    return [
        [
            {
                "entity_group": one["label"],
                "score": one["score"],
                "word": one["text"],
                "start": one["start"],
                "end": one["end"],
            }
            for one in record["entities"]
            if one["label"] not in left_out
        ]
        for record, _ in model.predictor.decoded(logits, top_k=1)
    ]


async def relevance(
    call: Call, model: ServedModel, pairs: Sequence[tuple[str, str]], label: str | None = None, **how: Any
) -> Any:
    """How well the texts of each pair match, `(pairs,)`, as `Predictor.rank` has it.

    Raises:
        RefusalError: for a model that cannot rank.
    """
    try:
        model.predictor.check_rank()
    except EncT5Error as error:
        raise RefusalError(Kind.NOT_FOR_MODEL, str(error)) from error
    read = await model.read(pairs, **how)
    call.texts, call.tokens = len(pairs), read.tokens
    try:
        return model.predictor.relevance(read.logits, label)
    except EncT5Error as error:
        raise RefusalError(Kind.NOT_FOR_MODEL, str(error)) from error


def best_first(numbers: Any, top_n: int | None = None) -> list[int]:
    """Places by their numbers, highest first; equal ones in their order."""
    order: list[int] = np.argsort(-numbers, kind="stable")[:top_n].tolist()
    return order


def check_raw(model: ServedModel) -> None:
    """Refuse raw scores of pairs where several outputs make up one score."""
    if model.predictor.task.has_probabilities:
        raise RefusalError(
            Kind.INVALID, "this model's score of a pair is made of several outputs, so it has no raw one"
        )
