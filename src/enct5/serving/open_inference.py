"""The dialect of the Open Inference Protocol v2 (KServe, Triton): tensors of texts in, tensors of numbers out."""

import json
from math import prod
from typing import Any

from starlette.requests import Request

from enct5.serving.endpoint import Answer, Body, Call, Many, check_json
from enct5.serving.models import ServedModel
from enct5.serving.outputs import scores
from enct5.serving.refusal import Kind, RefusalError
from enct5.version import __version__

_BINARY = "inference-header-content-length"  # the sign of the binary extension
_TEXT, _PAIR = "text", "text_pair"


class Tensor(Body):
    """An input."""

    name: str
    shape: Many[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] | None = None


class Wanted(Body):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] | None = None


class Infer(Body):
    """Texts as a tensor `text` of BYTES, and for pairs the second ones as `text_pair`; shape [n] or [n, 1]."""

    id: str | None = None
    parameters: dict[str, Any] | None = None
    inputs: Many[Tensor]
    outputs: Many[Wanted] | None = None


async def infer(call: Call, body: Infer) -> Any:
    """All outputs of the model, or those asked for."""
    model = call.model_of(one_task=False)
    texts = _texts(body.inputs)
    known = [output["name"] for output in _outputs(model)]
    wanted = [output.name for output in body.outputs or ()] or known
    for output in body.outputs or ():
        if output.name not in known:
            raise RefusalError(Kind.INVALID, f"no output `{output.name}` (outputs: {', '.join(known)})")
        for name in output.parameters or {}:
            if not (name == "binary_data" and output.parameters[name] is False):  # type: ignore[index]
                raise RefusalError(Kind.INVALID, f"the output parameter `{name}` is not supported")
    read = await model.read(texts)
    call.texts, call.tokens = len(texts), read.tokens
    response = {
        "model_name": model.name,
        "model_version": "1",
        "parameters": {},
        "outputs": [_tensor(model, name, read.logits) for name in wanted],
    }
    return response if body.id is None else {**response, "id": body.id}


INFER = Answer(Infer, infer)


def server() -> dict[str, Any]:
    """What the server is; no extensions."""
    return {"name": "enct5", "version": __version__, "extensions": []}


def metadata(model: ServedModel) -> dict[str, Any]:
    """The model's inputs and outputs."""
    texts = {"datatype": "BYTES", "shape": [-1]}
    inputs = [{"name": _TEXT, **texts}]
    if model.takes_pairs:
        inputs.append({"name": _PAIR, **texts})
    return {
        "name": model.name,
        "versions": ["1"],
        "platform": "enct5",
        "inputs": inputs,
        "outputs": _outputs(model),
    }


def _outputs(model: ServedModel) -> list[dict[str, Any]]:
    """`prediction` is what `Predictor.predict` gives, as JSON; numbers are by the labels' ids."""
    prediction = {"name": "prediction", "datatype": "BYTES", "shape": [-1]}
    task = model.predictor.task
    if task.inputs.windowed or model.task_names:
        return [prediction]
    count = len(model.labels)
    names = ["probabilities", "logits"] if task.has_probabilities else ["values"]
    return [*({"name": name, "datatype": "FP32", "shape": [-1, count]} for name in names), prediction]


def _tensor(model: ServedModel, name: str, logits: Any) -> dict[str, Any]:
    if name == "prediction":
        records = [record for record, _ in model.predictor.decoded(logits, top_k=1)]
        data = [json.dumps(record, ensure_ascii=False) for record in records]
        return {"name": name, "datatype": "BYTES", "shape": [len(data)], "data": data}
    numbers = logits if name == "logits" else scores(model, logits)
    flat = [float(number) for number in numbers.reshape(-1)]
    return {"name": name, "datatype": "FP32", "shape": list(numbers.shape), "data": flat}


def check(request: Request) -> None:
    """Refuse the binary extension; the protocol's clients do not say that their bodies are JSON."""
    if _BINARY in request.headers:
        raise RefusalError(Kind.MALFORMED, "binary tensors are not supported; send JSON (binary_data=False)")
    if "content-type" in request.headers:
        check_json(request)


def _texts(inputs: list[Tensor]) -> list[Any]:
    tensors = {tensor.name: _strings(tensor) for tensor in inputs}
    unknown = sorted(tensors.keys() - {_TEXT, _PAIR})
    if unknown or _TEXT not in tensors or len(tensors) < len(inputs):
        raise RefusalError(Kind.INVALID, "the inputs are `text`, and for pairs `text_pair`, once each")
    if _PAIR not in tensors:
        return tensors[_TEXT]
    if len(tensors[_TEXT]) != len(tensors[_PAIR]):
        raise RefusalError(Kind.INVALID, "`text` and `text_pair` differ in length")
    return list(zip(tensors[_TEXT], tensors[_PAIR], strict=True))


def _strings(tensor: Tensor) -> list[str]:
    """The texts of a tensor, flat or nested."""
    shape = tensor.shape
    if tensor.datatype != "BYTES":
        raise RefusalError(Kind.INVALID, f"`{tensor.name}` is {tensor.datatype}; texts are BYTES")
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]) or shape[0] < 1:
        raise RefusalError(Kind.INVALID, f"`{tensor.name}` has shape {shape}; texts are [n] or [n, 1]")
    flat = [part for one in tensor.data for part in (one if isinstance(one, list) else [one])]
    if len(flat) != prod(shape) or not all(isinstance(text, str) for text in flat):
        raise RefusalError(Kind.INVALID, f"`{tensor.name}` does not hold {prod(shape)} strings")
    return flat
