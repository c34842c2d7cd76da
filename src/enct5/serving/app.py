"""The server as an ASGI application."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from enct5.serving import open_inference, openapi, page, plain, routes, tei
from enct5.serving.endpoint import as_json, check_key, refused
from enct5.serving.errors import OPEN_INFERENCE, OWN, TEI, Errors
from enct5.serving.refusal import Kind, RefusalError
from enct5.serving.service import Service

Get = Callable[[Service, Request], Any]


def app(service: Service, origins: Sequence[str] = ()) -> Starlette:
    """The application.

    Args:
        service: what answers; its threads start and end with the application.
        origins: of pages elsewhere that may ask it from a browser; none for no CORS.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    endpoints = routes.endpoints()
    posts = [Route(endpoint.path, endpoint.__call__, methods=["POST"]) for endpoint in endpoints]
    document = openapi.document(endpoints, guarded=service.api_key is not None)
    gets = [
        _get("/", lambda service, request: page.response("page.html")),
        _get("/page.css", lambda service, request: page.response("page.css")),
        _get("/page.js", lambda service, request: page.response("page.js")),
        _get("/docs", lambda service, request: openapi.page(document)),
        _get("/openapi.json", lambda service, request: document),
        _get("/metrics", lambda service, request: Response(service.metrics.text(), media_type="text/plain")),
        *(_get(path, _health) for path in ("/health", "/readyz", "/ping")),
        _get("/livez", lambda service, request: Response()),
        _get("/info", lambda service, request: tei.info(service.models.get(None)), TEI, guarded=True),
        _get("/models/{model}/info", lambda service, request: tei.info(_model(service, request)), TEI, guarded=True),
        _get("/models/{model}/health", _health, TEI),
        _get("/v1/models", _models, guarded=True),
        _get("/v1/models/{model}", lambda service, request: plain.about(_model(service, request)), guarded=True),
        _get("/v2", lambda service, request: open_inference.server()),
        _get("/v2/health/live", lambda service, request: {"live": True}),
        _get("/v2/health/ready", _ready, OPEN_INFERENCE),
        _get("/v2/models", lambda service, request: {"models": [model.name for model in service.models]}, guarded=True),
    ]
    for version in ("", "/versions/{version}"):
        path = f"/v2/models/{{model}}{version}"
        gets += [
            _get(path, _metadata, OPEN_INFERENCE, guarded=True),
            _get(f"{path}/ready", _model_ready, OPEN_INFERENCE),
        ]
    middleware = []
    if origins:
        headers = ["Authorization", "Content-Type"]
        middleware.append(
            Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=headers)
        )
    made = Starlette(
        routes=[*posts, *gets],
        middleware=middleware,
        exception_handlers={HTTPException: _unknown_route},
        lifespan=lifespan,
    )
    made.state.service = service
    return made


def _get(path: str, give: Get, errors: Errors = OWN, *, guarded: bool = False) -> Route:
    async def endpoint(request: Request) -> Response:
        service: Service = request.app.state.service
        try:
            if guarded:
                check_key(service, request)
            found = give(service, request)
            response = found if isinstance(found, Response) else as_json(found)
        except RefusalError as refusal:
            response = refused(refusal, errors)
        if service.draining:
            response.headers["connection"] = "close"
        return response

    return Route(path, endpoint, methods=["GET"])


def _model(service: Service, request: Request) -> Any:
    return service.models.get(request.path_params["model"], request.path_params.get("version"))


def _models(service: Service, request: Request) -> dict[str, Any]:
    return {"object": "list", "data": [plain.about(model) for model in service.models]}


def _metadata(service: Service, request: Request) -> dict[str, Any]:
    return open_inference.metadata(_model(service, request))


def _check_ready(service: Service) -> None:
    if (reason := service.not_ready()) is not None:
        raise RefusalError(Kind.UNAVAILABLE, reason, retry_after=1)


def _health(service: Service, request: Request) -> Response:
    try:
        _check_ready(service)
    except RefusalError as refusal:
        return refused(refusal, TEI)
    return Response()


def _ready(service: Service, request: Request) -> dict[str, Any]:
    _check_ready(service)
    return {"ready": True}


def _model_ready(service: Service, request: Request) -> dict[str, Any]:
    model = _model(service, request)
    _check_ready(service)
    return {"name": model.name, "ready": True}


async def _unknown_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        refusal = RefusalError(Kind.METHOD, f"{request.method} is not for this path")
    else:
        refusal = RefusalError(Kind.NOT_FOUND, "there is no such path; GET /docs lists them")
    response = refused(refusal, OPEN_INFERENCE if path.startswith("/v2/models") else OWN)
    response.headers.update(error.headers or {})
    return response
