"""Gradients reach every parameter, and are the same where the prompts or the layers are computed in parts."""

import pytest
import torch

from enct5 import EncT5ForSequenceClassification
from enct5.model import modeling_enct5
from helpers.classifiers import LABELS, MULTI, REGRESSION, SINGLE, VARIANTS, logits_of, random_ids, random_model


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("config", [config for config in VARIANTS if config.get("problem_type") == MULTI])
def test_prompts_in_parts_compute_the_same(config: dict, attention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = random_model(**config, dropout_rate=0.0), random_ids(3, 6)
    model.set_attn_implementation(attention)
    ids[1, 3:] = 0
    labels = torch.arange(3 * model.num_labels).view(3, -1) % 2
    expected = model(ids, labels=labels)
    expected.loss.backward()
    gradient = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    attentions = model(ids, output_attentions=True).cross_attentions if attention == "eager" else None

    monkeypatch.setattr(modeling_enct5, "PROMPTS_AT_A_TIME", 2)
    widths, asking = [], []
    for block in model.transformer.decoder.block:
        block.layer[0].register_forward_pre_hook(lambda _, args: asking.append(args[0].shape[1]))
        block.layer[2].register_forward_pre_hook(lambda _, args: widths.append(args[0].shape[1]))
    model.zero_grad()
    found = model(ids, labels=labels)
    assert max(widths) == 2
    assert max(asking) == (model.num_labels if model.config.prompt_position_bias else 2)
    assert sum(widths) == model.num_labels * model.config.num_decoder_layers
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-4)
    found.loss.backward()
    assert sum(widths) == 2 * model.num_labels * model.config.num_decoder_layers  # again for the gradients
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradient[name], atol=1e-5, rtol=1e-4, msg=name)
    torch.testing.assert_close(logits_of(model, ids), expected.logits, atol=1e-5, rtol=1e-4)
    if attentions is not None:
        for part, whole in zip(model(ids, output_attentions=True).cross_attentions, attentions, strict=True):
            torch.testing.assert_close(part, whole)


def test_prompts_in_parts_drop_out_alike_when_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modeling_enct5, "PROMPTS_AT_A_TIME", 2)
    model = random_model(num_labels=3, problem_type=MULTI, dropout_rate=0.5).train()
    again = {name: gradient.clone() for name, gradient in gradients(model, LABELS[MULTI]).items()}
    monkeypatch.setattr(
        modeling_enct5, "checkpoint", lambda function, *args, use_reentrant, **kwargs: function(*args, **kwargs)
    )
    for name, gradient in gradients(model, LABELS[MULTI]).items():
        torch.testing.assert_close(again[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def gradients(model: EncT5ForSequenceClassification, labels: torch.Tensor) -> dict[str, torch.Tensor | None]:
    model.zero_grad()
    torch.manual_seed(2)  # for dropout
    model(random_ids(2, 5), labels=labels).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("problem_type", [SINGLE, MULTI, REGRESSION])
def test_gradients_reach_every_parameter(problem_type: str) -> None:
    model = random_model(num_labels=3, problem_type=problem_type, num_decoder_layers=2, dropout_rate=0.0)
    found = gradients(model, LABELS[problem_type])
    assert [name for name, gradient in found.items() if gradient is None] == []  # or DDP would wait for them
    idle = {name for name, gradient in found.items() if not gradient.any()}
    # A single prompt attends to itself alone, whatever its query, key and bias are.
    one_prompt = {
        f"transformer.decoder.block.{layer}.layer.0.SelfAttention.{part}.weight"
        for layer, parts in enumerate((("q", "k", "relative_attention_bias"), ("q", "k")))
        for part in parts
    }
    assert idle == (set() if problem_type == MULTI else one_prompt)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("config", [{}, {"per_layer_position_bias": True}, {"prompt_position_bias": False}])
def test_gradient_checkpointing_changes_no_gradient(config: dict, reentrant: bool) -> None:
    model = random_model(num_labels=3, problem_type=MULTI, num_decoder_layers=2, **config).train()
    expected = {
        name: gradient.clone() for name, gradient in gradients(model, LABELS[MULTI]).items() if gradient is not None
    }
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    calls = []
    block = model.transformer.decoder.block[0].layer[1]
    block.register_forward_pre_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    found = gradients(model, LABELS[MULTI])
    assert len(calls) == 2  # once forward, once again for the gradients
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4, msg=name)
