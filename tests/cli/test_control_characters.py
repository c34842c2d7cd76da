"""What a file holds cannot write to the terminal: every command spells control characters out."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enct5.cli import command

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = ("plain", "red\x1b[31m", "line\nfeed\x9b2J")


def test_commands_spell_control_characters_of_labels_and_texts(
    t5_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"text": f"parcel \x1b]0;title\x07 {row}", "label": LABELS[row % 3]} for row in range(30)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["enct5", *arguments])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert not ended.value.code
        written = capsys.readouterr()
        assert not set("\x1b\x07\x9b") & set(written.out + written.err)
        return written.out

    columns = ("--text", "text", "--label", "label")
    trained = run("train", "rows.jsonl", *columns, "--base", str(t5_folder()), "--out", "run", "--epochs", "1")
    assert "red\\x1b[31m 10" in trained
    assert "line feed\\x9b2J 10" in trained
    run("evaluate", "run", "rows.jsonl")
    run("predict", "run", "rows.jsonl", "-o", "out.csv")
    run("explain", "run", rows[0]["text"])
    run("info", "run")
