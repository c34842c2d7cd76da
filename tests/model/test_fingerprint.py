"""Every change of a model is noticed, whoever makes it, and nothing else is."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from torch.nn.utils import parametrizations, prune

from enct5.folding.model import FoldedEncT5
from enct5.model.fingerprint import WHOLE, Fingerprint, _sample
from enct5.model.modeling_enct5 import EncT5ForClassification
from helpers.models import random_model

pytestmark = pytest.mark.usefixtures("one_thread")

QUERY = "transformer.encoder.block.0.layer.0.SelfAttention.q.weight"
NORM = "transformer.encoder.block.0.layer.0.layer_norm.weight"


def large_model() -> EncT5ForClassification:
    """One whose matrices are sampled."""
    model = random_model(d_model=96, d_ff=160, num_heads=4, d_kv=24, num_labels=3)
    assert model.get_parameter(QUERY).numel() > WHOLE
    return model


def step(model: nn.Module, optimiser: type[torch.optim.Optimizer], **options: Any) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.1)
    optimiser(model.parameters(), lr=1e-5, **options).step()


def averaged(model: nn.Module) -> None:
    """As an average of weights is swapped in."""
    for parameter in model.parameters():
        parameter.data.copy_(parameter.data * 0.999)


def swapped(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.data = parameter.data * 0.999


def loaded(model: nn.Module, **options: Any) -> None:
    state = {name: tensor * 1.001 for name, tensor in model.state_dict().items()}
    model.load_state_dict(state, **options)


@torch.no_grad()
def one_number(model: nn.Module) -> None:
    model.get_parameter(QUERY)[3, 5] += 0.1


def one_number_of_a_norm(model: nn.Module) -> None:
    model.get_parameter(NORM).data[7] += 0.1


def one_row(model: nn.Module) -> None:
    model.get_parameter(QUERY).data[11] = 0


def one_column(model: nn.Module) -> None:
    model.get_parameter(QUERY).data[:, 13] = 0


def one_row_by_numpy(model: nn.Module) -> None:
    model.get_parameter(QUERY).detach().numpy()[11] = 0


def another_module(model: Any) -> None:
    attention = model.transformer.encoder.block[0].layer[0].SelfAttention
    attention.q = copy.deepcopy(attention.q)


def another_parameter(model: Any) -> None:
    layer = model.transformer.encoder.block[0].layer[0].SelfAttention.q
    layer.weight = nn.Parameter(layer.weight.detach())


def query(model: Any) -> nn.Module:
    return model.transformer.encoder.block[0].layer[0].SelfAttention.q


CHANGES: dict[str, Callable[[Any], Any]] = {
    "AdamW": lambda model: step(model, torch.optim.AdamW),
    "fused AdamW": lambda model: step(model, torch.optim.AdamW, fused=True),
    "AdamW without weight decay, foreach": lambda model: step(model, torch.optim.AdamW, foreach=True, weight_decay=0),
    "SGD": lambda model: step(model, torch.optim.SGD),
    "average copied in through data": averaged,
    "average swapped in through data": swapped,
    "load_state_dict": loaded,
    "load_state_dict by assignment": lambda model: loaded(model, assign=True),
    "one number": one_number,
    "one number of a small weight through data": one_number_of_a_norm,
    "one row through data": one_row,
    "one column through data": one_column,
    "one row through NumPy": one_row_by_numpy,
    "another dtype": lambda model: model.to(torch.bfloat16),
    "another module": another_module,
    "another parameter": another_parameter,
    "a layer less": lambda model: model.transformer.encoder.block.pop(1),
    "forward hook": lambda model: query(model).register_forward_hook(lambda *_: None),
    "forward pre-hook": lambda model: query(model).register_forward_pre_hook(lambda *_: None),
    "forward of its own": lambda model: setattr(query(model), "forward", lambda states: states),
    "pruning": lambda model: prune.l1_unstructured(query(model), "weight", 0.5),
    "parametrisation": lambda model: parametrizations.weight_norm(query(model)),
    "adapters": lambda model: inject_adapter_in_model(LoraConfig(target_modules=["v"]), model),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_are_noticed(change: Callable[[Any], Any]) -> None:
    model = large_model()
    fingerprint = Fingerprint(model)
    fingerprint.leave_out(FoldedEncT5(model).buffers())
    assert fingerprint.is_of(model)
    change(model)
    assert not fingerprint.is_of(model)
    assert Fingerprint(model).is_of(model)


def test_hooks_of_all_modules_are_noticed() -> None:
    model = large_model()
    fingerprint = Fingerprint(model)
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert not fingerprint.is_of(model)
    finally:
        handle.remove()
    assert fingerprint.is_of(model)


def test_what_changes_no_prediction_is_no_change() -> None:
    model = large_model()
    fingerprint = Fingerprint(model)
    model.train()
    model(input_ids=torch.tensor([[3, 4, 1]]), labels=torch.tensor([1])).loss.backward()
    model.eval().zero_grad()
    model.requires_grad_(False)
    model.transformer.decoder.set_attn_implementation("eager")
    model(input_ids=torch.tensor([[3, 4, 1]]), output_attentions=True)  # for which transformers adds hooks
    assert fingerprint.is_of(model)


@pytest.mark.parametrize("shape", [(96, 96), (512, 512), (2048, 512), (512, 2048), (100, 97), (97, 100), (3, 4096)])
def test_samples_have_numbers_of_every_row_and_column(shape: tuple[int, int]) -> None:
    weight = torch.arange(shape[0] * shape[1]).view(shape)
    sample = _sample(weight)
    assert sample.untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()
    assert set((sample // shape[1]).tolist()) == set(range(shape[0]))
    assert set((sample % shape[1]).tolist()) == set(range(shape[1]))
    assert len(sample) < 3 * max(shape)


def test_what_shares_its_memory_is_not_sampled() -> None:
    model = large_model()
    whole, part = Fingerprint(model), Fingerprint(model)
    part.leave_out([model.classifier.bias.detach()])
    assert len(whole._values) - len(part._values) == 3
    model.classifier.bias.data.add_(1)
    assert part.is_of(model)
    assert not whole.is_of(model)
