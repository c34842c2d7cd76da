"""A checkpoint that starts a model for other labels than its own."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
)
from transformers.utils import logging as transformers_logging

from enct5 import EncT5ForSequenceClassification
from helpers.classifiers import MULTI, REGRESSION, SINGLE, SMALL, logits_of, random_ids, random_model


@torch.no_grad()
def test_a_head_of_another_size_is_new_and_all_else_is_loaded(tmp_path: Path) -> None:
    model = random_model(num_labels=3)
    model.save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match=r"size mismatch|mismatched"):
        EncT5ForSequenceClassification.from_pretrained(tmp_path, num_labels=42)
    larger = EncT5ForSequenceClassification.from_pretrained(tmp_path, num_labels=42, ignore_mismatched_sizes=True)
    assert larger.classifier.weight.shape == (42, model.config.d_model)
    assert 0.5 < larger.classifier.weight.std() * model.config.d_model**0.5 < 2
    assert torch.equal(larger.classifier.bias, torch.zeros(42))
    for name, parameter in model.transformer.named_parameters():
        assert torch.equal(parameter, larger.transformer.get_parameter(name)), name


def folder_of(model: EncT5ForSequenceClassification, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("way", ["arguments", "configuration"])
@pytest.mark.parametrize(
    ("given", "prompts"),
    [
        ({"num_labels": 3}, 3),
        ({"problem_type": SINGLE}, 1),
        ({"problem_type": SINGLE, "num_labels": 2}, 1),
        ({"problem_type": REGRESSION, "num_labels": 1}, 1),
    ],
)
def test_a_checkpoint_for_several_labels_starts_one_for_others(
    given: dict, prompts: int, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    old = random_model(num_labels=5, problem_type=MULTI, thresholds=[0.1, 0.2, 0.3, 0.4, 0.5])
    folder = folder_of(old, tmp_path)
    monkeypatch.setattr(transformers_logging.get_logger("transformers"), "propagate", True)
    options: dict = {"ignore_mismatched_sizes": True} if "num_labels" in given else {}
    options |= {"config": AutoConfig.from_pretrained(folder, **given)} if way == "configuration" else given
    model = EncT5ForSequenceClassification.from_pretrained(folder, **options)
    assert model.config.decoder_vocab_size == prompts
    assert model.config.thresholds is None
    assert "embed_tokens.weight and the classifier start anew" in caplog.text
    for name, parameter in old.named_parameters():
        if not name.startswith(("classifier.", "transformer.decoder.embed_tokens.")):
            assert torch.equal(model.get_parameter(name), parameter), name
    pad = model.transformer.encoder.embed_tokens.weight[0]
    assert torch.equal(model.transformer.decoder.embed_tokens.weight, pad.expand(prompts, -1))
    assert model.classifier.weight.shape == (model.config.num_labels, SMALL["d_model"])
    assert not torch.isin(model.classifier.weight, old.classifier.weight).any()
    assert not model.is_fine_tuned()
    assert not any(module.training for module in model.modules())
    model.save_pretrained(tmp_path / "again")
    again = EncT5ForSequenceClassification.from_pretrained(tmp_path / "again")
    assert torch.equal(logits_of(again, random_ids(2, 7)), logits_of(model, random_ids(2, 7)))


def test_other_shapes_are_refused_unless_asked_for(tmp_path: Path) -> None:
    folder = folder_of(random_model(num_labels=5, problem_type=MULTI), tmp_path)
    with pytest.raises(RuntimeError, match=r"classifier\.bias, .* in another shape .*ignore_mismatched_sizes"):
        EncT5ForSequenceClassification.from_pretrained(folder, num_labels=3)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "decoder_vocab_size": 1}))
    with pytest.raises(RuntimeError, match=r"embed_tokens\.weight in another shape than the configuration"):
        EncT5ForSequenceClassification.from_pretrained(folder)


def test_another_name_or_type_that_fits_keeps_every_weight(tmp_path: Path) -> None:
    old = random_model(num_labels=3)
    folder, ids = folder_of(old, tmp_path), random_ids(2, 7)
    for given in ({"id2label": {0: "a", 1: "b", 2: "c"}}, {"problem_type": MULTI}):
        model = EncT5ForSequenceClassification.from_pretrained(folder, **given)
        assert torch.equal(logits_of(model, ids), logits_of(old, ids))


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_weights_that_are_no_floating_point_numbers_are_refused(
    dtype: torch.dtype, sharded: bool, tmp_path: Path
) -> None:
    model = random_model(num_labels=3)
    model.save_pretrained(tmp_path, max_shard_size="20KB" if sharded else "1GB")
    for file in tmp_path.glob("*.safetensors"):
        tensors = load_file(file)
        save_file(
            {name: tensor.to(dtype) if name.endswith(".q.weight") else tensor for name, tensor in tensors.items()},
            file,
            metadata={"format": "pt"},
        )
    for auto_class in (EncT5ForSequenceClassification, AutoModelForSequenceClassification):
        with pytest.raises(ValueError, match=r"q\.weight is stored as (I8|U8|F8_E4M3), which is no floating point"):
            auto_class.from_pretrained(tmp_path)
