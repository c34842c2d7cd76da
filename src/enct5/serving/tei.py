"""The dialect of Text Embeddings Inference: `/predict`, `/rerank`, `/info`, `/health`."""

from typing import Any, Literal

from enct5.serving import errors
from enct5.serving.endpoint import Answer, Body, Call, Many, Texts
from enct5.serving.models import ServedModel
from enct5.serving.outputs import best_first, check_raw, entities, ranked, relevance, scores
from enct5.serving.refusal import Kind, RefusalError
from enct5.version import __version__

Side = Literal["Left", "left", "Right", "right"]


class Predict(Body):
    """A text, a pair, or a batch of lists of one or two texts; a list of two strings is **one pair**."""

    inputs: str | Many[str | Texts]
    truncate: bool | None = None
    truncation_direction: Side | None = None
    raw_scores: bool = False
    model: str | None = None


class Rerank(Body):
    """A query and texts."""

    query: str
    texts: Texts
    truncate: bool | None = None
    truncation_direction: Side | None = None
    raw_scores: bool = False
    return_text: bool = False
    model: str | None = None


async def predict(call: Call, body: Predict) -> Any:
    """All labels of each text, best first; of a tagger its entities."""
    model = call.model_of(body.model)
    texts, is_batch = _texts(body.inputs)
    read = await model.read(texts, whole=body.truncate is False, side=body.truncation_direction)
    call.texts, call.tokens = len(texts), read.tokens
    if model.predictor.task.inputs.windowed:
        if body.raw_scores:
            raise RefusalError(Kind.INVALID, "the model gives entities, which have no raw scores", "raw_scores")
        found = entities(model, read.logits)
    else:
        found = ranked(model, scores(model, read.logits, "none" if body.raw_scores else None))
    return found if is_batch else found[0]


async def rerank(call: Call, body: Rerank) -> Any:
    """The texts' places, best first."""
    model = call.model_of(body.model)
    if not body.texts:
        raise RefusalError(Kind.EMPTY, "`texts` cannot be empty", "texts")
    if body.raw_scores:
        check_raw(model)
    pairs = [(body.query, text) for text in body.texts]
    numbers = await relevance(call, model, pairs, whole=body.truncate is False, side=body.truncation_direction)
    return [
        {"index": place, **({"text": body.texts[place]} if body.return_text else {}), "score": float(numbers[place])}
        for place in best_first(numbers)
    ]


PREDICT = Answer(Predict, predict)
RERANK = Answer(Rerank, rerank, lambda value: isinstance(value, dict) and "texts" in value, errors.TEI)


def info(model: ServedModel) -> dict[str, Any]:
    """What `/info` says of a model: TEI's keys, and the model's own."""
    predictor = model.predictor
    limits, labels = model.limits, model.labels
    names = {
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
    }
    kind = "classifier"
    if predictor.task.inputs.windowed:
        kind = "token_classifier"
    elif model.task_names:
        kind = "multi_task"
    elif model.takes_pairs and len(labels) == 1:
        kind = "reranker"
    settings = model.runner.settings()
    return {
        "model_id": model.source,
        "model_sha": None,
        "model_dtype": settings.get("dtype", "float32"),
        "served_model_name": model.name,
        "model_type": {kind: names},
        "max_concurrent_requests": limits.queued,
        "max_input_length": model.max_length,
        "max_batch_tokens": settings["batch_tokens"],
        "max_batch_requests": None,
        "max_client_batch_size": limits.batch,
        "auto_truncate": True,
        "tokenization_workers": None,
        "version": __version__,
        "sha": None,
        "docker_label": None,
        "problem_type": predictor.task.name,
        "thresholds": model.config.thresholds,
        "text": None if predictor.config is None else list(predictor.config.text),
        "form": settings["form"],
        "device": settings["device"],
    }


def _texts(inputs: str | list[Any]) -> tuple[list[Any], bool]:
    """Texts and pairs, and whether they came as a batch."""
    if isinstance(inputs, str):
        if not inputs:
            raise RefusalError(Kind.EMPTY, "Input validation error: `inputs` cannot be empty", "inputs")
        return [inputs], False
    if not inputs:
        raise RefusalError(Kind.INVALID, "`inputs` cannot be empty", "inputs")
    if all(isinstance(one, str) for one in inputs):
        return [_text(inputs)], False
    if not all(isinstance(one, list) for one in inputs):
        raise RefusalError(Kind.INVALID, "`inputs` mixes strings and lists; a batch is a list of lists", "inputs")
    return [_text(one) for one in inputs], True


def _text(parts: list[str]) -> Any:
    if not 1 <= len(parts) <= 2:
        said = "a list of strings is one text or one pair; for several texts write [[text], [text], ...]"
        raise RefusalError(Kind.INVALID, f"`inputs`: {said}", "inputs")
    return parts[0] if len(parts) == 1 else tuple(parts)
