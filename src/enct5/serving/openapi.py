"""The routes as an OpenAPI document, and as a page that needs nothing from elsewhere."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic.json_schema import models_json_schema
from starlette.responses import HTMLResponse, Response

from enct5.reports import rendering
from enct5.serving.endpoint import Endpoint
from enct5.serving.refusal import Kind
from enct5.version import __version__

_REFS = "#/components/schemas/{model}"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_GETS = {
    "/health": "Whether the server is ready: models loaded and warmed up, not about to end",
    "/livez": "Whether the process answers",
    "/readyz": "As /health",
    "/info": "What the model is, as TEI says it",
    "/metrics": "Figures for Prometheus",
    "/v1/models": "The models, as OpenAI's clients list them, with tasks and labels",
    "/v2": "What the server is",
    "/v2/health/live": "As /livez",
    "/v2/health/ready": "As /health",
    "/v2/models": "Names of the models",
    "/v2/models/{model}": "A model's inputs and outputs",
    "/v2/models/{model}/ready": "As /health",
}


def document(endpoints: Sequence[Endpoint], guarded: bool) -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        endpoints: the routes that take JSON.
        guarded: whether they want a key.
    """
    bodies = list(dict.fromkeys(answer.body for endpoint in endpoints for answer in endpoint.answers))
    names, schemas = models_json_schema([(body, "validation") for body in bodies], ref_template=_REFS)
    paths: dict[str, Any] = {path: {"get": _get(path, summary)} for path, summary in _GETS.items()}
    for endpoint in endpoints:
        variants = [names[(answer.body, "validation")] for answer in endpoint.answers]
        schema = variants[0] if len(variants) == 1 else {"anyOf": variants}
        operation = {
            "summary": endpoint.summary,
            "description": "\n\n".join(filter(None, (answer.handle.__doc__ for answer in endpoint.answers))),
            "tags": [endpoint.tag],
            "operationId": f"post {endpoint.path}",
            "parameters": _parameters(endpoint.path),
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": schema, "example": endpoint.example}},
            },
            "responses": {"200": {"description": "The answer", "content": _JSON}, **_refusals(endpoint)},
        }
        if guarded:
            operation["security"] = [{"key": []}]
        paths.setdefault(endpoint.path, {})["post"] = operation
    components: dict[str, Any] = {"schemas": schemas.get("$defs", {})}
    if guarded:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "enct5", "version": __version__, "description": "Trained text models"},
        "paths": paths,
        "components": components,
    }


_JSON: dict[str, Any] = {"application/json": {"schema": {}}}


def _parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in ("model", "version")
        if f"{{{name}}}" in path
    ]


def _refusals(endpoint: Endpoint) -> dict[str, Any]:
    every = [endpoint.errors, *(answer.errors for answer in endpoint.answers if answer.errors)]
    statuses = {errors.statuses.get(kind, kind.status) for errors in every for kind in Kind}
    return {str(status): {"description": "Refused", "content": _JSON} for status in sorted(statuses)}


def _get(path: str, summary: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": f"get {path}",
        "parameters": _parameters(path),
        "responses": {str(status): {"description": said} for status, said in _STATUSES.items()},
    }


_STATUSES = {200: "The answer", 400: "Refused", 401: "No key", 404: "No such model", 503: "Not ready"}


def page(given: dict[str, Any]) -> Response:
    """The document as a page."""
    operations = [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation["summary"],
            "description": operation.get("description", ""),
            "tag": (operation.get("tags") or ["state"])[0],
            "example": _example(operation),
            "fields": _fields(operation, given["components"]["schemas"]),
        }
        for path, methods in given["paths"].items()
        for method, operation in methods.items()
    ]
    html = rendering.render("api.html.jinja", version=__version__, operations=operations)
    return HTMLResponse(html, headers={"content-security-policy": _POLICY, "x-content-type-options": "nosniff"})


def _example(operation: dict[str, Any]) -> str | None:
    if "requestBody" not in operation:
        return None
    return json.dumps(operation["requestBody"]["content"]["application/json"]["example"], ensure_ascii=False)


def _fields(operation: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """The bodies that a route takes: what each is, and its fields."""
    if "requestBody" not in operation:
        return []
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    found = []
    for variant in schema.get("anyOf", [schema]):
        body = schemas[variant["$ref"].rpartition("/")[2]]
        fields = [
            (name, name in body.get("required", ()), _kind(field, schemas), field.get("description", ""))
            for name, field in body["properties"].items()
        ]
        found.append({"about": body.get("description", ""), "fields": fields})
    return found


def _kind(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """A field's type in words."""
    if "$ref" in schema:
        return _kind(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        kinds = [_kind(one, schemas) for one in schema["anyOf"] if one.get("type") != "null"]
        return ", or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return " | ".join(schema["enum"])
    if schema.get("type") == "array":
        return f"list of ({_kind(schema['items'], schemas)})"
    if "properties" in schema:
        return "object of " + ", ".join(schema["properties"])
    least = f" from {schema['minimum']} on" if "minimum" in schema else ""
    return schema.get("type", "anything") + least
