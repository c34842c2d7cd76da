"""Which checkpoint an interrupted run goes on from, and what is said of those that it cannot."""

import json
from pathlib import Path

import pytest

from enct5.checkpoints import damage_of, newest_whole
from runs import CHECKPOINT_FILES, make_checkpoint

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def test_the_newest_checkpoint_by_number_is_whole(tmp_path: Path) -> None:
    for step in (100, 9, 20):
        make_checkpoint(tmp_path, step)
    said: list[str] = []
    assert newest_whole(tmp_path / "checkpoints", said.append) == tmp_path / "checkpoints" / "checkpoint-100"
    assert said == []


@pytest.mark.parametrize(
    "files",
    [
        ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"),
        ("pytorch_model_fsdp_0/", "optimizer_0/", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"),
        ("model.safetensors", "pytorch_model_fsdp.bin", "optimizer.bin", "scheduler.pt", "rng_state_0.pth"),
        ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"),
    ],
    ids=["DDP", "FSDP, sharded", "FSDP, whole", "LoRA"],
)
def test_checkpoints_of_every_way_to_train_are_whole(tmp_path: Path, files: tuple[str, ...]) -> None:
    assert damage_of(make_checkpoint(tmp_path, 4, (*files, "trainer_state.json"))) is None


@pytest.mark.parametrize("missing", CHECKPOINT_FILES)
def test_a_checkpoint_that_lost_a_file_is_passed_over_and_named(tmp_path: Path, missing: str) -> None:
    whole = make_checkpoint(tmp_path, 1)
    lacking = make_checkpoint(tmp_path, 2, tuple(name for name in CHECKPOINT_FILES if name != missing))
    said: list[str] = []
    assert newest_whole(tmp_path / "checkpoints", said.append) == whole
    (line,) = said
    assert line.startswith(f"{lacking} lacks ")
    assert missing.partition(".")[0] in line
    assert line.endswith("is passed over")


@pytest.mark.parametrize("broken", CHECKPOINT_FILES)
def test_a_checkpoint_with_a_file_that_breaks_off_is_passed_over_and_named(tmp_path: Path, broken: str) -> None:
    whole = make_checkpoint(tmp_path, 1)
    damaged = make_checkpoint(tmp_path, 2) / broken
    damaged.write_bytes(damaged.read_bytes()[:-1])
    said: list[str] = []
    assert newest_whole(tmp_path / "checkpoints", said.append) == whole
    assert ("in JSON" if broken.endswith(".json") else broken) in said[0]


@pytest.mark.parametrize("lost", [None, *SHARDS])
def test_a_lost_shard_is_named(tmp_path: Path, lost: str | None) -> None:
    files = [name for name in (*SHARDS, *CHECKPOINT_FILES[1:]) if name != lost]
    folder = make_checkpoint(tmp_path, 4, tuple(files))
    index = {"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert damage_of(folder) == (f"lacks {lost}" if lost else None)


def test_without_a_whole_checkpoint_there_is_none(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 2, CHECKPOINT_FILES[:1])
    said: list[str] = []
    assert newest_whole(tmp_path / "checkpoints", said.append) is None
    assert len(said) == 1
