"""Long texts at the edges of windows, in every form of a model: as if each window had been encoded by itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enct5 import Predictor
from enct5.export import export
from helpers.models import saved_model

pytestmark = pytest.mark.usefixtures("one_thread")

WINDOW = 8
LENGTHS = (1, 7, 8, 9, 16, 17, 24, 25, 33)  # of no window's end, of exactly one, two or three, and of a token more


@pytest.fixture(scope="module")
def folder(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads windows, and does not say whether it is one of pairs or of single texts."""
    folder = saved_model(t5_folder(), tmp_path_factory.mktemp("run") / "run")
    (folder / "train_config.yaml").unlink()
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "encoder_window": WINDOW}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=["folded", "plain", "onnx"])
def predictor(request: pytest.FixtureRequest, folder: Path) -> Predictor:
    if request.param != "onnx":
        return Predictor.from_pretrained(folder, fold=request.param == "folded")
    out = folder.parent / "onnx"
    assert export(str(folder), out).difference < 1e-5
    return Predictor.from_pretrained(out)


@pytest.fixture(scope="module")
def by_hand(folder: Path) -> Callable[..., np.ndarray]:
    """The logits of a text or pair whose windows are encoded one by one."""
    whole = Predictor.from_pretrained(folder)
    model: Any = whole.model

    @torch.no_grad()
    def logits(*texts: str) -> np.ndarray:
        # as a batch: of two texts, transformers leaves out one that is empty
        ids = torch.tensor(whole.tokenizer([texts if len(texts) > 1 else texts[0]])["input_ids"][0])
        parts = ids.split(model.config.window_lengths(len(ids)))
        states = torch.cat([model.transformer.encoder(part[None]).last_hidden_state for part in parts], dim=1)
        return np.asarray(model(encoder_outputs=(states,)).logits[0])

    return logits


def texts_of(lengths: tuple[int, ...], predictor: Predictor) -> list[str]:
    """Texts of exactly so many tokens."""
    words = ["where", "is", "my", "card", "the", "road", "late", "and", "coffee", "a", "cup"]
    found: dict[int, str] = {}
    for count in range(60):
        for shift in range(len(words)):
            text = " ".join(words[(number + shift) % len(words)] for number in range(count))
            found.setdefault(len(predictor.tokenizer(text)["input_ids"]), text)
    return [found[length] for length in lengths]


def test_texts_that_end_with_a_window_or_just_behind_it(
    predictor: Predictor, folder: Path, by_hand: Callable[..., np.ndarray]
) -> None:
    texts = texts_of(LENGTHS, Predictor.from_pretrained(folder))
    wanted = np.stack([by_hand(text) for text in texts])
    assert wanted.std(axis=0).min() > 0.01
    np.testing.assert_allclose(predictor.logits(texts), wanted, atol=1e-4)
    np.testing.assert_allclose(predictor.logits(texts[::-1])[::-1], wanted, atol=1e-4)
    for text, own in zip(texts, wanted, strict=True):
        np.testing.assert_allclose(predictor.logits([text])[0], own, atol=1e-4)


def test_pairs_whose_second_text_begins_in_another_window(
    predictor: Predictor, folder: Path, by_hand: Callable[..., np.ndarray]
) -> None:
    short, exact, more, long = texts_of((4, 8, 9, 21), Predictor.from_pretrained(folder))
    pairs = [(exact, short), (more, exact), (long, more), (short, long), (long, "")]
    wanted = np.stack([by_hand(*pair) for pair in pairs])
    np.testing.assert_allclose(predictor.logits(pairs), wanted, atol=1e-4)
    other = predictor.logits([(long, f"{more} card")])[0]
    assert np.abs(other - wanted[2]).max() > 1e-4  # it is read


@pytest.mark.parametrize("fold", [True, False])
def test_a_window_as_long_as_the_texts_is_full_attention(folder: Path, fold: bool) -> None:
    predictor = Predictor.from_pretrained(folder, fold=fold)
    texts = texts_of((1, 9, 33), predictor)
    model: Any = predictor.model
    model.config.encoder_window = None
    whole = predictor.logits(texts)
    for window in (33, 34, 4096):
        model.config.encoder_window = window
        np.testing.assert_array_equal(predictor.logits(texts), whole)
    model.config.encoder_window = 32
    assert np.abs(predictor.logits(texts)[2] - whole[2]).max() > 1e-4
