"""A model that was never trained: how it is drawn, and that loading it warns."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import (
    T5ForConditionalGeneration,
    UMT5ForConditionalGeneration,
)

from enct5 import EncT5Config, EncT5ForSequenceClassification
from helpers.classifiers import LABELS, MULTI, REGRESSION, SINGLE, SMALL, random_ids


@pytest.fixture
def no_remembered_warnings() -> Iterator[None]:
    """`warning_once` remembers for the whole process what it has said."""
    once = logging.getLoggerClass().warning_once
    once.cache_clear()
    yield
    once.cache_clear()


def test_a_new_head_is_drawn_as_documented() -> None:
    torch.manual_seed(0)
    for factor in (1.0, 2.0):
        config = EncT5Config(**{**SMALL, "d_model": 64}, num_labels=800, problem_type=MULTI, initializer_factor=factor)
        model = EncT5ForSequenceClassification(config)
        assert model.classifier.weight.std().item() == pytest.approx(factor * 64**-0.5, rel=0.02)
        assert model.transformer.decoder.embed_tokens.weight.std().item() == pytest.approx(factor, rel=0.02)
        assert model.get_input_embeddings().weight.std().item() == pytest.approx(factor, rel=0.05)
        assert not model.classifier.bias.any()


@pytest.mark.parametrize("t5_class", [T5ForConditionalGeneration, UMT5ForConditionalGeneration])
def test_without_a_checkpoint_the_layers_are_drawn_as_t5_draws_them(t5_class: type) -> None:
    torch.manual_seed(0)
    sizes = {
        **SMALL,
        "d_model": 64,
        "d_ff": 128,
        "num_layers": 1,
        "initializer_factor": 2.0,
        "feed_forward_proj": "relu",
    }
    per_layer = t5_class is UMT5ForConditionalGeneration
    model = EncT5ForSequenceClassification(EncT5Config(**sizes, num_labels=3, per_layer_position_bias=per_layer))
    t5 = t5_class(t5_class.config_class(**sizes)).state_dict()
    layers = {name: tensor for name, tensor in model.transformer.named_parameters() if ".block." in name}
    assert len(layers) == 23
    for name, tensor in layers.items():
        assert tensor.std().item() == pytest.approx(t5[name].std().item(), rel=0.35, abs=1e-6), name


def test_from_t5_starts_the_prompts_as_pad_and_the_head_at_random(t5_folder: Callable[..., Path]) -> None:
    folder = t5_folder()
    torch.manual_seed(3)
    model = EncT5ForSequenceClassification.from_t5(str(folder), 600, problem_type=MULTI)
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        pad = file.get_tensor("shared.weight")[0]
    assert torch.equal(model.transformer.decoder.embed_tokens.weight, pad.expand(600, -1))
    assert model.classifier.weight.std().item() == pytest.approx(32**-0.5, rel=0.02)
    assert not model.classifier.bias.any()
    assert not model.training
    torch.manual_seed(3)
    again = EncT5ForSequenceClassification.from_t5(str(folder), 600, problem_type=MULTI)
    assert torch.equal(again.classifier.weight, model.classifier.weight)  # a seed decides the head


@pytest.mark.usefixtures("no_remembered_warnings")
def test_loading_a_model_that_was_never_trained_warns_once(
    tmp_path: Path, t5_folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    model = EncT5ForSequenceClassification.from_t5(str(t5_folder()), 3)
    assert not model.is_fine_tuned()
    model.save_pretrained(tmp_path)
    for _ in range(2):
        EncT5ForSequenceClassification.from_pretrained(tmp_path)
    messages = [record.message for record in caplog.records if "fine-tuned" in record.message]
    assert len(messages) == 1
    for name in ("transformer.decoder.embed_tokens.weight", "classifier.weight", "classifier.bias"):
        assert name in messages[0]


@pytest.mark.usefixtures("no_remembered_warnings")
@pytest.mark.parametrize("problem_type", [SINGLE, MULTI, REGRESSION])
def test_one_training_step_ends_the_warning(
    problem_type: str, tmp_path: Path, t5_folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    model = EncT5ForSequenceClassification.from_t5(str(t5_folder()), 3, problem_type=problem_type)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model(random_ids(2, 5), labels=LABELS[problem_type]).loss.backward()
    optimizer.step()
    assert model.is_fine_tuned()
    model.save_pretrained(tmp_path)
    assert EncT5ForSequenceClassification.from_pretrained(tmp_path).is_fine_tuned()
    assert [record.message for record in caplog.records if "fine-tuned" in record.message] == []
