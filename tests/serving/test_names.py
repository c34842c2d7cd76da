"""Names of models as the command takes them."""

from pathlib import Path

import pytest

from enct5.serving.names import names_of


def test_names_are_those_of_folders_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    assert names_of(["runs/intents/", "urgency=runs/best", "owner/topics@v2", "x=owner/topics@v2", "a=b", "."]) == {
        "intents": "runs/intents/",
        "urgency": "runs/best",
        "topics": "owner/topics@v2",
        "x": "owner/topics@v2",
        "a=b": "a=b",
        tmp_path.name: ".",
    }
    assert names_of(["runs/a=1/best"]) == {"best": "runs/a=1/best"}
