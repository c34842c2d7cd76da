"""Which checkpoint an interrupted run goes on from, and what is said of those that it cannot."""

import json
from pathlib import Path

import pytest

from enct5.errors import EncT5Error
from enct5.training.checkpoints import damage_of, damage_of_weights, newest_whole
from helpers.runs import CHECKPOINT_FILES, make_checkpoint

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def test_the_newest_checkpoint_by_number_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (100, 9, 20):
        make_checkpoint(tmp_path, step)
    assert newest_whole(tmp_path / "checkpoints") == tmp_path / "checkpoints" / "checkpoint-100"
    assert caplog.messages == []


@pytest.mark.parametrize(
    "files",
    [
        ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"),
        (
            "pytorch_model_fsdp_0/.metadata",
            "optimizer_0/.metadata",
            "scheduler.pt",
            "rng_state_0.pth",
            "rng_state_1.pth",
        ),
        ("model.safetensors", "pytorch_model_fsdp.bin", "optimizer.bin", "scheduler.pt", "rng_state_0.pth"),
        ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"),
    ],
    ids=["DDP", "FSDP, sharded", "FSDP, whole", "LoRA"],
)
def test_checkpoints_of_every_way_to_train_are_whole(tmp_path: Path, files: tuple[str, ...]) -> None:
    assert damage_of(make_checkpoint(tmp_path, 4, (*files, "trainer_state.json"))) is None


@pytest.mark.parametrize("missing", CHECKPOINT_FILES)
def test_a_checkpoint_that_lost_a_file_is_passed_over_and_named(
    tmp_path: Path, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = make_checkpoint(tmp_path, 1)
    lacking = make_checkpoint(tmp_path, 2, tuple(name for name in CHECKPOINT_FILES if name != missing))
    assert newest_whole(tmp_path / "checkpoints") == whole
    (line,) = caplog.messages
    assert line.startswith(f"{lacking} lacks ")
    assert missing.partition(".")[0] in line
    assert line.endswith("is passed over")


@pytest.mark.parametrize("broken", CHECKPOINT_FILES)
def test_a_checkpoint_with_a_file_that_breaks_off_is_passed_over_and_named(
    tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = make_checkpoint(tmp_path, 1)
    damaged = make_checkpoint(tmp_path, 2) / broken
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert newest_whole(tmp_path / "checkpoints") == whole
    assert f"holds {broken}, which breaks off" in caplog.messages[0]


@pytest.mark.parametrize("lost", [None, *SHARDS])
def test_a_lost_shard_is_named(tmp_path: Path, lost: str | None) -> None:
    files = [name for name in (*SHARDS, *CHECKPOINT_FILES[1:]) if name != lost]
    folder = make_checkpoint(tmp_path, 4, tuple(files))
    index = {"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert damage_of(folder) == (f"lacks a shard ({lost})" if lost else None)


@pytest.mark.parametrize("file", ["optimizer_0/.metadata", "pytorch_model_fsdp_0/.metadata"])
def test_shards_of_several_gpus_without_their_index_are_not_whole(tmp_path: Path, file: str) -> None:
    files = ("pytorch_model_fsdp_0/.metadata", "optimizer_0/.metadata", *CHECKPOINT_FILES[2:])
    folder = make_checkpoint(tmp_path, 4, files)
    (folder / file).unlink()
    assert "lacks" in str(damage_of(folder))


@pytest.mark.parametrize("state", ["null", "[]", "{}", '{"global_step": "x", "log_history": []}', "[" * 100_000])
def test_a_state_that_is_none_of_a_run_is_named(tmp_path: Path, state: str) -> None:
    folder = make_checkpoint(tmp_path, 4)
    (folder / "trainer_state.json").write_text(state)
    assert "holds trainer_state.json, which" in str(damage_of(folder))


def test_a_copy_under_another_name_does_not_stand_for_the_file(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, 4)
    (folder / "optimizer.pt").rename(folder / "optimizer.pt.bak")
    assert "lacks the optimiser's state" in str(damage_of(folder))


def test_other_folders_beside_checkpoints_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = make_checkpoint(tmp_path, 1)
    for name in ("checkpoint-x", "checkpoint-2.bak", "checkpoint-old-99", "checkpoint-"):
        make_checkpoint(tmp_path, 9).rename(tmp_path / "checkpoints" / name)
    (tmp_path / "checkpoints" / "checkpoint-7").write_text("no folder")
    assert newest_whole(tmp_path / "checkpoints") == whole
    assert len(caplog.messages) == 1


def test_weights_are_whole_without_what_only_resuming_needs(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, 4, CHECKPOINT_FILES[:1])
    assert damage_of(folder) is not None
    assert damage_of_weights(folder) is None


def test_a_checkpoint_that_cannot_be_read_may_be_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_checkpoint(tmp_path, 4)

    def refused(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(EncT5Error, match=r"cannot read .*checkpoint-4: Permission denied; see to it"):
        newest_whole(tmp_path / "checkpoints")


def test_without_a_whole_checkpoint_there_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_checkpoint(tmp_path, 2, CHECKPOINT_FILES[:1])
    assert newest_whole(tmp_path / "checkpoints") is None
    assert len(caplog.messages) == 2
    assert caplog.messages[-1] == "no checkpoint is whole: starting from the beginning"
