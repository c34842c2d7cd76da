"""The page at `/`, on which a person asks a model: three files, and nothing from elsewhere."""

from importlib.resources import files

from starlette.responses import Response

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


def response(name: str) -> Response:
    """One of the files: `page.html`, `page.css` or `page.js`."""
    content = files("enct5.serving").joinpath("page_files").joinpath(name).read_text(encoding="utf-8")
    return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers=_HEADERS)
