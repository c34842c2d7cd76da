"""Predictions at the edges of what numbers and sizes allow: large activations, the longest texts, the most labels."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from enct5 import EncT5ForSequenceClassification
from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]

TEXTS = ["", "parcel", "Where is my parcel?", "My card was charged twice and nobody answers the phone. " * 6]


def new_model(folder: Path, labels: int, **config: object) -> EncT5ForSequenceClassification:
    """A converted model whose logits differ from label to label and text to text."""
    torch.manual_seed(0)
    model = EncT5ForSequenceClassification.from_t5(str(folder), labels, **config).eval()
    with torch.no_grad():
        model.transformer.decoder.embed_tokens.weight.normal_()
        model.classifier.bias.normal_()
    return model


def saved(model: EncT5ForSequenceClassification, base: Path, folder: Path) -> str:
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return str(folder)


@torch.no_grad()
@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("peak", [3e4, 1e6])  # float16 ends at 65,504
def test_precisions_agree_where_activations_are_large(peak: float, fold: bool, t5_folder: Base, tmp_path: Path) -> None:
    base = t5_folder()
    model = new_model(base, 3)
    ids = AutoTokenizer.from_pretrained(base)(TEXTS[-1], return_tensors="pt").input_ids

    def largest() -> float:
        return max(states.abs().max().item() for states in model(ids, output_hidden_states=True).encoder_hidden_states)

    for _ in range(20):  # what the other layers add does not grow with it
        model.transformer.encoder.block[0].layer[1].DenseReluDense.wo.weight.mul_((peak / largest()) ** 0.9)
    assert largest() == pytest.approx(peak, rel=0.1)
    folder = saved(model, base, tmp_path)
    exact = Predictor.from_pretrained(folder).logits(TEXTS)
    for dtype, tolerance in (("bfloat16", 0.15), ("float16", 0.02)):
        found = Predictor.from_pretrained(folder, dtype=dtype, fold=fold).logits(TEXTS)
        np.testing.assert_allclose(found, exact, atol=tolerance)


@torch.no_grad()
def test_numbers_beyond_float16_are_told(t5_folder: Base, tmp_path: Path) -> None:
    base = t5_folder()
    model = new_model(base, 3)
    model.classifier.bias[0] = 1e5
    folder = saved(model, base, tmp_path)
    assert Predictor.from_pretrained(folder, dtype="bfloat16").predict(["a"])[0]["label"] == "LABEL_0"
    with pytest.raises(EncT5Error, match=r"or they leave the range of float16: choose another dtype$"):
        Predictor.from_pretrained(folder, dtype="float16").predict(["a"])


@torch.no_grad()
def test_a_text_alone_or_among_others_of_any_length_has_the_same_logits(t5_folder: Base) -> None:
    base = t5_folder()
    predictor = Predictor(new_model(base, 3), AutoTokenizer.from_pretrained(base))
    alone = np.concatenate([predictor.logits([text]) for text in TEXTS])
    np.testing.assert_allclose(predictor.logits(TEXTS), alone, atol=1e-4)
    assert np.abs(np.diff(alone, axis=0)).min(axis=1).min() > 0  # every text has logits of its own


@pytest.mark.slow
@torch.no_grad()
def test_a_text_of_50000_tokens_is_read_whole(t5_folder: Base) -> None:
    base = t5_folder(num_heads=1, num_layers=1)
    tokenizer = AutoTokenizer.from_pretrained(base, model_max_length=10**9)
    predictor = Predictor(new_model(base, 3), tokenizer)
    unit = "parcel"
    assert len(tokenizer(" ".join([unit] * 50_000)).input_ids) == 50_001
    # Attention over equal tokens does not depend on their number n; the end token adds something of the order of 1 / n.
    counts = (5, 5_000, 10_000, 50_000)
    few, once, twice, longest = (predictor.logits([" ".join([unit] * count)])[0] for count in counts)
    slope = (once - twice) * 10_000
    np.testing.assert_allclose(longest, twice - slope / 10_000 + slope / 50_000, atol=5e-4)
    assert np.abs(few - longest).max() > 0.02


@torch.no_grad()
@pytest.mark.parametrize(
    ("labels", "config"),
    [
        (1, {"problem_type": "regression"}),
        (1, {"problem_type": "multi_label_classification"}),
        (2, {}),
        (100_000, {}),
        (5_000, {"problem_type": "multi_label_classification"}),
    ],
)
def test_any_number_of_labels_gives_the_plain_models_logits(
    labels: int, config: dict[str, str], t5_folder: Base
) -> None:
    base = t5_folder()
    model, tokenizer = new_model(base, labels, **config), AutoTokenizer.from_pretrained(base)
    wanted = np.concatenate([model(**tokenizer(text, return_tensors="pt")).logits.numpy() for text in TEXTS])
    found = Predictor(model, tokenizer).logits(TEXTS)
    assert found.shape == (len(TEXTS), labels)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    results = Predictor(model, tokenizer).predict(TEXTS)
    if config:
        assert all(math.isfinite(result.get("value", 0)) for result in results)
    else:
        assert [result["label"] for result in results] == [f"LABEL_{column}" for column in wanted.argmax(-1)]
