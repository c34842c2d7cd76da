"""Every script of `examples/` runs to its end, on few messages and from a tiny random T5."""

import runpy
import sys
from pathlib import Path

import pytest

from enct5 import assets
from helpers.paths import ROOT

pytestmark = pytest.mark.slow

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# What each says at its end: that of the last step, so that a script which stops early is told.
LAST = {
    "entities": "Please refund the 25 euros for the teapot.",
    "grid_search": "accuracy",
    "lora": "'label':",
    "own_trainer": "'label':",
    "ranking": "please let me have an invoice",
    "support_tickets": "hello?",
    "topics": "Your site does not let me log in.",
}


@pytest.fixture
def few_messages(tmp_path, monkeypatch):
    """The first of the demo's messages: all of them take longer than a test may."""
    whole = {split: assets.demo_data(split) for split in ("train", "validation", "test")}

    def few(split: str) -> Path:
        path = tmp_path / f"{split}.jsonl"
        lines = whole[split].read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[: 96 if split == "train" else 24]), encoding="utf-8")
        return path

    monkeypatch.setattr(assets, "demo_data", few)


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(script, monkeypatch, capsys, t5_folder, few_messages, one_thread):
    if script.stem == "lora":
        pytest.importorskip("peft", reason="needs peft (the `peft` extra)")
    monkeypatch.setattr(sys, "argv", [str(script), "--epochs", "1", "--base", str(t5_folder())])
    runpy.run_path(str(script), run_name="__main__")
    assert LAST[script.stem] in capsys.readouterr().out


def test_the_list_of_examples_names_all_and_no_other():
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES if f"[{path.name}]({path.name})" not in listed] == []
    assert sorted(LAST) == [path.stem for path in EXAMPLES]
