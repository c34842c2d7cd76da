"""`--overwrite`: the old output is whole until the new one is, and only what enct5 wrote is replaced."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enct5.cli import command
from enct5.cli.conversion import convert_folder
from enct5.errors import EncT5Error
from enct5.model.folder import CHECKPOINTS
from enct5.model.overwriting import CONVERTED, RUN, place, replace
from enct5.reports import training_report
from helpers.models import saved_model
from helpers.runs import RUN_FILES, Run, make_checkpoint, settings_of

pytestmark = pytest.mark.usefixtures("one_thread")

Enct5 = Callable[..., tuple[int, str]]


@pytest.fixture
def enct5(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Enct5:
    """Runs the command in this process, and gives its status and errors."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["enct5", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def aside(out: Path) -> Path:
    """Where the folder that is to replace `out` is made."""
    return out.with_name(f"{out.name}.overwrite") / out.name


def folder_of(out: Path, kind: str, text: str) -> Path:
    """As little as makes a folder one of a kind."""
    out.mkdir(parents=True)
    (out / "config.json").write_text('{"model_type": "enct5"}')
    (out / {RUN: "metrics.json", CONVERTED: "conversion.json"}[kind]).write_text(text)
    return out


@pytest.fixture
def old(run: Run, tmp_path: Path) -> Path:
    """A finished run."""
    return Path(shutil.copytree(run.out, tmp_path / "run"))


def arguments_of(run: Run, out: Path, *options: object) -> tuple[object, ...]:
    chosen = ("--text", "text", "--label", "label", "--base", run.base, "--epochs", 1, "--batch-size", 8)
    return ("train", run.source, *chosen, "--out", out, *options)


def test_a_run_is_replaced_when_the_new_one_is_complete(
    run: Run, old: Path, tmp_path: Path, enct5: Enct5, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, error = enct5(*arguments_of(run, old))
    assert (status, error.count("\n")) == (2, 1)
    assert f"{old} exists and is not empty" in error
    assert "--overwrite" in error
    before = contents(old)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training_report, "write", stop)
        status, error = enct5(*arguments_of(run, old, "--overwrite"))
    assert status == 130
    assert f"--resume continues the run in {aside(old)}" in error
    assert contents(old) == before

    status, error = enct5(*arguments_of(run, old, "--overwrite"))
    assert status == 2
    assert f"{aside(old)} holds an interrupted run; continue it with --resume, or delete it" in error
    assert contents(old) == before

    status, error = enct5(*arguments_of(run, old, "--overwrite", "--resume"))
    assert status == 0, error
    assert set(contents(old)) == RUN_FILES
    assert contents(old)["model.safetensors"] != before["model.safetensors"]
    assert (settings_of(old).epochs, settings_of(old).out) == (1, "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_is_not_replaced_by_one_from_itself_nor_by_one_that_cannot_start(
    run: Run, old: Path, tmp_path: Path, enct5: Enct5
) -> None:
    before = contents(old)
    for options, message in (
        (("--base", old), f"{old} is what is read"),
        (("--eval", tmp_path / "none.csv"), "none.csv"),
    ):
        status, error = enct5(*arguments_of(run, old, "--overwrite", *options))
        assert (status, error.count("\n")) == (2, 1)
        assert message in error
        assert contents(old) == before
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_student_replaces_a_finished_run_but_not_its_teacher(
    run: Run, old: Path, tmp_path: Path, enct5: Enct5
) -> None:
    before = contents(old)
    chosen = ("--text", "text", "--base", run.base, "--epochs", 1, "--batch-size", 8, "--out", old, "--overwrite")
    status, error = enct5("distill", old, run.source, *chosen)
    assert (status, f"{old} is what is read" in error) == (2, True)
    assert contents(old) == before
    status, error = enct5("distill", run.out, run.source, *chosen)
    assert status == 0, error
    assert set(contents(old)) == RUN_FILES
    assert "distillation" in json.loads(contents(old)["metrics.json"])
    assert "\nout: run\n" in contents(old)["train_config.yaml"].decode()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_converted_model_is_replaced(
    t5_folder: Callable[..., Path], tmp_path: Path, enct5: Enct5, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, out = t5_folder(), tmp_path / "out"
    convert_folder(str(base), out, 2)
    (out / "README.md").write_text("former")
    before = contents(out)
    status, error = enct5("convert", base, out, "--num-labels", 3)
    assert status == 2
    assert "--overwrite" in error
    shutil.copytree(base, tmp_path / "cut")
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"cut")
    assert enct5("convert", tmp_path / "cut", out, "--num-labels", 3, "--overwrite")[0] == 2
    assert contents(out) == before
    assert not aside(out).parent.exists()
    status, error = enct5("convert", base, out, "--num-labels", 3, "--overwrite")
    assert status == 0, error
    convert_folder(str(base), tmp_path / "as_new", 3)
    assert contents(out).keys() == contents(tmp_path / "as_new").keys()
    assert contents(out)["config.json"] == contents(tmp_path / "as_new")["config.json"]
    assert contents(out)["README.md"] != b"former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["as_new", "cut", "out"]


def test_what_is_new_or_empty_needs_no_folder_beside_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "none"):
        assert place(tmp_path / name, RUN) == tmp_path / name


def test_what_enct5_did_not_write_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("notes.txt", "adapter/notes.txt", "model.pt", ".git/x"):
        out = folder_of(tmp_path / name.replace("/", "-"), RUN, "{}")
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
        foreign = name if name.startswith("adapter") else name.partition("/")[0]
        with pytest.raises(EncT5Error, match=f"{out} holds {foreign}( and 1 more)?, which enct5 did not write"):
            place(out, RUN)
    others = tmp_path / "others"
    others.mkdir()
    (others / "config.json").write_text('{"model_type": "t5"}')
    (others / "metrics.json").write_text("{}")
    (tmp_path / "file").write_text("mine")
    for out, kind in (
        (others, RUN),
        (tmp_path / "file", RUN),
        (folder_of(tmp_path / "converted", CONVERTED, "{}"), RUN),
        (folder_of(tmp_path / "run", RUN, "{}"), CONVERTED),
    ):
        with pytest.raises(EncT5Error, match=f"{out} holds no {kind}"):
            place(out, kind)


def test_what_came_into_the_old_folder_meanwhile_is_kept(tmp_path: Path) -> None:
    out = folder_of(tmp_path / "out", RUN, "old")
    folder_of(new := place(out, RUN), RUN, "new")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(EncT5Error, match=rf"holds notes.txt, .*; {new} is complete and stays"):
        replace(out, new, RUN)
    assert ((out / "metrics.json").read_text(), (new / "metrics.json").read_text()) == ("old", "new")


def test_a_link_stays_a_link_and_modes_stay(tmp_path: Path) -> None:
    target = folder_of(tmp_path / "target", RUN, "old")
    target.chmod(0o700)
    (tmp_path / "link").symlink_to(target)
    new = place(tmp_path / "link", RUN)
    assert new == aside(target)
    replace(tmp_path / "link", folder_of(new, RUN, "new"), RUN)
    assert (tmp_path / "link").is_symlink()
    assert (target / "metrics.json").read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o700


def test_a_failed_rename_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder_of(tmp_path / "out", RUN, "old")
    folder_of(new := place(out, RUN), RUN, "new")
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if source == new:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(EncT5Error, match=rf"cannot replace {out}: Input/output error; {new} is complete and stays"):
        replace(out, new, RUN)
    assert ((out / "metrics.json").read_text(), (new / "metrics.json").read_text()) == ("old", "new")
    with pytest.raises(EncT5Error, match=f"{new} is complete, but .* cut off before it replaced {out}"):
        place(out, RUN)


@pytest.mark.parametrize("renames", [1, 2])
def test_a_call_killed_between_the_renames_is_told(tmp_path: Path, renames: int) -> None:
    out = folder_of(tmp_path / "out", RUN, "old")
    new = folder_of(place(out, RUN), RUN, "new")
    os.rename(out, former := new.with_name("out.old"))
    if renames == 2:
        os.rename(new, out)
    told = {1: f"move {former} or {new} to {out}, and delete {new.parent}", 2: f"delete {new.parent}"}[renames]
    with pytest.raises(EncT5Error) as caught:
        place(out, RUN)
    assert str(caught.value).endswith(f"whose former content is {former}; {told}")


def test_folders_that_only_have_such_a_name_are_left_alone(tmp_path: Path) -> None:
    out = folder_of(tmp_path / "out", RUN, "old")
    others = folder_of(tmp_path / "out.overwrite", RUN, "others")
    with pytest.raises(EncT5Error, match=f"{others} is in the way"):
        place(out, RUN)
    shutil.rmtree(others)
    others.write_text("mine")
    with pytest.raises(EncT5Error, match=f"{others} is in the way"):
        place(out, RUN)


def test_the_folder_where_one_stands_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder_of(tmp_path / "out", RUN, "old"))
    with pytest.raises(EncT5Error, match=r"\. is where you are and cannot be replaced"):
        place(Path(), RUN)


def test_a_run_killed_at_its_very_end_is_replaced(tmp_path: Path) -> None:
    out = folder_of(tmp_path / "out", RUN, "old")
    make_checkpoint(out, 3)
    replace(out, folder_of(place(out, RUN), RUN, "new"), RUN)
    assert contents(out).keys() == {"config.json", "metrics.json"}
    assert (out / "metrics.json").read_text() == "new"


def test_an_interrupted_run_is_resumed_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "out" / CHECKPOINTS).mkdir(parents=True)
    assert place(tmp_path / "out", RUN) == tmp_path / "out"
    with pytest.raises(EncT5Error, match="holds no converted model"):
        place(tmp_path / "out", CONVERTED)


def test_predictions_replace_a_file_when_they_are_complete(
    t5_folder: Callable[..., Path], tmp_path: Path, enct5: Enct5
) -> None:
    saved_model(t5_folder(), tmp_path / "model", ("x", "y"))
    out = tmp_path / "out.csv"
    out.write_text("former")
    (tmp_path / "in.csv").write_text("text\na\n")
    assert enct5("predict", tmp_path / "model", tmp_path / "in.csv", "--text", "none", "-o", out)[0] == 2
    assert out.read_text() == "former"
    assert enct5("predict", tmp_path / "model", tmp_path / "in.csv", "--text", "text", "-o", out)[0] == 0
    assert out.read_text().startswith("text,label,score\na,")
    os.mkfifo(tmp_path / "pipe.csv")
    status, error = enct5("predict", tmp_path / "model", tmp_path / "in.csv", "-o", tmp_path / "pipe.csv")
    assert status == 2
    assert "pipe.csv: it is no regular file" in error
