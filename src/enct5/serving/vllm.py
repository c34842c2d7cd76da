"""The dialect of vLLM's pooling models: `/classify` and `/score`."""

import time
import uuid
from typing import Annotated, Any, Literal

import pydantic

from enct5.serving.endpoint import Answer, Body, Call, Texts
from enct5.serving.models import ServedModel
from enct5.serving.outputs import check_raw, relevance, scores
from enct5.serving.refusal import Kind, RefusalError


class Pooling(Body):
    """What these routes have in common; a text that is too long is refused unless `truncate_prompt_tokens` is given."""

    model: str | None = None
    truncate_prompt_tokens: Annotated[int, pydantic.Field(ge=-1)] | None = None
    truncation_side: Literal["left", "right"] | None = None
    use_activation: bool | None = None

    def how(self) -> dict[str, Any]:
        """How to cut what is too long, for `ServedModel.read`."""
        most = self.truncate_prompt_tokens
        if most == 0:
            raise RefusalError(Kind.INVALID, "`truncate_prompt_tokens` is 0", "truncate_prompt_tokens")
        return {
            "max_length": None if most is None or most < 0 else most,
            "whole": most is None,
            "side": self.truncation_side,
        }


class Classify(Pooling):
    """A text, or several."""

    input: str | Texts


class Score(Pooling):
    """Two texts, one and several, or as many on both sides."""

    queries: str | Texts | None = None
    documents: str | Texts | None = None
    items: str | Texts | None = None
    data_1: str | Texts | None = None
    data_2: str | Texts | None = None
    text_1: str | Texts | None = None
    text_2: str | Texts | None = None

    def sides(self) -> tuple[list[str], list[str]]:
        """The first and the second texts, as many each."""
        for left, right in (
            (self.queries, self.documents),
            (self.queries, self.items),
            (self.data_1, self.data_2),
            (self.text_1, self.text_2),
        ):
            if left is not None and right is not None:
                first, second = ([side] if isinstance(side, str) else side for side in (left, right))
                if not first or not second or len(first) not in (1, len(second)):
                    raise RefusalError(Kind.INVALID, "Input lengths must be either 1:1, 1:N or N:N")
                return first * len(second) if len(first) == 1 else first, second
        raise RefusalError(Kind.INVALID, "give `queries` and `documents`, or `text_1` and `text_2`")


async def classify(call: Call, body: Classify) -> Any:
    """The probabilities of each text's labels by their ids, and the likeliest; of several labels those meant."""
    model = call.model_of(body.model)
    model.check_task(windowed=False)
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not texts:
        raise RefusalError(Kind.EMPTY, "`input` cannot be empty", "input")
    read = await model.read(texts, **body.how())
    call.texts, call.tokens = len(texts), read.tokens
    numbers = scores(model, read.logits, "none" if body.use_activation is False else None)
    labels, task = model.labels, model.predictor.task
    data = []
    for index, (row, (record, _)) in enumerate(
        zip(numbers, model.predictor.decoded(read.logits, top_k=1), strict=True)
    ):
        label = labels[int(read.logits[index].argmax())] if task.has_probabilities else None
        one = {"index": index, "label": label, "probs": [float(number) for number in row], "num_classes": len(row)}
        if "labels" in record:
            one["labels"] = record["labels"]
        data.append(one)
    return envelope("classify", model, data, read.tokens)


async def score(call: Call, body: Score) -> Any:
    """How well each pair matches, in the order of the pairs."""
    model = call.model_of(body.model)
    if body.use_activation is False:
        check_raw(model)
    numbers = await relevance(call, model, list(zip(*body.sides(), strict=True)), **body.how())
    data = [{"index": index, "object": "score", "score": float(number)} for index, number in enumerate(numbers)]
    return envelope("score", model, data, call.tokens)


CLASSIFY, SCORE = Answer(Classify, classify), Answer(Score, score)


def envelope(kind: str, model: ServedModel, data: list[Any], tokens: int) -> dict[str, Any]:
    """What is around the results."""
    return {
        "id": f"{kind}-{uuid.uuid4().hex}",
        "object": "list",
        "created": int(time.time()),
        "model": model.name,
        "data": data,
        "usage": {
            "prompt_tokens": tokens,
            "total_tokens": tokens,
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        },
    }
