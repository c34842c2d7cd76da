"""The model in half precision, on several devices, in shards, and compiled."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from enct5 import EncT5ForSequenceClassification
from enct5.model.modeling_enct5 import clamp_half_precision
from helpers.classifiers import MULTI, SINGLE, VARIANTS, logits_of, random_ids, random_model


@torch.no_grad()
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
def test_deep_decoders_run_in_float16(tmp_path: Path, attention: str, problem_type: str) -> None:
    """Behind the first layer's `wo`, which stays in float32, the prompts' states are float32, the texts' float16."""
    model, ids = random_model(num_labels=3, num_decoder_layers=2, problem_type=problem_type), random_ids(2, 6)
    model.save_pretrained(tmp_path)
    half = EncT5ForSequenceClassification.from_pretrained(
        tmp_path, dtype=torch.float16, attn_implementation=attention
    ).eval()
    torch.testing.assert_close(half(ids).logits.float(), model.eval()(ids).logits, atol=0.02, rtol=0.02)


def test_half_precision_stays_near_float32(tmp_path: Path) -> None:
    model, ids = random_model(num_labels=3), random_ids(4, 6)
    expected = logits_of(model, ids)
    model.save_pretrained(tmp_path)
    for dtype, tolerance in ((torch.bfloat16, 0.15), (torch.float16, 0.02)):
        half = EncT5ForSequenceClassification.from_pretrained(tmp_path, dtype=dtype)
        # In float16 the output of a feed-forward layer overflows in real checkpoints, so T5 keeps it in float32.
        kept = {name for name, parameter in half.named_parameters() if parameter.dtype == torch.float32}
        assert kept == {name for name in half.state_dict() if ".wo." in name and dtype == torch.float16}
        assert {parameter.dtype for parameter in half.parameters()} == ({dtype, torch.float32} if kept else {dtype})
        logits = logits_of(half, ids)
        assert logits.dtype == dtype
        torch.testing.assert_close(logits.float(), expected, atol=tolerance, rtol=0)


def test_float16_states_are_kept_finite() -> None:
    states = torch.tensor([math.inf, -math.inf, 65504.0, 3.0], dtype=torch.float16)
    clamped = clamp_half_precision(states)
    assert clamped.isfinite().all()
    assert clamped[0] == clamped[2] == -clamped[1] > 64000
    assert clamped[3] == 3
    assert clamp_half_precision(states.float()) is not None
    assert clamp_half_precision(states.float()).isinf().sum() == 2


@pytest.mark.parametrize("device_map", ["cpu", {"": "cpu"}])
def test_a_device_map_loads_the_same_weights(device_map: str | dict, tmp_path: Path) -> None:
    model, ids = random_model(num_labels=3), random_ids(2, 5)
    model.save_pretrained(tmp_path)
    placed = EncT5ForSequenceClassification.from_pretrained(tmp_path, device_map=device_map)
    for name, tensor in model.state_dict().items():
        assert torch.equal(placed.state_dict()[name], tensor), name
    torch.testing.assert_close(logits_of(placed, ids), logits_of(model, ids), atol=1e-4, rtol=0)


@pytest.mark.parametrize("config", VARIANTS)
def test_weights_may_be_elsewhere_until_a_module_is_called(config: dict) -> None:
    """Whoever offloads a module's weights brings them when it is called, not when another module reads them."""
    accelerate = pytest.importorskip("accelerate")
    model, ids = random_model(**config), random_ids(2, 7)
    expected = logits_of(model, ids)
    accelerate.cpu_offload(model, execution_device="cpu")
    assert all(parameter.is_meta for parameter in model.parameters())
    assert torch.equal(logits_of(model, ids), expected)


@pytest.mark.parametrize("device_map", [{"": "disk"}, "auto"])
def test_weights_may_stay_on_the_disk(device_map: str | dict, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    model, ids = random_model(num_labels=5, problem_type=MULTI), random_ids(2, 7)
    model.save_pretrained(tmp_path / "model")
    options: dict = {"max_memory": {"cpu": "100KB"}} if device_map == "auto" else {}
    offloaded = EncT5ForSequenceClassification.from_pretrained(
        tmp_path / "model", device_map=device_map, offload_folder=tmp_path / "offloaded", **options
    )
    assert offloaded.transformer.decoder.embed_tokens.weight.is_meta
    assert torch.equal(logits_of(offloaded, ids), logits_of(model, ids))


@pytest.mark.parametrize("config", VARIANTS)
def test_sharded_embeddings_give_the_same_logits_and_gradients(config: dict, tmp_path: Path) -> None:
    """FSDP makes parameters DTensors, which are plain tensors only while their module is called."""
    from torch.distributed.fsdp import fully_shard

    model, ids = random_model(**config), random_ids(2, 7)
    loss = model(ids).logits.square().sum()
    loss.backward()
    gradient = model.transformer.decoder.embed_tokens.weight.grad.clone()
    model.zero_grad()
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        mesh = torch.distributed.init_device_mesh("cpu", (1,))
        for module in (
            model.transformer.decoder.embed_tokens,
            model.transformer.encoder.embed_tokens,
            model.classifier,
        ):
            fully_shard(module, mesh=mesh)
        fully_shard(model, mesh=mesh)
        sharded = model(ids).logits.square().sum()
        sharded.backward()
        assert torch.equal(sharded, loss)
        assert torch.equal(model.transformer.decoder.embed_tokens.weight.grad.full_tensor(), gradient)
    finally:
        torch.distributed.destroy_process_group()


def test_hooks_of_the_prompts_embedding_are_called() -> None:
    model, ids = random_model(num_labels=5, problem_type=MULTI), random_ids(2, 7)
    other = random_model(num_labels=5, problem_type=MULTI)
    with torch.no_grad():
        other.transformer.decoder.embed_tokens.weight.mul_(2)
    model.transformer.decoder.embed_tokens.register_forward_hook(lambda module, inputs, output: 2 * output)
    assert torch.equal(logits_of(model, ids), logits_of(other, ids))


@pytest.mark.parametrize("config", VARIANTS)
@pytest.mark.parametrize("padding", [0, 2])
def test_no_mask_is_broadcast_along_the_tokens_that_are_read(
    config: dict, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attention on a GPU takes none such ("last dimension must be contiguous"), which no CPU tells."""
    attend, masks = functional.scaled_dot_product_attention, []

    def watched(query: torch.Tensor, key: torch.Tensor, *rest: Any, **kwargs: Any) -> torch.Tensor:
        masks.append((kwargs.get("attn_mask"), key.shape[2]))
        return attend(query, key, *rest, **kwargs)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, 7 - padding :] = 0
    random_model(**config).train()(random_ids(2, 7), attention_mask=mask)
    given = [(mask, length) for mask, length in masks if mask is not None]
    assert given
    assert all(mask.shape[-1] == length for mask, length in given)


@pytest.mark.parametrize("config", [VARIANTS[0], VARIANTS[4]])
def test_the_model_is_one_graph_for_torch_compile(config: dict) -> None:
    model, ids = random_model(**config), random_ids(3, 8)
    ids[1, 5:] = 0
    mask = (ids != 0).long()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(logits_of(compiled, ids, attention_mask=mask), logits_of(model, ids), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_compiled_code_computes_the_same() -> None:
    model, ids = random_model(num_labels=5, problem_type=MULTI, num_layers=1), random_ids(3, 8)
    ids[1, 5:] = 0
    torch._dynamo.reset()
    torch.testing.assert_close(logits_of(torch.compile(model), ids), logits_of(model, ids), atol=1e-4, rtol=0)
