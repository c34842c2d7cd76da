"""The page at `/`."""

from starlette.responses import HTMLResponse, Response

from enct5.serving.service import Service


def response(service: Service) -> Response:
    """The page."""
    return HTMLResponse("<!doctype html><title>enct5</title>")
