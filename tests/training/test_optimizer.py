"""Every tensor's first step is a share of its size, the same for all, and for all of the encoder."""

import pytest
import torch

from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.modeling_enct5 import EncT5ForSequenceClassification, EncT5ForTokenClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.training.optimizer import relative_adamw


@pytest.fixture
def model() -> EncT5ForSequenceClassification:
    torch.manual_seed(0)
    return EncT5ForSequenceClassification(
        EncT5Config(vocab_size=50, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, num_labels=3)
    )


def size(tensor: torch.Tensor) -> float:
    return float(tensor.square().mean().sqrt())


def first_step(model: torch.nn.Module, learning_rate: float) -> dict[str, float]:
    """Root mean square of each tensor's first step, whose gradient is random."""
    optimizer = relative_adamw(model, learning_rate, weight_decay=0.0)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    return {name: size(parameter.detach() - before[name]) for name, parameter in model.named_parameters()}


def test_steps_are_relative_to_the_size_of_a_tensor(model: EncT5ForSequenceClassification) -> None:
    sizes = {name: size(parameter.detach()) for name, parameter in model.named_parameters()}
    for name, step in first_step(model, 0.01).items():
        expected = sizes["classifier.weight"] if name == "classifier.bias" else sizes[name]
        share = 0.3 if name.startswith("transformer.encoder.") else 1.0
        assert step == pytest.approx(0.01 * share * expected, rel=1e-3), name


def test_an_encoder_alone_takes_whole_steps() -> None:
    torch.manual_seed(0)
    config = EncT5Config(vocab_size=50, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, num_labels=3)
    tagger = EncT5ForTokenClassification(config)
    sizes = {name: size(parameter.detach()) for name, parameter in tagger.named_parameters()}
    assert not any(".decoder." in name for name in sizes)
    name = "transformer.encoder.block.0.layer.0.SelfAttention.q.weight"
    assert first_step(tagger, 0.01)[name] == pytest.approx(0.01 * sizes[name], rel=1e-3)


@pytest.mark.parametrize(("others", "share"), [("tags", 1.0), ("classes", 0.3)])
def test_an_encoder_whose_states_a_head_reads_takes_whole_steps_beside_decoders(others: str, share: float) -> None:
    config = EncT5Config(vocab_size=50, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, num_labels=3)
    torch.manual_seed(0)
    classes = EncT5ForSequenceClassification(config)
    kind = EncT5ForTokenClassification if others == "tags" else EncT5ForSequenceClassification
    other = kind(EncT5Config(**config.to_diff_dict()))
    other.transformer.encoder.load_state_dict(classes.transformer.encoder.state_dict())
    model = EncT5ForTasks.from_models({"classes": classes, "others": other})
    sizes = {name: size(parameter.detach()) for name, parameter in model.named_parameters()}
    name = next(name for name in sizes if name.endswith("encoder.block.0.layer.0.SelfAttention.q.weight"))
    assert first_step(model, 0.01)[name] == pytest.approx(0.01 * share * sizes[name], rel=1e-3)


def test_a_tensor_of_zeros_moves(model: EncT5ForSequenceClassification) -> None:
    name = "transformer.encoder.final_layer_norm.weight"
    torch.nn.init.zeros_(model.get_parameter(name))
    assert first_step(model, 0.01)[name] == pytest.approx(0.003 * 1e-3, rel=1e-3)


def test_vectors_do_not_decay_and_frozen_tensors_stay_out(model: EncT5ForSequenceClassification) -> None:
    model.get_input_embeddings().requires_grad_(False)
    groups = relative_adamw(model, 0.01, weight_decay=0.1).param_groups
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert [group["params"][0] for group in groups] == trained
    assert all(group["weight_decay"] == (0.1 if group["params"][0].ndim > 1 else 0.0) for group in groups)
