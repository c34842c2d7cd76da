"""What of a run goes to the hub, and what is told before and after where it cannot."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import enct5
from enct5.cli.conversion import convert_folder
from enct5.errors import EncT5Error
from enct5.model.publishing import Repository
from helpers.hub_server import TOKEN, Hub
from helpers.runs import RUN_FILES, Run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """A finished run, with what users and TensorBoard leave there."""
    shutil.copytree(run.out, tmp_path / "run")
    for name in ("logs/events.out.tfevents.1.host", "adapter/adapter_model.safetensors", "adapter/notes.txt"):
        (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text("x")
    (tmp_path / "run" / "messages.csv").write_text("text\nsecret\n")
    return tmp_path / "run"


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def digests_of(folder: Path, *names: str) -> dict[str, str]:
    return digests({name: (folder / name).read_bytes() for name in names})


def test_what_can_be_loaded_goes_and_no_texts(hub: Hub, folder: Path, run: Run) -> None:
    repository = Repository("me/model")
    repository.check()
    repository.open()
    assert repository.push(folder) == f"{hub.url}/me/model"
    names = (RUN_FILES - {"report.html"}) | {"adapter/adapter_model.safetensors"}
    assert digests(hub.files["me/model"]) == digests_of(folder, *names)
    assert not hub.private["me/model"]
    texts = [json.loads(line)["text"] for line in Path(run.source).read_text(encoding="utf-8").splitlines()]
    for name in ("README.md", "config.json", "tokenizer_config.json", "metrics.json", "train_config.yaml"):
        said = hub.files["me/model"][name].decode()
        assert not [text for text in texts if text in said], name
        for private in (str(run.source), str(run.out.parent), str(folder.parent), TOKEN):
            assert private not in said, name


def test_the_card_calls_the_model_by_its_name(hub: Hub, folder: Path) -> None:
    repository = Repository("model")
    repository.open()
    assert repository.name == "me/model"  # one's own
    repository.push(folder)
    card = hub.files["me/model"]["README.md"].decode()
    assert 'Predictor.from_pretrained("me/model")' in card
    assert "path/to" not in card


def test_what_is_pushed_can_be_loaded(hub: Hub, folder: Path, run: Run, tmp_path: Path) -> None:
    hub.make("me/model")
    Repository("me/model").push(folder)
    for name, content in hub.files["me/model"].items():
        (tmp_path / "got" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "got" / name).write_bytes(content)
    texts = ["where is my parcel", "the card of my bank"]
    got, ours = (enct5.Predictor.from_pretrained(path) for path in (tmp_path / "got", run.out))
    assert got.predict(texts) == ours.predict(texts)
    assert got.config == ours.config


def test_what_an_older_model_left_goes_and_what_is_others_stays(hub: Hub, folder: Path) -> None:
    old = ("model-00001-of-00002.safetensors", "model.safetensors.index.json", "model.onnx", "conversion.json")
    hub.make("me/model", files=dict.fromkeys((*old, "picture.png", ".gitattributes"), b"old"))
    Repository("me/model").push(folder)
    assert not hub.files["me/model"].keys() & set(old)
    assert hub.files["me/model"]["picture.png"] == b"old"


def test_a_converted_checkpoint(hub: Hub, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    convert_folder(str(t5_folder()), tmp_path / "new", num_labels=2)
    hub.make("me/new")
    Repository("me/new").push(tmp_path / "new")
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert "conversion.json" in names
    assert digests(hub.files["me/new"]) == digests_of(tmp_path / "new", *names)


def test_a_private_repository(hub: Hub) -> None:
    Repository("me/model", private=True).open()
    assert hub.private["me/model"]
    Repository("me/model", private=True).open()  # once more
    Repository("me/model").open()
    assert hub.private["me/model"]


def test_what_is_public_does_not_become_private(hub: Hub) -> None:
    hub.make("me/model")
    with pytest.raises(EncT5Error, match=r"^me/model is on the hub already, for all to see, and --private"):
        Repository("me/model", private=True).open()


@pytest.mark.parametrize("name", ["a/b/c", "a b", "", "me/-model", "me/mo--del", "../model", "me/model.git"])
def test_what_can_be_no_name(hub: Hub, name: str) -> None:
    with pytest.raises(EncT5Error, match=r"\(--push-to-hub\) can be no name on the hub: .*; give one as in") as error:
        Repository(name).check()
    assert "\n" not in str(error.value)
    assert hub.requests == []


def test_nobody_is_logged_in(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    for token in (None, True, False, ""):
        with pytest.raises(
            EncT5Error, match=r"^pushing to me/model needs a token of the hub; log in by `hf auth login`"
        ):
            Repository("me/model", token=token).check()
    Repository("me/model", token=TOKEN).check()
    assert hub.requests == []


@pytest.mark.parametrize("token", ["hf_wrong", None])
def test_a_wrong_token_is_told_and_not_shown(hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str | None) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(EncT5Error, match=r"^cannot push to me/model: .*401.*; check the name, the network,") as error:
        Repository("me/model", token=token).open()
    assert "hf_wrong" not in str(error.value) + repr(Repository("me/model", token="hf_wrong"))
    assert hub.files == {}


def test_a_namespace_of_others(hub: Hub) -> None:
    with pytest.raises(EncT5Error, match=r"^cannot push to others/model: .*rights"):
        Repository("others/model").open()
    hub.make("others/model")  # which is there, and may be read
    with pytest.raises(EncT5Error, match=r"^cannot push to others/model: .*403"):
        Repository("others/model").open()


def test_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EncT5Error, match="the hub does not answer, or HF_HUB_OFFLINE is set"):
        Repository("me/model").open()


@pytest.mark.parametrize("broken", ["preupload", "commit", "/batch", "/tree"])
def test_an_upload_that_fails_says_how_to_do_it_later(hub: Hub, folder: Path, broken: str) -> None:
    hub.make("me/model")
    hub.broken = broken
    with pytest.raises(EncT5Error) as error:
        Repository("me/model").push(folder)
    assert str(error.value).startswith(f"the model in {folder} is complete, but could not be pushed: ")
    assert "storage limit" in str(error.value)
    assert str(error.value).endswith(
        f"; push it later by `hf upload me/model {folder} . --exclude 'report.html' --exclude 'report-*.html' "
        "--exclude 'logs/*'`"
    )
    assert hub.files["me/model"] == {}
    assert (folder / "config.json").is_file()
