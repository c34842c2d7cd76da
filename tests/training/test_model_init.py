"""The model a run starts from: its prompts, and bases that are EncT5 already."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from enct5.cli.conversion import convert_folder
from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from enct5.model.loading import load_tokenizer
from enct5.model.modeling_enct5 import EncT5ForSequenceClassification
from enct5.tasks.registry import find_task
from enct5.training.model_init import build_model, start_as_mean
from enct5.training.trainer import EncT5Trainer
from helpers.runs import LABELS, Run, messages, numbers, several_labels, start, values, weights
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")


class PromptsSeenError(Exception):
    """Ends a run before its first step."""


def first_prompts(run: Run, source: str, out: Path, **options: Any) -> Any:
    """The model that a run starts with, and what it said until then."""
    found = []

    class Unstarted(EncT5Trainer):
        def train(self, **_: Any) -> None:
            found.append(self.model)
            raise PromptsSeenError

    said: list[str] = []
    with pytest.raises(PromptsSeenError):
        start(run.base, out, source, said, trainer_class=Unstarted, **options)
    return found[0], said


def test_prompts_start_from_label_names_or_descriptions(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "multi.jsonl", several_labels())
    tokenizer = load_tokenizer(str(run.base))
    descriptions = {"refund": "money back", "Café Ärger": "trouble with coffee", "delivery": "parcels", "spare": "x"}
    (tmp_path / "labels.json").write_text(json.dumps(descriptions), encoding="utf-8")
    cases = {
        "default": ({}, list(LABELS)),
        "pad": ({"label_prompts": "pad"}, ["<pad>"] * 3),
        "names": ({"label_prompts": "names"}, list(LABELS)),
        "described": ({"label_descriptions": str(tmp_path / "labels.json")}, [descriptions[name] for name in LABELS]),
    }
    for name, (options, texts) in cases.items():
        model, said = first_prompts(run, source, tmp_path / name, **options)
        words = model.get_input_embeddings().weight
        for prompt, text in zip(model.transformer.decoder.embed_tokens.weight, texts, strict=True):
            ids = tokenizer(text, add_special_tokens=False).input_ids
            torch.testing.assert_close(prompt, words[ids].mean(dim=0), atol=1e-6, rtol=1e-5)
        assert (f"{tmp_path}/labels.json also describes `spare`, which the data does not have" in said) == (
            name == "described"
        )


def test_prompts_of_a_trained_base_start_anew_where_asked_for(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "multi.jsonl", several_labels())
    start(run.base, tmp_path / "base", source, epochs=1, loss="focal", class_weights="balanced")
    trained = EncT5ForSequenceClassification.from_pretrained(tmp_path / "base")
    assert trained.config.loss == "focal"
    here = Run.__new__(Run)
    here.base = tmp_path / "base"
    kept, _ = first_prompts(here, source, tmp_path / "kept")
    assert torch.equal(kept.transformer.decoder.embed_tokens.weight, trained.transformer.decoder.embed_tokens.weight)
    # how the base was trained, and where its scores were cut off, is not taken over
    assert kept.config.loss is kept.config.class_weights is kept.config.thresholds is None
    anew, _ = first_prompts(here, source, tmp_path / "anew", label_prompts="names", loss="asymmetric")
    ids = load_tokenizer(str(run.base))("refund", add_special_tokens=False).input_ids
    expected = anew.get_input_embeddings().weight[ids].mean(dim=0)
    torch.testing.assert_close(anew.transformer.decoder.embed_tokens.weight[2], expected, atol=1e-6, rtol=1e-5)
    assert anew.config.loss == "asymmetric"


def decoder_matrix(model: torch.nn.Module, name: str) -> torch.Tensor:
    return model.get_parameter(f"transformer.decoder.block.0.layer.{name}.weight").detach()


@pytest.mark.parametrize("lora", [False, True])
def test_an_untrained_decoder_starts_as_a_mean(lora: bool, run: Run, tmp_path: Path) -> None:
    convert_folder(str(run.base), tmp_path / "converted", num_labels=3)
    as_t5_has_it = EncT5ForSequenceClassification.from_pretrained(tmp_path / "converted")
    converted = Run.__new__(Run)
    converted.base = tmp_path / "converted"
    for index, base in enumerate((run, converted)):
        model, _ = first_prompts(base, run.source, tmp_path / str(index), lora=lora)
        for name in ("1.EncDecAttention.q", "2.DenseReluDense.wo"):
            expected = decoder_matrix(as_t5_has_it, name) * (1 if lora else 0.1)
            torch.testing.assert_close(decoder_matrix(model, name), expected)
        for name in ("1.EncDecAttention.v", "1.EncDecAttention.o"):
            found, before = decoder_matrix(model, name), decoder_matrix(as_t5_has_it, name)
            torch.testing.assert_close(found.norm(), before.norm())
            assert torch.equal(found, before) == lora


@pytest.mark.parametrize("d_kv", [4, 8, 32])  # heads narrower than the model, as wide, wider (T5-3B)
def test_what_starts_as_a_mean_tells_directions_apart_and_not_tokens(d_kv: int, t5_folder: Callable[..., Path]) -> None:
    torch.manual_seed(0)
    base = t5_folder(d_model=32, d_kv=d_kv, num_heads=4)
    model = EncT5ForSequenceClassification.from_t5(str(base), num_labels=3).eval()
    tokens = torch.randn(50, 6, 32)

    def logits(states: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model(encoder_outputs=(states,), attention_mask=torch.ones(states.shape[:2])).logits

    def difference() -> float:
        return float((logits(tokens) - logits(tokens.mean(1, keepdim=True).expand_as(tokens))).abs().mean())

    before = difference()
    start_as_mean(model)
    assert difference() < before / 3  # only the mean of the tokens counts
    read = decoder_matrix(model, "1.EncDecAttention.o") @ decoder_matrix(model, "1.EncDecAttention.v")
    stretches = torch.linalg.svdvals(read)[: 4 * d_kv]  # of the directions that the heads have room for
    assert stretches.max() < 1.001 * stretches.min()  # all come through alike


@pytest.mark.parametrize("trained", [False, True])
def test_a_base_with_other_labels_starts_as_a_mean_unless_it_was_trained(
    trained: bool, run: Run, tmp_path: Path
) -> None:
    convert_folder(str(run.base), tmp_path / "converted", num_labels=7)
    here = Run.__new__(Run)
    here.base = run.out if trained else tmp_path / "converted"
    before = decoder_matrix(EncT5ForSequenceClassification.from_pretrained(here.base), "1.EncDecAttention.q")
    source = write_rows(tmp_path / "rows.jsonl", [{**row, "label": row["label"][:1]} for row in messages(30)][:20])
    model, _ = first_prompts(here, source, tmp_path / "run")
    torch.testing.assert_close(decoder_matrix(model, "1.EncDecAttention.q"), before * (1 if trained else 0.1))


def test_a_decoder_that_has_learned_to_read_stays_as_it_is(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    base = tmp_path / "t5"
    shutil.copytree(t5_folder(), base)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    for reads in (False, True):
        (base / "config.json").write_text(json.dumps({**config, "decoder_reads_with_pad": reads}), encoding="utf-8")
        model = build_model(str(base), find_task("single_label_classification"), ["a", "b"])
        stored = weights(base)["decoder.block.0.layer.1.EncDecAttention.q.weight"]
        torch.testing.assert_close(decoder_matrix(model, "1.EncDecAttention.q"), stored * (1 if reads else 0.1))


def test_a_trained_decoder_stays_as_it_is(run: Run, tmp_path: Path) -> None:
    trained = Run.__new__(Run)
    trained.base = run.out
    before = EncT5ForSequenceClassification.from_pretrained(run.out).transformer.decoder.block.state_dict()
    other_labels = write_rows(tmp_path / "rows.jsonl", [{**row, "label": row["label"][:1]} for row in messages(30)])
    for index, source in enumerate((run.source, other_labels)):
        model, _ = first_prompts(trained, source, tmp_path / str(index))
        for name, tensor in model.transformer.decoder.block.state_dict().items():
            assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("rows", [messages(30), several_labels()], ids=["single label", "multi-label"])
@pytest.mark.parametrize("names", ["the same", "others"])
def test_a_head_goes_on_for_the_same_labels_and_is_new_for_as_many_others(
    rows: list[Any], names: str, run: Run, tmp_path: Path
) -> None:
    start(run.base, tmp_path / "base", write_rows(tmp_path / "rows.jsonl", rows), epochs=1)
    before = EncT5ForSequenceClassification.from_pretrained(tmp_path / "base")

    def renamed(label: Any) -> Any:
        return f"z{len(label)} {label}" if isinstance(label, str) else [renamed(name) for name in label]

    others = [{**row, "label": renamed(row["label"])} for row in rows] if names == "others" else rows
    here = Run.__new__(Run)
    here.base = tmp_path / "base"
    model, said = first_prompts(here, write_rows(tmp_path / "again.jsonl", others), tmp_path / "run")
    assert torch.equal(model.classifier.weight, before.classifier.weight) == (names == "the same")
    assert model.is_fine_tuned() == (names == "the same")
    assert ("the head is new: the base has none for these labels" in said) == (names == "others")
    prompts, stored = (each.transformer.decoder.embed_tokens.weight for each in (model, before))
    assert torch.equal(prompts, stored) == (names == "the same" or len(prompts) == 1)
    for name, tensor in before.transformer.decoder.block.state_dict().items():
        assert torch.equal(model.transformer.decoder.block.state_dict()[name], tensor), name


@pytest.mark.parametrize("factor", [1, -1000])
def test_a_regression_goes_on_where_it_was_in_whatever_unit(run: Run, tmp_path: Path, factor: float) -> None:
    texts = [row["text"] for row in messages(20, seed=3)]
    start(run.base, tmp_path / "first", write_rows(tmp_path / "a.jsonl", numbers(40, 10, 50)), epochs=3)
    source = write_rows(tmp_path / "b.jsonl", numbers(40, factor, 1))
    start(tmp_path / "first", tmp_path / "second", source, epochs=0.1, learning_rate=1e-9)
    np.testing.assert_allclose(values(tmp_path / "second", texts), values(tmp_path / "first", texts), rtol=1e-3)


def test_a_new_head_starts_in_the_unit_of_training(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", numbers(40, 1000, 1e6))
    convert_folder(str(run.base), tmp_path / "base", num_labels=1, problem_type="regression")
    start(tmp_path / "base", tmp_path / "run", source, epochs=0.1, learning_rate=1e-9)
    found = values(tmp_path / "run", [row["text"] for row in messages(20)])
    assert np.abs(found - 1e6).max() < 20_000


@pytest.mark.parametrize(("task", "rate"), [("regression", 0.0), ("single", 0.25), ("multi", 0.25), ("tokens", 0.25)])
def test_the_encoder_drops_nothing_out_where_a_number_is_learned(
    task: str, rate: float, t5_folder: Callable[..., Path], tmp_path: Path
) -> None:
    names = ["O", "B-x", "I-x"]
    model = build_model(str(t5_folder(dropout_rate=0.25)), find_task(task), names)
    layers = {module.p for module in model.transformer.encoder.modules() if isinstance(module, torch.nn.Dropout)}
    assert layers == {rate} == {model.config.dropout_rate}
    model.save_pretrained(tmp_path)
    assert build_model(str(tmp_path), find_task(task), names).config.dropout_rate == rate
    if task != "tokens":  # whose decoder is missing
        other = build_model(str(tmp_path), find_task("multi" if task == "single" else "single"), names)
        assert other.config.dropout_rate == (rate or 0.1)  # T5's own, where the base's is not known
    assert build_model(str(tmp_path), find_task(task), names, dropout_rate=0.5).config.dropout_rate == 0.5


def test_a_converted_folder_is_a_base(run: Run, tmp_path: Path) -> None:
    convert_folder(str(run.base), tmp_path / "enct5-base", num_labels=7)
    record = start(tmp_path / "enct5-base", tmp_path / "run", run.source, epochs=1)
    assert record["base"] == "enct5-base"
    assert weights(tmp_path / "run")["classifier.weight"].shape == (3, 32)


def test_a_trained_model_is_a_base_for_other_labels_and_tasks(run: Run, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": [row["label"], "any", "more"]} for row in messages(30)]
    source = write_rows(tmp_path / "multi.jsonl", rows)
    start(run.out, tmp_path / "run", source, epochs=1)
    config = Predictor.from_pretrained(tmp_path / "run").model.config
    assert list(config.id2label.values()) == ["Café Ärger", "any", "delivery", "more", "refund"]
    assert (config.problem_type, config.decoder_vocab_size) == ("multi_label_classification", 5)


def test_a_trained_model_with_the_same_labels_goes_on_where_it_was(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "messages.jsonl", messages(60))
    record = start(run.out, tmp_path / "run", source, epochs=0.1, learning_rate=1e-9)
    before, after = weights(run.out), weights(tmp_path / "run")
    for name in ("classifier.weight", "classifier.bias"):
        after[name] *= record["temperature"]
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=1e-4, atol=1e-6)


def test_a_quantised_base_is_refused(run: Run, tmp_path: Path) -> None:
    name = "transformer.encoder.block.0.layer.0.SelfAttention.q.weight"
    shutil.copytree(run.out, tmp_path / "base")
    tensors = weights(run.out)
    tensors[name] = tensors[name].to(torch.int8)
    save_file(tensors, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncT5Error, match=f"{name} is stored as I8") as raised:
        start(tmp_path / "base", tmp_path / "run", run.source)
    assert "\n" not in str(raised.value)
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (tmp_path / "base" / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncT5Error, match="base is quantised, which cannot be trained; start from the model it was"):
        start(tmp_path / "base", tmp_path / "run", run.source)


@pytest.mark.parametrize("damage", ["missing", "another shape"])
def test_a_base_that_lacks_a_tensor_is_refused(run: Run, tmp_path: Path, damage: str) -> None:
    name = "transformer.encoder.block.0.layer.0.SelfAttention.q.weight"
    shutil.copytree(run.out, tmp_path / "base")
    tensors = weights(run.out)
    tensor = tensors.pop(name)
    if damage != "missing":
        tensors[name] = tensor[:4].clone()
    save_file(tensors, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncT5Error, match=f"lack {name} or hold it in another shape"):
        start(tmp_path / "base", tmp_path / "run", run.source)
