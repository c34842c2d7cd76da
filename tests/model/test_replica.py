"""A model in evaluation mode beside the one in training mode: the same weights, hooks and wrappers, nothing changed."""

import functools
import pickle
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from accelerate import cpu_offload
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.nn.utils import parametrizations, prune

from enct5.errors import EncT5Error
from enct5.model.replica import evaluating
from helpers.models import TASKS, random_model

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH = {
    "input_ids": torch.tensor([[3, 4, 5, 1], [6, 1, 0, 0]]),
    "attention_mask": torch.tensor([[1] * 4, [1, 1, 0, 0]]),
}


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(**BATCH).logits


def query(model: Any) -> Any:
    return model.transformer.encoder.block[0].layer[0].SelfAttention.q


def with_adapters(model: Any) -> Any:
    adapted = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", target_modules=["q", "v"], lora_dropout=0.5))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    return adapted


def with_a_hook(model: Any) -> Any:
    model.transformer.encoder.embed_tokens.register_forward_hook(lambda module, inputs, output: output * 2)
    return model


def with_a_method(model: Any) -> Any:
    """A `forward` that was set to a method of the module."""
    original = type(query(model)).forward
    query(model).forward = types.MethodType(lambda self, states: original(self, states) * 2, query(model))
    return model


def with_half_a_method(model: Any) -> Any:
    encoder = model.transformer.encoder
    encoder.forward = functools.partial(type(encoder).forward, encoder)
    return model


def pruned(model: Any) -> Any:
    prune.l1_unstructured(query(model), "weight", 0.5)
    return model


def parametrised(model: Any) -> Any:
    parametrizations.weight_norm(query(model))
    return model


def normed_the_old_way(model: Any) -> Any:
    nn.utils.spectral_norm(query(model))
    return model


KINDS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda model: model,
    "adapters": with_adapters,
    "hook": with_a_hook,
    "method": with_a_method,
    "partial": with_half_a_method,
    "pruned": pruned,
    "parametrised": parametrised,
    "spectral norm": normed_the_old_way,
    "offloaded": lambda model: cpu_offload(model, execution_device="cpu"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_in_training_predicts_as_in_evaluation(kind: str) -> None:
    if kind == "offloaded":
        model = KINDS[kind](random_model(num_labels=3, problem_type="token_classification"))
    else:
        model = KINDS[kind](random_model(num_labels=3))
    dropped_out = logits(model.train())  # spectral norm changes its weight by this, too
    wanted = logits(model.eval())
    assert not torch.allclose(dropped_out, wanted)
    model.train()
    modes = [module.training for module in model.modules()]
    torch.testing.assert_close(logits(evaluating(model)), wanted)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize(("problem_type", "labels"), TASKS)
def test_every_kind_of_model_is_copied_without_its_weights(problem_type: str, labels: int) -> None:
    model = random_model(num_labels=labels, problem_type=problem_type).train()
    replica = evaluating(model)
    assert type(replica) is type(model)
    assert not any(module.training for module in replica.modules())
    assert not {id(module) for module in replica.modules()} & {id(module) for module in model.modules()}
    assert list(map(id, replica.parameters())) == list(map(id, model.parameters()))


def test_what_is_set_on_the_copy_is_not_set_on_the_model() -> None:
    model = random_model(num_labels=3)
    before = pickle.dumps(model)  # which hooks of transformers would prevent
    replica = evaluating(model)
    replica.set_attn_implementation("eager")
    replica(**BATCH, output_attentions=True)
    replica.config.id2label = {0: "other"}
    assert pickle.dumps(model) == before
    assert query(replica) is not query(model)


def test_weights_that_are_replaced_later_are_the_copys_too() -> None:
    model = random_model(num_labels=3)
    replica = evaluating(model)
    model.classifier.bias = nn.Parameter(torch.ones(3))
    query(model).weight.data = query(model).weight.data * 2
    torch.testing.assert_close(logits(replica), logits(model))


def test_a_function_in_place_of_forward_runs_in_evaluation_mode_only() -> None:
    model = random_model(num_labels=3)
    encode = model.transformer.encoder.forward
    model.transformer.encoder.forward = lambda *args, **options: encode(*args, **options)
    torch.testing.assert_close(logits(evaluating(model)), logits(model))
    model.train()
    with pytest.raises(EncT5Error, match=r"its `transformer.encoder` has a `forward` .* call `model.eval\(\)`"):
        evaluating(model)


def test_a_model_compiled_in_its_place_is_run_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(num_labels=3)
    wanted = logits(model)
    model.train()
    model._compiled_call_impl = lambda *_, **__: pytest.fail("the model's own")
    torch.testing.assert_close(logits(evaluating(model)), wanted)
