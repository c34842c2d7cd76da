"""The shapes that dialects give an error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from enct5.serving.refusal import Kind, RefusalError

_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}


@dataclass(frozen=True)
class Errors:
    """A dialect's errors.

    Attributes:
        shape: from a refusal and its status to the JSON that is sent.
        statuses: where a kind has another status than elsewhere.
    """

    shape: Callable[[RefusalError, int], dict[str, Any]]
    statuses: Mapping[Kind, int] = field(default_factory=dict)


def _of_tei(refusal: RefusalError, status: int) -> dict[str, Any]:
    """TEI's, which Hugging Face's clients read as well."""
    return {"error": refusal.message, "error_type": refusal.kind.name_of_tei}


def _of_openai(refusal: RefusalError, status: int) -> dict[str, Any]:
    """OpenAI's and vLLM's; `message` at the top is what Cohere's clients read."""
    error = {
        "message": refusal.message,
        "type": _TYPES.get(status, "BadRequestError" if status < 500 else "InternalServerError"),
        "param": refusal.param,
        "code": status,
    }
    return {"error": error, "message": refusal.message}


def _of_open_inference(refusal: RefusalError, status: int) -> dict[str, Any]:
    """The Open Inference Protocol's."""
    return {"error": refusal.message}


# vLLM and the Open Inference Protocol have one status for all that is wrong with a request
_BAD_REQUESTS = {Kind.INVALID: 400, Kind.TOO_LONG: 400}

OWN = Errors(_of_openai)
TEI = Errors(_of_tei)
VLLM = Errors(_of_openai, _BAD_REQUESTS)
OPEN_INFERENCE = Errors(_of_open_inference, _BAD_REQUESTS)
