"""Runs on long texts: all of them is read in windows, and what is written says so."""

import json
from pathlib import Path

import numpy as np
import pytest

from enct5 import Predictor
from enct5.inference.inspection import inspect
from helpers.models import plain_logits
from helpers.runs import LABELS, Run, messages, settings_of, start
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")

BEFORE = "the my where is " * 8  # says nothing, and is longer than a window


def long_messages(count: int) -> list[dict[str, str]]:
    """Messages whose label follows from their last words."""
    return [{**row, "text": BEFORE + row["text"]} for row in messages(count)]


@pytest.fixture(scope="module")
def windowed(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder, said = tmp_path_factory.mktemp("windows"), []
    start(run.base, folder / "run", write_rows(folder / "long.jsonl", long_messages(60)), said, window=16, epochs=12)
    return folder / "run", said


def test_a_run_on_long_texts_learns_from_their_last_window(windowed: tuple[Path, list[str]]) -> None:
    out, said = windowed
    assert "60 texts are longer than 16 tokens and read in windows, of which the prompts read all (--window)" in said
    assert not any("cut" in line for line in said)
    predictor = Predictor.from_pretrained(out)
    assert predictor.model.config.encoder_window == 16
    assert predictor.tokenizer.model_max_length == 4096
    assert (settings_of(out).window, settings_of(out).max_length) == (16, 4096)
    texts = [row["text"] for row in long_messages(9)]
    assert {row["label"] for row in predictor.predict(texts)} == set(LABELS)
    np.testing.assert_allclose(predictor.logits(texts)[4], plain_logits(predictor, texts[4]), atol=1e-4)


def test_folder_card_and_info_say_what_is_read(windowed: tuple[Path, list[str]]) -> None:
    out, _ = windowed
    assert json.loads((out / "config.json").read_text())["encoder_window"] == 16
    assert json.loads((out / "metrics.json").read_text())["encoder_window"] == 16
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "reads texts of more than 16 tokens in windows" in card
    facts = inspect(str(out))
    assert facts["encoder"].endswith(", long texts in windows of 16 tokens")
    assert "texts cut to 4096 tokens" in facts["vocabulary"]


def test_a_run_without_windows_cuts_and_says_so(run: Run, tmp_path: Path) -> None:
    source, said = write_rows(tmp_path / "long.jsonl", long_messages(30)), []
    start(run.base, tmp_path / "run", source, said, window=0, max_length=20, epochs=1)
    assert any(line.startswith("30 texts are longer than 20 tokens and were cut") for line in said)
    assert not any("read in windows" in line for line in said)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["encoder_window"] is None
    assert "in windows" not in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "windows" not in inspect(str(tmp_path / "run"))["encoder"]


def test_a_run_goes_on_from_one_with_windows_or_changes_them(windowed: tuple[Path, list[str]], tmp_path: Path) -> None:
    source = write_rows(tmp_path / "long.jsonl", long_messages(30))
    for given, wanted in (({}, 16), ({"window": 24}, 24), ({"window": 0}, None)):
        out = tmp_path / str(wanted)
        start(windowed[0], out, source, epochs=1, **given)
        assert Predictor.from_pretrained(out).model.config.encoder_window == wanted
