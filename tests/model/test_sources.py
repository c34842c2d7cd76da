"""What a name stands for is told without torch, and the hub is waited for only as long as it may answer."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from enct5.errors import EncT5Error
from enct5.files.paths import foreign, is_file_name
from enct5.inference.described import described
from enct5.model import sources
from enct5.model.sources import check_source, prepare_for_hub


@pytest.mark.parametrize("name", ["https://example.org/x", "s3://bucket/x.csv", "HTTP://x", "file:///x"])
def test_a_url_is_foreign(name: str) -> None:
    assert foreign(name) == "a URL"


@pytest.mark.skipif(os.name == "nt", reason="there they are paths")
@pytest.mark.parametrize("name", ["C:\\x\\y.csv", "c:/x", "\\\\server\\share"])
def test_a_windows_path_is_foreign(name: str) -> None:
    assert "Windows" in str(foreign(name))


@pytest.mark.parametrize(
    "name", ["org/name", "imdb:train", "org/name:train[:10%]", "a.csv", "/x/y", "~/x", "org/v1.0:x"]
)
def test_names_and_paths_are_not_foreign(name: str) -> None:
    assert foreign(name) is None


def test_names_of_files() -> None:
    assert all(map(is_file_name, ("a.csv", "org/b.JSONL", "c.tsv.gz", "model.safetensors")))
    assert not any(map(is_file_name, ("org/name", "google/t5-v1_1-small", "org/flan-t5-3.5", "csv")))


@pytest.mark.parametrize("name", ["org/name", "t5-small", "google/t5-v1_1-base"])
def test_an_id_on_the_hub_is_let_pass(name: str) -> None:
    check_source(name)


@pytest.mark.parametrize(
    "name", ["", "a b", "./x", "/x", "~/x", "a/b/c", "x.csv", "org/x.bin", "https://hf.co/a/b", "c:/x"]
)
def test_what_can_be_no_checkpoint_is_refused(name: str) -> None:
    with pytest.raises(EncT5Error, match="folder"):
        check_source(name)


def test_a_folder_of_a_like_name_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "intents").mkdir()
    (tmp_path / "intends.csv").touch()
    with pytest.raises(EncT5Error, match=f"did you mean {tmp_path / 'intents'}\\?$"):
        check_source(str(tmp_path / "intends"))


def test_a_folder_says_what_its_model_predicts(tmp_path: Path) -> None:
    config = {"model_type": "enct5", "problem_type": "regression"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = described(str(tmp_path))
    assert found is not None
    assert (found.task.name, found.config) == ("regression", None)
    for other in ("{", "[]", '{"model_type": "t5"}', '{"model_type": "enct5", "problem_type": "x"}'):
        (tmp_path / "config.json").write_text(other)
        assert described(str(tmp_path)) is None
    assert described("org/name") is None


def test_without_an_answer_the_hub_is_taken_for_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(sources, "_hub_answers", lambda: True)
    prepare_for_hub("org/name")
    monkeypatch.setattr(sources, "_hub_answers", lambda: False)
    prepare_for_hub(str(tmp_path), None)
    assert "HF_HUB_OFFLINE" not in os.environ
    prepare_for_hub(None, "org/name")
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_the_hub_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(sources, "_LONGEST_WAIT", 0.01)
    done = threading.Event()
    monkeypatch.setattr(sources, "_hub_answers", lambda: done.wait(60))
    started = time.monotonic()
    prepare_for_hub("org/name")
    done.set()
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert time.monotonic() - started < 50


@pytest.mark.parametrize("said", ["0", "1"])
def test_what_the_user_says_of_the_network_holds(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", said)
    monkeypatch.setattr(sources, "_hub_answers", lambda: pytest.fail("asked"))
    prepare_for_hub("org/name")
    assert os.environ["HF_HUB_OFFLINE"] == said


def test_a_closed_port_gives_no_answer_and_an_error_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer

    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # which answers every request with an error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    assert sources._hub_answers()
    server.shutdown()
    server.server_close()
    assert not sources._hub_answers()
