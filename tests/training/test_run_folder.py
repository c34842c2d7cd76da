"""The run folder: who may write into it, what an interrupted run continues from, whole files or none."""

import json
from pathlib import Path

import pytest

from enct5.cli.conversion import convert_folder
from enct5.errors import EncT5Error
from enct5.model.folder import Ancestry, ancestry_of, public_name
from enct5.training.run_folder import claim, finish
from helpers.runs import Run, make_checkpoint


def claimed(out: Path, resume: bool) -> Path | None:
    with claim(out, resume) as checkpoint:
        return checkpoint


def refusal(out: Path, resume: bool) -> str:
    with pytest.raises(EncT5Error) as caught:
        claimed(out, resume)
    assert str(out) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("made_before", [False, True])
def test_a_new_or_empty_folder_starts_a_run(tmp_path: Path, made_before: bool) -> None:
    out = tmp_path / "deep" / "run"
    if made_before:
        out.mkdir(parents=True)
    with claim(out, resume=False) as checkpoint:
        assert checkpoint is None
        assert (out / "checkpoints").is_dir()
    assert out.exists() == made_before  # nothing of a run came into it
    assert list(tmp_path.rglob("*")) == ([tmp_path / "deep", out] if made_before else [])
    with claim(out, resume=False):
        (out / "checkpoints" / "begun").touch()
    assert claimed(out, resume=True) is None


def test_a_folder_to_resume_stays_when_nothing_comes_of_it(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 3)
    before = sorted(tmp_path.rglob("*"))
    assert claimed(tmp_path, resume=True) is not None
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != "lock"] == before


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert "not empty; choose another --out" in refusal(tmp_path, resume=False)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    assert "choose another --out" in refusal(tmp_path / "run", resume=False)
    assert "cannot create the run folder" in refusal(tmp_path / "run" / "inner", resume=False)


def test_an_interrupted_run_is_not_overwritten(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 3)
    assert "--resume" in refusal(tmp_path, resume=False)


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    assert "start it without --resume" in refusal(tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("checkpoints_left", [False, True])
def test_a_finished_run_is_neither_resumed_nor_overwritten(tmp_path: Path, checkpoints_left: bool) -> None:
    for name in ("metrics.json", "config.json"):
        (tmp_path / name).write_text("{}")
    if checkpoints_left:  # killed right after the last file had arrived
        make_checkpoint(tmp_path, 3)
    assert "nothing to resume" in refusal(tmp_path, resume=True)
    assert "choose another --out" in refusal(tmp_path, resume=False)


def test_a_run_killed_while_its_files_arrived_is_resumed(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, 3)
    (tmp_path / "metrics.json").write_text("{}")  # config.json would have come last
    assert claimed(tmp_path, resume=True) == checkpoint


def test_finishing_deletes_the_checkpoints_alone(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 2)
    (tmp_path / "metrics.json").write_text(json.dumps({}))
    finish(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_a_run_folder_tells_where_its_model_comes_from(run: Run, tmp_path: Path) -> None:
    assert ancestry_of(str(run.base)) == Ancestry(run.base.name)
    assert ancestry_of(str(run.out)) == Ancestry(run.base.name, Path(run.source).name)
    assert ancestry_of("google-t5/t5-base") == Ancestry("google-t5/t5-base")
    for record, known in (
        ("damaged", Ancestry(tmp_path.name)),
        ("[1]", Ancestry(tmp_path.name)),
        ("{}", Ancestry(tmp_path.name)),
        ('{"origin": "t5", "data": []}', Ancestry("t5")),
        ('{"data": {"file": "a.csv"}}', Ancestry(tmp_path.name, "a.csv")),
    ):
        (tmp_path / "metrics.json").write_text(record, encoding="utf-8")
        assert ancestry_of(str(tmp_path)) == known


def test_a_converted_folder_tells_which_t5_it_was_made_of(run: Run, tmp_path: Path) -> None:
    convert_folder(str(run.base), tmp_path / "converted", num_labels=3)
    assert ancestry_of(str(tmp_path / "converted")) == Ancestry(run.base.name)


def test_a_folder_has_a_name_wherever_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert public_name(".") == public_name(str(tmp_path)) == tmp_path.name
    assert public_name("google-t5/t5-base") == "google-t5/t5-base"


def test_what_a_run_killed_at_its_very_end_left_is_deleted(tmp_path: Path) -> None:
    for name in ("metrics.json", "config.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    for name in ("checkpoints", ".partial"):
        (tmp_path / name).mkdir()
    assert "is complete" in refusal(tmp_path, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "metrics.json"]
