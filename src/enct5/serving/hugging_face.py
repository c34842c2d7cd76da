"""The dialect of Hugging Face's clients and endpoints: a body with `parameters`."""

from typing import Annotated, Any, Literal

import pydantic

from enct5.serving.endpoint import Answer, Body, Call, Many, Texts
from enct5.serving.outputs import entities, ranked, scores
from enct5.serving.refusal import Kind, RefusalError


class Pair(Body):
    """A text and its second one."""

    text: str
    text_pair: str | None = None


class Parameters(Body):
    """What the clients send for texts and for tokens; what is not done here is refused rather than left out."""

    model_config = pydantic.ConfigDict(extra="forbid")

    top_k: Annotated[int, pydantic.Field(ge=1)] | None = None
    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None
    aggregation_strategy: Literal["none", "simple", "first", "average", "max"] | None = None
    ignore_labels: Texts | None = None
    stride: int | None = None
    truncation: bool | None = None
    max_length: Annotated[int, pydantic.Field(ge=1)] | None = None


class Pipeline(Body):
    """A text, a pair, or a batch of them."""

    inputs: str | Pair | Many[str | Pair]
    parameters: Parameters | None = None
    model: str | None = None


async def pipeline(call: Call, body: Pipeline) -> Any:
    """The labels of each text, best first, nested for a single one, too; of a tagger its entities."""
    model = call.model_of(body.model)
    how = body.parameters or Parameters()
    is_batch = isinstance(body.inputs, list)
    texts = [_text(one) for one in (body.inputs if isinstance(body.inputs, list) else [body.inputs])]
    if not texts:
        raise RefusalError(Kind.EMPTY, "`inputs` cannot be empty", "inputs")
    windowed = model.predictor.task.inputs.windowed
    _check(how, windowed)
    read = await model.read(texts, max_length=how.max_length, whole=how.truncation is False)
    call.texts, call.tokens = len(texts), read.tokens
    if windowed:
        found = entities(model, read.logits, how.ignore_labels or ())
        return found if is_batch else found[0]
    return ranked(model, scores(model, read.logits, how.function_to_apply), how.top_k)


PIPELINE = Answer(
    Pipeline,
    pipeline,
    lambda value: isinstance(value, dict) and ("parameters" in value or _has_dictionaries(value.get("inputs"))),
)


def _has_dictionaries(inputs: Any) -> bool:
    return isinstance(inputs, dict) or (isinstance(inputs, list) and any(isinstance(one, dict) for one in inputs))


def _text(one: str | Pair) -> Any:
    if isinstance(one, str):
        return one
    return one.text if one.text_pair is None else (one.text, one.text_pair)


def _check(how: Parameters, windowed: bool) -> None:
    """Refuse parameters of the other task, and what would give other entities than the model's."""
    of_tokens = ("aggregation_strategy", "ignore_labels", "stride")
    of_texts = ("top_k", "function_to_apply")
    for name in of_texts if windowed else of_tokens:
        if getattr(how, name) is not None:
            raise RefusalError(Kind.INVALID, f"`{name}` is not for this model's task", f"parameters.{name}")
    if how.aggregation_strategy not in (None, "simple"):
        said = f"`{how.aggregation_strategy}` is not done here: the model gives whole entities; write `simple`"
        raise RefusalError(Kind.INVALID, said, "parameters.aggregation_strategy")
    if how.stride is not None:
        raise RefusalError(Kind.INVALID, "long texts are read in windows of the model's own", "parameters.stride")
    if windowed and how.max_length is not None:
        raise RefusalError(Kind.INVALID, "long texts are read in windows of the model's own", "parameters.max_length")
