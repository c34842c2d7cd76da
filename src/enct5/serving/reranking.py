"""The dialect of Cohere's, Jina's and vLLM's `/rerank`: a query and `documents`."""

import uuid
from typing import Annotated, Any

import pydantic

from enct5.serving.endpoint import Answer, Body, Call, Many, Texts
from enct5.serving.outputs import best_first, check_raw, relevance
from enct5.serving.refusal import Kind, RefusalError


class Document(Body):
    """A text as an object."""

    text: str


class Rerank(Body):
    """A query and documents; what is too long is cut."""

    model: str | None = None
    query: str | Document
    documents: Many[str | Document]
    top_n: Annotated[int, pydantic.Field(ge=0)] | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: Annotated[int, pydantic.Field(ge=0)] | None = None
    max_chunks_per_doc: int | None = None
    rank_fields: Texts | None = None
    use_activation: bool | None = None


async def _rerank(call: Call, body: Rerank, with_documents: bool) -> Any:
    model = call.model_of(body.model)
    if not body.documents:
        raise RefusalError(Kind.EMPTY, "`documents` cannot be empty", "documents")
    if body.rank_fields not in (None, ["text"]):
        raise RefusalError(Kind.INVALID, "documents are ranked by their `text` only", "rank_fields")
    most = body.max_tokens_per_doc
    if most and most < (model.max_length or 0):
        said = f"the model reads up to {model.max_length} tokens of a pair; fewer of a document cannot be chosen"
        raise RefusalError(Kind.INVALID, said, "max_tokens_per_doc")
    if body.use_activation is False:
        check_raw(model)
    documents = [_text(document) for document in body.documents]
    query = _text(body.query)
    numbers = await relevance(call, model, [(query, document) for document in documents])
    results = []
    for place in best_first(numbers, body.top_n or None):
        result: dict[str, Any] = {"index": place, "relevance_score": float(numbers[place])}
        if with_documents if body.return_documents is None else body.return_documents:
            result["document"] = {"text": documents[place]}
        results.append(result)
    return {
        "id": f"rerank-{uuid.uuid4().hex}",
        "object": "list",
        "model": model.name,
        "results": results,
        "usage": {"prompt_tokens": call.tokens, "total_tokens": call.tokens},
        "meta": {
            "api_version": {"version": "2", "is_experimental": False},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": call.tokens, "output_tokens": 0},
        },
    }


async def rerank(call: Call, body: Rerank) -> Any:
    """The documents, best first, with their texts unless `return_documents` is false."""
    return await _rerank(call, body, with_documents=True)


async def rerank_v2(call: Call, body: Rerank) -> Any:
    """The documents' places, best first, with their texts if `return_documents` is true."""
    return await _rerank(call, body, with_documents=False)


RERANK, RERANK_V2 = Answer(Rerank, rerank), Answer(Rerank, rerank_v2)


def _text(given: str | Document) -> str:
    return given if isinstance(given, str) else given.text
