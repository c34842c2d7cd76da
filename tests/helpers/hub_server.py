"""A hub at this machine: the part of its HTTP by which repositories of models are made, filled and read."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TOKEN = "hf_right"


@dataclass
class File:
    """A file as an answer.

    Attributes:
        content: its bytes.
        commit: of the branch that it is from.
    """

    content: bytes
    commit: str


def commit_of(branch: str) -> str:
    """The commit at the head of `repository` or `repository@branch`."""
    return hashlib.sha1(branch.encode()).hexdigest()


@dataclass
class Hub:
    """What the hub holds, and how it behaves.

    Attributes:
        private: repository -> whether it is private.
        files: repository -> path -> content; that of a branch is `repository@branch`.
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

    def hold(self, branch: str, folder: Path) -> None:
        """Have a folder's files at `repository` or `repository@branch`, a private one."""
        self.private[branch.partition("@")[0]] = True
        self.files[branch] = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

    def answer(self, method: str, path: str, token: str | None, body: bytes) -> tuple[int, object]:
        """Status and content of the answer to a request."""
        self.requests.append(f"{method} {path}")
        path = path.partition("?")[0]
        if path.startswith("/blobs/"):  # where the address is the permission
            self.blobs[path.removeprefix("/blobs/")] = body
            return 200, {}
        if self.broken is not None and self.broken in path:
            return 403, {"error": "Private repository storage limit reached"}
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(*found.groups(), token)
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

    def _branch(self, name: str, revision: str) -> str:
        """The branch that a revision, its name or its commit, is of."""
        branches = {commit_of(branch): branch for branch in self.files if branch.partition("@")[0] == name}
        return branches.get(revision, name if revision == "main" else f"{name}@{revision}")

    def _file(self, name: str, revision: str, path: str, token: str | None) -> tuple[int, object]:
        if token != f"Bearer {TOKEN}" and self.private.get(name, True):
            return 401, {"error": "Repository not found", "code": "RepoNotFound"}
        branch = self._branch(name, revision)
        if branch not in self.files:
            return 404, {"error": f"Invalid rev id: {revision}", "code": "RevisionNotFound"}
        if path not in self.files[branch]:
            return 404, {"error": "Entry not found", "code": "EntryNotFound", "commit": commit_of(branch)}
        return 200, File(self.files[branch][path], commit_of(branch))

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
        kind, _, revision = rest.partition("/")
        if kind == "auth-check":
            return (200, {}) if name.startswith("me/") else (403, {"error": "no permission to write"})
        revision, _, folder = revision.partition("/")
        branch = self._branch(name, revision or "main")
        if folder:
            return 404, {"error": "Entry not found", "code": "EntryNotFound"}
        if kind in ("", "revision", "tree") and branch not in self.files:
            return 404, {"error": f"Invalid rev id: {revision}", "code": "RevisionNotFound"}
        if kind in ("", "revision"):
            siblings = [{"rfilename": path} for path in self.files[branch]]
            facts = {"id": name, "private": self.private[name], "sha": commit_of(branch), "tags": []}
            return 200, facts | {"siblings": siblings}
        if kind == "tree":
            return 200, [{"type": "file", "path": path, "size": 1, "oid": "1"} for path in self.files[branch]]
        if kind == "preupload":
            paths = [one["path"] for one in json.loads(body)["files"]]
            kinds = {path: "lfs" if path.endswith(".safetensors") else "regular" for path in paths}
            return 200, {"files": [{"path": path, "uploadMode": kinds[path], "shouldIgnore": False} for path in paths]}
        if kind == "commit":
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


def _headers(status: int, content: object) -> dict[str, str]:
    """What the hub says beside its answer."""
    if isinstance(content, File):
        return {"ETag": f'"{hashlib.sha1(content.content).hexdigest()}"', "X-Repo-Commit": content.commit}
    names = {"error": "X-Error-Message", "code": "X-Error-Code", "commit": "X-Repo-Commit"}
    return {names[key]: value for key, value in content.items() if key in names} if status >= 400 else {}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self._body()
        status, content = self.hub.answer(self.command, self.path, self.headers.get("authorization"), body)
        encoded = content.content if isinstance(content, File) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in _headers(status, content).items():
            self.send_header(name, value)
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


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """A hub that answers within the block, in the place of the real one; whoever asks has its token.

    What is read from it is kept in `cache`.
    """
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    constants = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_CACHE": str(cache),
    }
    # transformers keeps its client, with the address of then: that of another hub, long gone, is asked for a minute
    monkeypatch.setattr("transformers.utils.hub._hf_api", None, raising=False)
    for name, value in constants.items():
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
