"""What is written appears whole or not at all."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from enct5.errors import EncT5Error
from enct5.files.writing import atomic_file, atomic_folder, check_file, refuse_occupied, write_text


def written(out: Path, **files: str) -> None:
    with atomic_folder(out) as folder:
        for name, text in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def test_files_arrive_together_when_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with atomic_folder(out) as folder:
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text("weights")
        assert not (out / "config.json").exists()
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]


def test_config_json_arrives_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived: list[str] = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda source, target: (arrived.append(Path(target).name), replace(source, target))
    )
    with atomic_folder(tmp_path) as folder:
        for name in ("a.json", "config.json", "tokenizer.json", "z.py"):
            (folder / name).write_text("{}")
    assert arrived == ["a.json", "tokenizer.json", "z.py", "config.json"]


def fail_while_writing(out: Path) -> None:
    with atomic_folder(out) as folder:
        (folder / "config.json").write_text("{}")
        raise RuntimeError("stop")


def test_nothing_arrives_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"):
        fail_while_writing(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_run_do_not_arrive(tmp_path: Path) -> None:
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "old.json").write_text("{}")
    with atomic_folder(tmp_path) as folder:
        (folder / "config.json").write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(EncT5Error, match=r"cannot write to .*file"), atomic_folder(tmp_path / "file"):
        pass


def test_what_one_may_read_all_may_who_may_read_the_folder(tmp_path: Path) -> None:
    with atomic_folder(tmp_path) as folder:
        (folder / "adapter").mkdir()
        for name in ("model.safetensors", "adapter/adapter_model.safetensors"):
            save_file({"weight": torch.zeros(1)}, folder / name)
        (folder / "config.json").write_text("{}", encoding="utf-8")
    modes = {path.stat().st_mode for path in tmp_path.rglob("*") if path.is_file()}
    assert len(modes) == 1


def test_a_folder_that_a_failed_block_made_goes_again_with_those_on_the_way(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"):
        fail_while_writing(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(RuntimeError, match="stop"):
        fail_while_writing(tmp_path / "mine" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_files_and_folders_of_a_call_killed_while_they_arrived_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {"adapter__weights": "old", "adapter__only_before": "old", "model": "old"}
    replace = os.replace
    for moves in range(3):
        out, left = tmp_path / str(moves), iter(range(moves))

        def killed(source: Path, target: Path, left: object = left) -> None:
            next(left)  # type: ignore[call-overload]
            replace(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", killed)
            with pytest.raises(RuntimeError):  # what becomes of the StopIteration
                written(out, **first, **{"config.json": "old"})
        assert not (out / "config.json").exists()
        written(out, adapter__weights="new", model="new", **{"config.json": "new"})
        found = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}
        assert found == {"adapter/weights": "new", "model": "new", "config.json": "new"}


def fail_half_way(path: Path) -> None:
    with atomic_file(path) as file:
        file.write_text("half")
        raise RuntimeError("stop")


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_text("ä", path)
    assert path.read_bytes() == "ä".encode()
    with pytest.raises(RuntimeError, match="stop"):
        fail_half_way(path)
    assert path.read_text(encoding="utf-8") == "ä"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_told_before_and_after_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    check_file(tmp_path / "new.json")
    for path, reason in ((tmp_path / "folder", "is a folder"), (tmp_path / "none" / "a", "none does not exist")):
        with pytest.raises(EncT5Error, match=reason):
            check_file(path)
        with pytest.raises(EncT5Error, match=f"cannot write {path}: .*; choose another file"):
            write_text("", path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_others_put_there_is_not_touched(tmp_path: Path) -> None:
    refuse_occupied(tmp_path)
    refuse_occupied(tmp_path / "new")
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path, tmp_path / "file"):
        with pytest.raises(EncT5Error, match=r"exists and is not empty; choose another folder"):
            refuse_occupied(out)


def test_a_pipe_or_device_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(EncT5Error, match="it is no regular file; name another"):
        check_file(pipe)
    assert pipe.is_fifo()
