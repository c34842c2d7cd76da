"""Our own dialect, which gives everything that `Predictor` gives: `/v1/predict` and `/v1/rank`."""

import dataclasses
from typing import Annotated, Any

import pydantic

from enct5.errors import EncT5Error, unknown
from enct5.serving.endpoint import Answer, Body, Call, Many, Texts
from enct5.serving.models import ServedModel
from enct5.serving.outputs import best_first, relevance
from enct5.serving.refusal import Kind, RefusalError
from enct5.tasks.base import check_abstention, check_top_k

_MOST_EXPLAINED = 16  # texts of a request: each takes as long as hundreds of predictions

_Text = str | Texts


class Predict(Body):
    """Texts, or pairs of them; for a model that tags tokens texts, or lists of words."""

    model_config = pydantic.ConfigDict(extra="forbid")

    model: str | None = None
    texts: str | Many[_Text]
    abstain_below: float | None = None
    top_k: Annotated[int, pydantic.Field(ge=1)] | None = None
    all_scores: bool = False
    explain: bool = False
    label: str | None = pydantic.Field(default=None, description="The label to explain.")


class Rank(Body):
    """A query and documents; `label` says by which label to rank."""

    model_config = pydantic.ConfigDict(extra="forbid")

    model: str | None = None
    query: str
    documents: Texts
    label: str | None = None
    top_k: Annotated[int, pydantic.Field(ge=1)] | None = None


async def predict(call: Call, body: Predict) -> Any:
    """What `Predictor.predict` gives for each text, `top` labels if asked for, and an `explanation` if asked for."""
    model = call.model_of(body.model, one_task=False)
    task = model.predictor.task
    texts = _texts(model, [body.texts] if isinstance(body.texts, str) else body.texts)
    most = None if body.all_scores else 1 if body.top_k is None else body.top_k
    _check(model, body, len(texts), most)
    read = await model.read(texts)
    call.texts, call.tokens = len(texts), read.tokens
    results = []
    for text, (record, best) in zip(texts, model.predictor.decoded(read.logits, body.abstain_below, most), strict=True):
        result = dict(record)
        if most != 1:
            result["top"] = best
        if body.explain:
            result["explanation"] = dataclasses.asdict(await model.explain(text, body.label))
        results.append(result)
    return {"model": model.name, "task": task.name, "results": results}


async def rank(call: Call, body: Rank) -> Any:
    """What `Predictor.rank` gives: the documents, best first."""
    model = call.model_of(body.model)
    if not body.documents:
        raise RefusalError(Kind.EMPTY, "`documents` cannot be empty", "documents")
    if body.label is not None and body.label not in model.labels:
        raise RefusalError(Kind.INVALID, str(unknown("label", body.label, model.labels)), "label")
    numbers = await relevance(call, model, [(body.query, document) for document in body.documents], body.label)
    results = [
        {"index": place, "document": body.documents[place], "score": float(numbers[place])}
        for place in best_first(numbers, body.top_k)
    ]
    return {"model": model.name, "results": results}


PREDICT, RANK = Answer(Predict, predict), Answer(Rank, rank)


def about(model: ServedModel) -> dict[str, Any]:
    """A model in the list of models: OpenAI's keys, and what one has to know to ask it."""
    predictor = model.predictor
    task = predictor.task
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "enct5",
        "root": model.name,
        "parent": None,
        "max_model_len": model.max_length,
        "permission": [],
        "task": task.name,
        "tasks": model.task_names,
        "about": task.description,
        "has_probabilities": task.has_probabilities,
        "labels": model.labels,
        "thresholds": model.config.thresholds,
        "text": None if predictor.config is None else list(predictor.config.text),
        "explains": model.explains,
    }


def _texts(model: ServedModel, texts: list[Any]) -> list[Any]:
    """Texts as `Predictor` takes them: a list of two strings is a pair but for a model that tags words."""
    if not texts:
        raise RefusalError(Kind.EMPTY, "`texts` cannot be empty", "texts")
    if model.runner.task.inputs.takes_words:
        return texts
    for number, text in enumerate(texts):
        if not isinstance(text, str) and len(text) != 2:
            raise RefusalError(
                Kind.INVALID, f"text {number + 1} is a list of {len(text)}; a pair has two texts", "texts"
            )
    return [text if isinstance(text, str) else tuple(text) for text in texts]


def _check(model: ServedModel, body: Predict, count: int, top_k: int | None) -> None:
    """Refuse options that do not go together, or not with the model."""
    task = model.predictor.task
    if body.explain:
        model.check_one_task()
    try:
        if body.abstain_below is not None:
            check_abstention(task, body.abstain_below)
        if top_k != 1:
            check_top_k(task, top_k)
    except EncT5Error as error:
        raise RefusalError(Kind.INVALID, str(error)) from error
    if body.all_scores and body.top_k is not None:
        raise RefusalError(Kind.INVALID, "`top_k` and `all_scores` do not go together; leave out one of them")
    if body.label is not None and not body.explain:
        raise RefusalError(Kind.INVALID, "`label` is the one to explain; set `explain`, too", "label")
    if body.explain and count > _MOST_EXPLAINED:
        raise RefusalError(Kind.INVALID, f"{count} texts; up to {_MOST_EXPLAINED} are explained at a time", "explain")
