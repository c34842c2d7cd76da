"""A hub at this machine: the part of its HTTP by which repositories of models are made and filled."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

TOKEN = "hf_right"


@dataclass
class Hub:
    """What the hub holds, and how it behaves.

    Attributes:
        private: repository -> whether it is private.
        files: repository -> path -> content.
        broken: part of the paths of requests that are refused.
        requests: what was asked for, `METHOD path`.
    """

    private: dict[str, bool] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    broken: str | None = None
    requests: list[str] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    url: str = ""

    def make(self, name: str, private: bool = False, files: dict[str, bytes] | None = None) -> None:
        """Have a repository."""
        self.private[name], self.files[name] = private, dict(files or {})

    def answer(self, method: str, path: str, token: str | None, body: bytes) -> tuple[int, object]:
        """Status and content of the answer to a request."""
        self.requests.append(f"{method} {path}")
        path = path.partition("?")[0]
        if path.startswith("/blobs/"):  # where the address is the permission
            self.blobs[path.removeprefix("/blobs/")] = body
            return 200, {}
        if self.broken is not None and self.broken in path:
            return 403, {"error": "Private repository storage limit reached"}
        if token != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid username or password."}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path.endswith(".git/info/lfs/objects/batch"):
            return 200, self._batch(json.loads(body))
        name, _, rest = path.removeprefix("/api/models/").partition("/")
        owner, (name, _, rest) = name, rest.partition("/")
        return self._of(f"{owner}/{name}", rest, body)

    def _create(self, asked: dict) -> tuple[int, object]:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if asked.get("organization") not in (None, "me"):
            return 403, {"error": f"You don't have the rights to create a model under the namespace {name}"}
        if name in self.private:
            return 409, {"error": "You already created this model repo", "url": f"{self.url}/{name}"}
        self.make(name, asked.get("visibility") == "private" or bool(asked.get("private")))
        return 200, {"url": f"{self.url}/{name}"}

    def _batch(self, asked: dict) -> object:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.url}/blobs/{one['oid']}"}}} for one in asked["objects"]
        ]
        return {"transfer": "basic", "objects": objects}

    def _of(self, name: str, rest: str, body: bytes) -> tuple[int, object]:
        if name not in self.private:
            return 404, {"error": "Repository not found"}
        if rest == "auth-check/write":
            return (200, {}) if name.startswith("me/") else (403, {"error": "no permission to write"})
        if rest in ("", "revision/main"):
            siblings = [{"rfilename": path} for path in self.files[name]]
            return 200, {"id": name, "private": self.private[name], "sha": "1" * 40, "siblings": siblings, "tags": []}
        if rest == "tree/main":
            return 200, [{"type": "file", "path": path, "size": 1, "oid": "1"} for path in self.files[name]]
        if rest == "preupload/main":
            paths = [one["path"] for one in json.loads(body)["files"]]
            kinds = {path: "lfs" if path.endswith(".safetensors") else "regular" for path in paths}
            return 200, {"files": [{"path": path, "uploadMode": kinds[path], "shouldIgnore": False} for path in paths]}
        if rest == "commit/main":
            for line in map(json.loads, body.splitlines()):
                self._commit(self.files[name], line["key"], line["value"])
            return 200, {"commitUrl": f"{self.url}/{name}/commit/{'1' * 40}", "commitOid": "1" * 40}
        return 404, {"error": f"nothing at {rest}"}

    def _commit(self, files: dict[str, bytes], key: str, value: dict) -> None:
        if key == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif key == "lfsFile":
            files[value["path"]] = self.blobs[value["oid"]]
        elif key == "deletedFile":
            del files[value["path"]]


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that answers within the block, in the place of the real one; whoever asks has its token."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self._body()
            status, content = hub.answer(self.command, self.path, self.headers.get("authorization"), body)
            encoded = json.dumps(content).encode()
            self.send_response(status)
            if status >= 400:
                self.send_header("X-Error-Message", content["error"])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(encoded)

        do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815  # as http.server calls them

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    for name, value in (("ENDPOINT", hub.url), ("HF_HUB_OFFLINE", False), ("HF_HUB_DISABLE_XET", True)):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
