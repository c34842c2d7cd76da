"""`--push-to-hub`: told before training where it cannot be, and never at the price of what was trained."""

from collections.abc import Callable
from pathlib import Path

import pytest

import enct5 as package
from enct5.errors import EncT5Error
from helpers.command import TRAIN, Ended
from helpers.hub_server import TOKEN, Hub
from helpers.runs import RUN_FILES, messages

pytestmark = pytest.mark.usefixtures("one_thread")
PUBLISHED = RUN_FILES - {"report.html"}
QUICK = {"epochs": 1, "batch_size": 8, "learning_rate": 3e-3}


@pytest.fixture
def train(place: Path, tmp_path: Path, enct5: Callable[..., Ended]) -> Callable[..., Ended]:
    """`enct5 train` for a moment."""
    command = [*TRAIN.format(p=place).split()[:-1], tmp_path / "run", "--epochs", 1]
    return lambda *options: enct5(*command, *options)


def test_a_run_is_pushed(hub: Hub, train: Callable[..., Ended], tmp_path: Path) -> None:
    ended = train("--push-to-hub", "me/model", "--private")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == f"pushed: {hub.url}/me/model"
    assert hub.private == {"me/model": True}
    pushed = hub.files["me/model"]
    assert pushed == {name: (tmp_path / "run" / name).read_bytes() for name in PUBLISHED}
    assert hub.requests.index("POST /api/repos/create") < hub.requests.index(
        "GET /api/models/me/model/auth-check/write"
    )
    assert not [file for file in (tmp_path / "run").iterdir() if TOKEN.encode() in file.read_bytes()]


def test_what_replaces_a_run_is_pushed_too(hub: Hub, train: Callable[..., Ended], tmp_path: Path) -> None:
    assert train().status == 0
    assert hub.requests == []
    ended = train("--overwrite", "--seed", 1, "--push-to-hub", "model")
    assert ended.out.splitlines()[-1] == f"pushed: {hub.url}/me/model"
    assert b"seed: 1" in hub.files["me/model"]["train_config.yaml"]


def test_a_student_and_a_converted_checkpoint_are_pushed(
    hub: Hub, place: Path, tmp_path: Path, enct5: Callable[..., Ended], train: Callable[..., Ended]
) -> None:
    assert train().status == 0
    base = ("--text", "text", "--base", place / "t5", "--epochs", 1, "--out", tmp_path / "student")
    ended = enct5("distill", tmp_path / "run", place / "good.csv", *base, "--push-to-hub", "me/student")
    assert (ended.status, ended.err) == (0, "")
    assert hub.files["me/student"].keys() == PUBLISHED
    ended = enct5("convert", place / "t5", tmp_path / "new", "--num-labels", 2, "--push-to-hub", "me/new")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == f"pushed: {hub.url}/me/new"
    assert hub.files["me/new"].keys() == {path.name for path in (tmp_path / "new").iterdir()}


@pytest.mark.parametrize("command", ["train", "convert"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--push-to-hub a/b/c", "can be no name on the hub"),
        ("--push-to-hub others/model", "cannot push to others/model: "),
        ("--private", "--private is for the repository of --push-to-hub"),
    ],
)
def test_what_cannot_be_pushed_is_told_first(
    hub: Hub, place: Path, tmp_path: Path, enct5: Callable[..., Ended], command: str, options: str, message: str
) -> None:
    arguments = {
        "train": f"train {place}/good.csv --text text --label label --base {place}/t5 --out {tmp_path}/new",
        "convert": f"convert {place}/t5 {tmp_path}/new --num-labels 2",
    }
    ended = enct5(*arguments[command].split(), *options.split())
    assert ended.status == 2
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_wrong_token_costs_no_training(hub: Hub, train: Callable[..., Ended], monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    ended = train("--push-to-hub", "me/model")
    assert ended.status == 2
    assert ended.err.startswith("enct5: cannot push to me/model: 401 `Invalid username or password.`; check")
    assert "epoch " not in ended.out
    assert "hf_wrong" not in ended.out + ended.err
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_used_makes_no_repository(hub: Hub, place: Path, enct5: Callable[..., Ended]) -> None:
    ended = enct5(*TRAIN.format(p=place).replace("good", "one_class").split(), "--push-to-hub", "me/model")
    assert ended.status == 2
    assert hub.private == {}
    with pytest.raises(EncT5Error):
        package.train(str(place / "one_class.csv"), text="text", label="label", push_to_hub="me/model")
    assert hub.private == {}


def test_a_push_that_fails_leaves_the_run(hub: Hub, train: Callable[..., Ended], tmp_path: Path) -> None:
    hub.broken = "preupload"
    ended = train("--push-to-hub", "me/model")
    assert ended.status == 2
    assert "macro_f1" in ended.out
    assert f"enct5: the model in {tmp_path / 'run'} is complete, but could not be pushed: " in ended.err
    assert ended.err.count("\n") == 1
    assert {path.name for path in (tmp_path / "run").iterdir()} == RUN_FILES


def test_from_python(hub: Hub, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    run = package.train(
        messages(30),
        text="text",
        label="label",
        base=place / "t5",
        **QUICK,
        push_to_hub="model",
        private=True,
        token=TOKEN,
    )
    assert hub.private == {"me/model": True}
    assert hub.files["me/model"] == {name: (run.folder / name).read_bytes() for name in PUBLISHED}
    assert run.push_to_hub("me/again", token=TOKEN) == f"{hub.url}/me/again"
    assert not hub.private["me/again"]
    assert TOKEN not in repr(run) + repr(run.record)
    assert not [file for file in run.folder.iterdir() if TOKEN.encode() in file.read_bytes()]


def test_from_python_a_temporary_folder_that_could_not_be_pushed_stays(hub: Hub, place: Path) -> None:
    hub.broken = "commit"
    with pytest.raises(EncT5Error, match="is complete, but could not be pushed") as error:
        package.train(messages(30), text="text", label="label", base=place / "t5", **QUICK, push_to_hub="me/model")
    folder = Path(str(error.value).removeprefix("the model in ").partition(" is complete")[0])
    assert {path.name for path in folder.iterdir()} == RUN_FILES
