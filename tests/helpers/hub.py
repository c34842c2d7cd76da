"""The local cache of the hub."""

import shutil
from pathlib import Path

import pytest


def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revisions: dict[str, Path]) -> str:
    """The local cache as it is after a download of org/base, with a snapshot for each branch."""
    repository = tmp_path / "hub" / "models--org--base"
    (repository / "refs").mkdir(parents=True)
    for number, (branch, folder) in enumerate(revisions.items(), start=1):
        commit = f"{number}" * 40
        (repository / "refs" / branch).write_text(commit)
        shutil.copytree(folder, repository / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return "org/base"
