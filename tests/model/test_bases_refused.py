"""Every way in which a base can be wrong is told in one line."""

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BartConfig,
    BertConfig,
    T5EncoderModel,
)

from enct5 import EncT5Config, EncT5ForSequenceClassification
from enct5.errors import EncT5Error
from enct5.model import conversion, t5_checkpoint
from enct5.model.conversion import convert
from helpers.t5_files import INDEX, NEW, assert_copied, changed, sharded, weights


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("asked", ["float32", "auto"])
@pytest.mark.parametrize("name", ["shared.weight", "decoder.block.0.layer.1.EncDecAttention.v.weight"])
def test_numbers_that_are_no_weights_by_themselves_are_refused(
    name: str, asked: str, dtype: torch.dtype, tmp_path: Path, t5_folder: Callable[..., Path]
) -> None:
    """Integers and 8-bit numbers are weights only together with a scale that another tensor or file holds."""
    folder = changed(t5_folder(), tmp_path, lambda tensors: tensors.update({name: tensors[name].to(dtype)}))
    with pytest.raises(EncT5Error, match=rf"{name} is stored as \w+, so the checkpoint is quantised; .*") as raised:
        convert(str(folder), 3, dtype=asked)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "method", ["bitsandbytes", "gptq", "awq", "compressed-tensors", "torchao", "fp8", "quanto", "unheard-of"]
)
def test_a_quantised_checkpoint_is_refused_with_the_remedy(
    method: str, tmp_path: Path, t5_folder: Callable[..., Path]
) -> None:
    shutil.copytree(t5_folder(), tmp_path / "t5")
    config = json.loads((tmp_path / "t5" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "load_in_8bit": True}
    (tmp_path / "t5" / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncT5Error, match=rf"is quantised \({method}\), .*; take the original$") as raised:
        convert(str(tmp_path / "t5"), 3)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("stored", "target"), itertools.permutations(t5_checkpoint.DTYPES.values(), 2))
def test_values_are_the_files_but_for_rounding(
    stored: torch.dtype, target: torch.dtype, tmp_path: Path, t5_folder: Callable[..., Path]
) -> None:
    def narrow(tensors: dict[str, torch.Tensor]) -> None:
        tensors.update({name: tensor.to(stored) for name, tensor in tensors.items()})
        tensors["encoder.final_layer_norm.weight"][:3] = torch.tensor([1e-7, -6e-5, 0.1], dtype=stored)

    folder = changed(t5_folder(), tmp_path, narrow)
    result = convert(str(folder), 3, dtype=target)
    for name, source in result.copied.items():
        exact, got = weights(folder)[source].double(), result.model.get_parameter(name).detach().double()
        torch.testing.assert_close(got, exact, rtol=torch.finfo(target).eps / 2, atol=3e-8)


def test_a_wrong_copy_is_noticed(t5_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    original = conversion._initialise

    def careless(model: EncT5ForSequenceClassification, new: list[str]) -> None:
        original(model, new)
        with torch.no_grad():
            model.transformer.encoder.block[1].layer[0].SelfAttention.k.weight[5, 5] += 1e-6

    monkeypatch.setattr(conversion, "_initialise", careless)
    with pytest.raises(RuntimeError, match=r"encoder.block.1.layer.0.SelfAttention.k.weight differs from encoder"):
        convert(str(t5_folder()), 3)


def test_an_encoder_only_file_is_refused_unless_asked_for(tmp_path: Path, t5_folder: Callable[..., Path]) -> None:
    T5EncoderModel.from_pretrained(t5_folder()).save_pretrained(tmp_path)
    with pytest.raises(EncT5Error, match=r"holds an encoder only.*allow_untrained_decoder=True"):
        convert(str(tmp_path), 3)
    result = convert(str(tmp_path), 3, allow_untrained_decoder=True)
    assert_copied(result, weights(tmp_path))
    assert set(result.new) == {name for name in result.model.state_dict() if ".decoder." in name} | set(NEW)
    decoder = dict(result.model.transformer.decoder.named_parameters())
    for name, std in {  # T5's own rules, at d_model 32, d_kv 8, d_ff 48, 4 heads
        "block.0.layer.0.SelfAttention.q.weight": (32 * 8) ** -0.5,
        "block.0.layer.1.EncDecAttention.k.weight": 32**-0.5,
        "block.0.layer.1.EncDecAttention.o.weight": 32**-0.5,
        "block.0.layer.2.DenseReluDense.wi.weight": 32**-0.5,
        "block.0.layer.2.DenseReluDense.wo.weight": 48**-0.5,
    }.items():
        assert decoder[name].std().item() == pytest.approx(std, rel=0.15), name
    assert (decoder["final_layer_norm.weight"] == 1).all()
    assert torch.equal(decoder["embed_tokens.weight"][0], weights(tmp_path)["shared.weight"][0])


def broken(how: str, folder: Path, to: Path) -> Path:
    """A checkpoint that is wrong in one way."""
    key = "encoder.block.1.layer.0.SelfAttention.k.weight"
    changes: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
        "NaN": lambda tensors: tensors[key][1, 2].fill_(float("nan")),
        "infinite": lambda tensors: tensors[key][1, 2].fill_(float("inf")),
        "missing tensor": lambda tensors: tensors.pop(key),
        "missing embedding": lambda tensors: tensors.pop("shared.weight"),
        "half a decoder": lambda tensors: tensors.pop("decoder.block.0.layer.1.EncDecAttention.k.weight"),
        "wrong shape": lambda tensors: tensors.update({key: tensors[key][:, :16].clone()}),
    }
    if how in changes:
        return changed(folder, to, changes[how])
    if how in ("missing shard", "damaged index", "index without map", "index of a list", "wrong index"):
        sharded(folder, to)
        if how == "missing shard":
            (to / "kept.safetensors").unlink()
        elif how == "wrong index":
            index = json.loads((to / INDEX).read_text())
            index["weight_map"][key] = "dropped.safetensors"
            (to / INDEX).write_text(json.dumps(index))
        else:
            content = {"damaged index": "{", "index without map": "{}", "index of a list": "[]"}[how]
            (to / INDEX).write_text(content)
        return to
    shutil.copytree(folder, to, dirs_exist_ok=True)
    if how in ("truncated", "truncated head", "empty file"):
        content = (to / "model.safetensors").read_bytes()
        keep = {"truncated": len(content) // 2, "truncated head": 100, "empty file": 0}[how]
        (to / "model.safetensors").write_bytes(content[:keep])
    elif how == "pickle only":
        (to / "model.safetensors").rename(to / "pytorch_model.bin")
    elif how == "no config":
        (to / "config.json").unlink()
    else:
        (to / "config.json").write_text(how)
    return to


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("NaN", r"encoder.block.1.layer.0.SelfAttention.k.weight holds NaN or infinite values; the checkpoint is dam"),
        ("infinite", r"SelfAttention.k.weight holds NaN or infinite values"),
        ("missing tensor", r"lacks 1 of the tensors .* such as encoder.block.1.layer.0.SelfAttention.k.weight"),
        ("missing embedding", r"lacks 1 of the tensors .* such as encoder.embed_tokens.weight"),
        ("half a decoder", r"lacks 1 of the tensors .* such as decoder.block.0.layer.1.EncDecAttention.k.weight"),
        ("wrong shape", r"has shape \(32, 16\), but config.json asks for \(32, 32\)"),
        ("missing shard", r"lacks kept.safetensors, which model.safetensors.index.json names"),
        ("damaged index", r"index.json is damaged \(.*\); download the checkpoint again"),
        ("index without map", r"index.json is damaged"),
        ("index of a list", r"index.json is damaged"),
        ("wrong index", r"dropped.safetensors lacks encoder.block.1.layer.0.SelfAttention.k.weight, which"),
        ("truncated", r"model.safetensors is damaged or incomplete \(.*\); download or save the checkpoint again"),
        ("truncated head", r"model.safetensors is damaged or incomplete"),
        ("empty file", r"model.safetensors is damaged or incomplete"),
        ("pickle only", r"no model.safetensors; .*from_pretrained\(...\).save_pretrained"),
        ("no config", r"holds no config.json, so it is no checkpoint"),
        ("{", r"cannot read a checkpoint at .*not a valid JSON file"),
        ("[]", r"cannot read a checkpoint at .*no config.json that names a model type"),
        ("3", r"cannot read a checkpoint at "),
        ("{}", r"cannot read a checkpoint at .*no config.json that names a model type"),
        ('{"model_type": "t5", "d_model": "wide"}', r"config.json is damaged: Field 'd_model' expected int, got str"),
        ('{"model_type": "t5", "feed_forward_proj": "a-b-c"}', r"config.json is damaged: `feed_forward_proj`: a-b-c"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(
    how: str, message: str, tmp_path: Path, t5_folder: Callable[..., Path]
) -> None:
    folder = broken(how, t5_folder(), tmp_path)
    with pytest.raises(EncT5Error, match=message) as raised:
        convert(str(folder), 3)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("config", "name"), [(BertConfig(), "bert"), (BartConfig(), "bart")])
def test_other_models_are_refused_by_name(config: Any, name: str, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    with pytest.raises(EncT5Error, match=rf"is a checkpoint of type '{name}'; EncT5 is built from T5's encoder"):
        convert(str(tmp_path), 3)


def test_an_enct5_model_is_no_base(tmp_path: Path) -> None:
    EncT5Config().save_pretrained(tmp_path)
    with pytest.raises(EncT5Error, match="is an EncT5 model already; load it with from_pretrained"):
        convert(str(tmp_path), 3)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("/no/such/folder", "there is no folder /no/such/folder; name a checkpoint's folder, or its id on the hub"),
        ("google t5", "there is no folder google t5"),
        ("", "there is no folder "),
        ("no/such-base", "cannot read a checkpoint at no/such-base: "),
        ("no-such-base", "cannot read a checkpoint at no-such-base: "),
    ],
)
def test_a_base_that_is_nowhere_is_refused(base: str, message: str) -> None:
    with pytest.raises(EncT5Error, match=message) as raised:
        convert(base, 3)
    assert "\n" not in str(raised.value)
