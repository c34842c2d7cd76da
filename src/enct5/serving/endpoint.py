"""What every route does around its own answer: key, limits, deadline, errors in the dialect's shape, figures."""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import pydantic
import pydantic_core
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from typing_extensions import TypeAliasType

from enct5.errors import EncT5Error
from enct5.serving.errors import Errors
from enct5.serving.models import ServedModel
from enct5.serving.refusal import Kind, RefusalError
from enct5.serving.service import Service

logger = logging.getLogger(__name__)

_TIMEOUT_HEADER = "x-request-timeout"


T = TypeVar("T")
# A list whose first wrong element is told, not a hundred thousand of them.
Many = TypeAliasType("Many", Annotated[list[T], pydantic.FailFast()], type_params=(T,))
Texts = Many[str]


class Body(pydantic.BaseModel):
    """A request as a dialect defines it; fields that it does not name are left alone, as its own servers do."""

    model_config = pydantic.ConfigDict(strict=True, extra="ignore", protected_namespaces=())


@dataclass
class Call:
    """A request on its way.

    Attributes:
        service: what answers.
        http: the request as it came.
        model: the name of the model that answers.
        texts: how many it has.
        tokens: how many the model read.
        answer: what its body is for, once that is known.
    """

    service: Service
    http: Request
    answer: "Answer | None" = None
    model: str = ""
    texts: int = 0
    tokens: int = 0

    def model_of(self, name: str | None = None, *, one_task: bool = True) -> ServedModel:
        """The model that the path names, or the body, or the only one; of several tasks only where that may be."""
        given = self.http.path_params
        model = self.service.models.get(given.get("model", name), given.get("version"))
        self.model = model.name
        if one_task:
            model.check_one_task()
        return model


@dataclass(frozen=True)
class Answer:
    """How a dialect reads one kind of body.

    Attributes:
        body: what it has to be.
        handle: gives the response, or what is to be its JSON.
        fits: whether a body is meant for this one, of several that a path has.
        errors: the dialect's errors, where they differ from the path's.
    """

    body: type[Body]
    handle: Callable[[Call, Any], Awaitable[Any]]
    fits: Callable[[Any], bool] = lambda value: True
    errors: Errors | None = None


def check_json(request: Request) -> None:
    """Refuse what does not say that it is JSON, which a page of another site cannot say without being asked."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise RefusalError(Kind.MEDIA_TYPE, "send JSON, with `Content-Type: application/json`")


@dataclass(frozen=True)
class Endpoint:
    """A route that takes JSON.

    Attributes:
        path: where it is.
        summary: what it gives, in a line.
        answers: the kinds of body it takes; the first one that fits is taken, or else the last.
        errors: the dialect's.
        check: refuses what cannot be read at all, before the body is.
        tag: the dialect's name.
        example: a body.
    """

    path: str
    summary: str
    answers: Sequence[Answer]
    errors: Errors
    tag: str
    example: dict[str, Any]
    check: Callable[[Request], None] = check_json

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        call = Call(request.app.state.service, request)
        started = time.monotonic()
        try:
            response = await self._in_time(call)
        except RefusalError as refusal:
            response = refused(refusal, (call.answer and call.answer.errors) or self.errors)
        except ClientDisconnect:
            call.service.metrics.dropped("disconnected")
            response = Response(status_code=499)  # nobody reads it
        except Exception:
            logger.exception("%s failed", self.path)
            response = refused(RefusalError(Kind.INTERNAL, "internal error; the server's log tells more"), self.errors)
        call.service.answered(self.path, response, call, time.monotonic() - started)
        return response

    async def _in_time(self, call: Call) -> Response:
        """The answer, unless the client goes or time is up, when what it waits for is dropped."""
        service = call.service
        check_key(service, call.http)
        service.check_room()
        seconds = _seconds(call.http, service.limits.timeout)
        ends = asyncio.get_running_loop().time() + seconds
        value = await self._value(call, seconds)
        work = asyncio.ensure_future(self._answer(call, value))
        gone = asyncio.ensure_future(_disconnected(call.http))
        left = ends - asyncio.get_running_loop().time()
        try:
            await asyncio.wait((work, gone), timeout=max(0, left), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if gone.done():
                raise ClientDisconnect
            service.metrics.dropped("timeout")
            raise RefusalError(Kind.UNAVAILABLE, f"not answered within {seconds:g} s", retry_after=1)
        finally:
            gone.cancel()
            if work.cancel():
                await asyncio.wait((work,))  # which leaves the queue

    async def _answer(self, call: Call, value: Any) -> Response:
        answer = call.answer = next((one for one in self.answers if one.fits(value)), self.answers[-1])
        try:
            body = answer.body.model_validate(value)
        except pydantic.ValidationError as error:
            raise _invalid(error) from None
        try:
            found = await answer.handle(call, body)
        except EncT5Error as error:
            raise RefusalError(Kind.INVALID, str(error)) from error
        return found if isinstance(found, Response) else as_json(found)

    async def _value(self, call: Call, seconds: float) -> Any:
        """The body as JSON."""
        self.check(call.http)
        try:
            content = await asyncio.wait_for(_content(call.http, call.service.limits.body), seconds)
        except asyncio.TimeoutError:
            raise RefusalError(Kind.SLOW_BODY, f"the body was not here within {seconds:g} s") from None
        try:
            return pydantic_core.from_json(content, allow_inf_nan=False)
        except ValueError as error:
            raise RefusalError(Kind.MALFORMED, f"the body is no JSON: {error}") from None


def check_key(service: Service, request: Request) -> None:
    """Refuse a request without the server's key, if it has one."""
    if service.api_key is None:
        return
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), service.api_key.encode()):
        raise RefusalError(Kind.UNAUTHORIZED, "a key is needed: `Authorization: Bearer <key>`")


def refused(refusal: RefusalError, errors: Errors) -> Response:
    """The response of a refusal."""
    status = errors.statuses.get(refusal.kind, refusal.kind.status)
    response = as_json(errors.shape(refusal, status), status)
    if refusal.retry_after is not None:
        response.headers["retry-after"] = str(refusal.retry_after)
    if refusal.kind is Kind.UNAUTHORIZED:
        response.headers["www-authenticate"] = "Bearer"
    if refusal.kind in (Kind.TOO_LARGE, Kind.SLOW_BODY):
        response.headers["connection"] = "close"  # the rest of the body is not read
    return response


def as_json(value: Any, status: int = 200) -> Response:
    """A response of JSON; numbers that JSON has not are refused."""
    try:
        content = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise RefusalError(Kind.NOT_FOR_MODEL, "score is NaN") from None
    return Response(content, status, media_type="application/json")


async def _content(request: Request, most: int) -> bytes:
    too_large = RefusalError(Kind.TOO_LARGE, f"the body has more than {most} bytes")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large
        parts.append(part)
    return b"".join(parts)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _seconds(request: Request, most: float) -> float:
    """The request's own deadline, if it is sooner than the server's."""
    given = request.headers.get(_TIMEOUT_HEADER)
    if given is None:
        return most
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not seconds > 0:
        raise RefusalError(Kind.MALFORMED, "X-Request-Timeout has to be a number of seconds")
    return min(seconds, most)


def _invalid(error: pydantic.ValidationError) -> RefusalError:
    """What is wrong with a body: of all that a union of types says the error that got furthest."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    furthest = max(errors, key=lambda one: len(one["loc"]))
    # a place has names of the types that a field may have between those of fields
    places = [str(part) for part in furthest["loc"] if isinstance(part, int) or (part.islower() and part != "str")]
    where = ".".join(place for place in places if "[" not in place)
    said = furthest["msg"].removeprefix("Value error, ")
    return RefusalError(Kind.INVALID, f"{where}: {said}" if where else said, where or None)
