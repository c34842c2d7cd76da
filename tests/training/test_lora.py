"""LoRA: what is trained and what is not, a run folder that needs no peft, and an adapter that loads with peft."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from enct5 import errors, training
from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.modeling_enct5 import EncT5ForSequenceClassification, EncT5ForTokenClassification
from enct5.training.config import TrainConfig
from enct5.training.lora import RANK, add_adapters
from enct5.training.optimizer import relative_adamw
from helpers.runs import heard

peft = pytest.importorskip("peft", reason="needs peft (the `peft` extra)")
pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = {"delivery": "parcel late road", "drink": "coffee milk cup", "refund": "money card bank"}
TEXTS = ["my parcel was late", "coffee with milk", "the bank took money off my card"]
KINDS = {
    "single": ("single_label_classification", lambda label, words: label),
    "multi": ("multi_label_classification", lambda label, words: ["any", label]),
    "regression": ("regression", lambda label, words: len(words) / 7 + len(label)),
    "tokens": ("token_classification", lambda label, words: ["B-thing", *["O"] * (len(words) - 1)]),
}


def train(base: Path, folder: Path, kind: str = "single", out: str = "run", **options: Any) -> dict[str, Any]:
    rows = []
    for number in range(36):
        label, topic = list(WORDS.items())[number % 3]
        words = [*topic.split(), *["the", "my"] * (number % 4)]
        text = words if kind == "tokens" else " ".join(words)
        rows.append({"text": text, "label": KINDS[kind][1](label, words)})
    source = folder / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    resume, hear = options.pop("resume", False), options.pop("hear", lambda line: None)
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "lora": True} | options
    config = TrainConfig.checked(
        data=str(source), text=("text",), label="label", base=str(base), out=str(folder / out), **settings
    )
    with heard(hear):
        return training.train(config, resume=resume)


@pytest.mark.parametrize("kind", KINDS)
def test_the_adapter_makes_the_same_model_of_the_converted_base(
    t5_folder: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    train(t5_folder(), tmp_path, kind)
    predictor = Predictor.from_pretrained(tmp_path / "run")
    model_class = EncT5ForTokenClassification if kind == "tokens" else EncT5ForSequenceClassification
    base = model_class.from_t5(
        str(t5_folder()), num_labels=predictor.model.config.num_labels, problem_type=KINDS[kind][0]
    )
    inputs = predictor.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        wanted = predictor.model(**inputs).logits
        before = base.eval()(**inputs).logits
        adapted = peft.PeftModel.from_pretrained(base, tmp_path / "run" / "adapter").eval()
        torch.testing.assert_close(adapted(**inputs).logits, wanted, rtol=1e-4, atol=1e-4)
        merged = adapted.merge_and_unload()
        torch.testing.assert_close(merged(**inputs).logits, wanted, rtol=1e-4, atol=1e-4)
    assert (before - wanted).abs().max() > 1e-2


def test_the_run_folder_is_that_of_any_run_and_an_adapter(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    said: list[str] = []
    record = train(t5_folder(), tmp_path, hear=said.append)
    train(t5_folder(), tmp_path, out="whole", lora=False)
    names, plain = ({path.name for path in (tmp_path / out).iterdir()} for out in ("run", "whole"))
    assert names == plain | {"adapter"}
    tensors, others = (load_file(tmp_path / out / "model.safetensors") for out in ("run", "whole"))
    assert tensors.keys() == others.keys()
    assert record["parameters"] == sum(tensor.numel() for tensor in tensors.values())
    config, other = (json.loads((tmp_path / out / "config.json").read_text()) for out in ("run", "whole"))
    assert config == other
    tensors = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    trained = sum(tensor.numel() for tensor in tensors.values())
    assert f"0.3M parameters, {trained / 1e6:.2g}M trained" in " ".join(said)
    files = {path.name for path in (tmp_path / "run" / "adapter").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}
    adapter = json.loads((tmp_path / "run" / "adapter" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == t5_folder().name


def test_matrices_prompts_and_head_are_trained_and_nothing_else(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    # A single prompt has nothing to choose from in self-attention. From words, these score best before the first step.
    train(t5_folder(), tmp_path, "multi", label_prompts="pad")
    base = EncT5ForSequenceClassification.from_t5(
        str(t5_folder()), num_labels=4, problem_type="multi_label_classification"
    ).state_dict()
    for name, tensor in load_file(tmp_path / "run" / "model.safetensors").items():
        of_attention_or_feed_forward = ("Attention." in name or "DenseReluDense." in name) and "relative" not in name
        trained = of_attention_or_feed_forward or name.startswith(("classifier.", "transformer.decoder.embed_tokens."))
        assert torch.equal(tensor, base[name]) != trained, name


def test_an_interrupted_run_is_resumed(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    train(t5_folder(), tmp_path, out="whole")
    evaluations = itertools.count(1)

    def interrupt(line: str) -> None:
        if line.startswith("epoch ") and next(evaluations) == 6:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(t5_folder(), tmp_path, hear=interrupt)
    said: list[str] = []
    train(t5_folder(), tmp_path, hear=said.append, resume=True)
    assert any("continuing from" in line for line in said)
    whole, resumed = (load_file(tmp_path / out / "model.safetensors") for out in ("whole", "run"))
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


def test_the_first_step_moves_outputs_as_far_as_training_the_matrix_would() -> None:
    torch.manual_seed(0)
    model = EncT5ForSequenceClassification(
        EncT5Config(vocab_size=50, d_model=256, d_kv=32, d_ff=384, num_layers=2, num_heads=8, num_labels=3)
    )
    adapted = add_adapters(model)
    optimizer = relative_adamw(adapted, 0.01, weight_decay=0.0)
    layers = [module for module in adapted.modules() if hasattr(module, "lora_B")]
    assert len(layers) == 2 * (4 + 2) + (4 + 4 + 2)
    inputs = []
    for layer in layers:
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        assert a.shape[0] == b.shape[1] == RANK
        inputs.append(torch.randn(a.shape[1]).sign())
        # The gradient of a text whose inputs are these; the chain rule takes it through A.
        b.grad = torch.randn(len(b), 1) @ (a.detach() @ inputs[-1])[None]
    optimizer.step()
    moved = []
    for layer, given in zip(layers, inputs, strict=True):
        weight = layer.base_layer.weight.detach()
        of_the_matrix = 0.01 * weight.square().mean().sqrt() * len(given)
        moved.append(float((layer.get_delta_weight("default").detach() @ given).square().mean().sqrt() / of_the_matrix))
    assert np.mean(moved) == pytest.approx(
        np.sqrt(2 / np.pi), rel=0.1
    )  # the mean of what A makes of the inputs, unsigned
    assert max(moved) < 2 * min(moved)


def test_without_peft_the_message_is_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(EncT5Error, match=r"--lora needs peft, which is not installed: pip install 'enct5\[peft\]'"):
        train(Path("bundled"), tmp_path)


def test_lora_and_fsdp_are_refused_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(EncT5Error, match="--lora and FSDP do not go together"):
        train(Path("bundled"), tmp_path)


def test_a_calibrated_model_and_its_adapter_agree_on_scores(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    record = train(t5_folder(), tmp_path)
    assert abs(record["temperature"] - 1) > 0.01
    head = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")["base_model.model.classifier.weight"]
    merged = load_file(tmp_path / "run" / "model.safetensors")["classifier.weight"]
    np.testing.assert_array_equal(head.numpy(), merged.numpy())


@pytest.mark.parametrize("target", ["decoder.embed_tokens", "encoder.embed_tokens"])
def test_an_adapter_of_an_embedding_counts_before_it_is_merged_as_after(target: str) -> None:
    config = EncT5Config(
        num_labels=3,
        problem_type="multi_label_classification",
        vocab_size=60,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
    )
    torch.manual_seed(0)
    model, ids = EncT5ForSequenceClassification(config).eval(), torch.randint(2, 60, (2, 7))
    before = model(ids).logits.detach()
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["q", "v", target])).eval()
    matrices = [parameter for name, parameter in adapted.named_parameters() if f"{target}.lora" in name]
    adapted(ids).logits.square().sum().backward()
    assert any(matrix.grad.any() for matrix in matrices)
    with torch.no_grad():
        for matrix in matrices:
            matrix.normal_()
        unmerged = adapted(ids).logits
        merged = adapted.merge_and_unload()(ids).logits
    assert (unmerged - before).abs().max() > 0.1
    torch.testing.assert_close(merged, unmerged, rtol=1e-4, atol=1e-4)
