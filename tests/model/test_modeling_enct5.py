"""The model: parity with the reference and with transformers' T5, invariances, losses, and what users do with it."""

import json
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    MT5ForConditionalGeneration,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
    UMT5ForConditionalGeneration,
    pipeline,
)
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import logging as transformers_logging

from enct5 import EncT5Config, EncT5ForSequenceClassification
from enct5.model import modeling_enct5
from enct5.model.modeling_enct5 import EncT5Model, clamp_half_precision
from helpers.paths import shared

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
REFERENCES = [(kind, case) for kind in ("relu", "gated") for case in ("single_label", "regression", "multi_label")]
SMALL = {"vocab_size": 60, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
# Every problem type, depth and family, for what has to hold of all of them.
VARIANTS = [
    {"num_labels": 3},
    {"num_labels": 1},
    {"num_labels": 2, "problem_type": REGRESSION, "num_decoder_layers": 2},
    {"num_labels": 5, "problem_type": MULTI},
    {"num_labels": 5, "problem_type": MULTI, "prompt_position_bias": False, "num_decoder_layers": 2},
    {"num_labels": 4, "problem_type": MULTI, "per_layer_position_bias": True, "num_decoder_layers": 2},
    {"num_labels": 3, "per_layer_position_bias": True, "feed_forward_proj": "gated-gelu"},
]
LABELS = {
    SINGLE: torch.tensor([2, 0]),
    MULTI: torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]),
    REGRESSION: torch.tensor([[0.5, -1.0, 2.0], [0.0, 3.0, 1.5]]),
}


def random_model(seed: int = 0, **config: Any) -> EncT5ForSequenceClassification:
    """A small model whose every parameter differs from its initial constant (norms of one, biases of zero)."""
    torch.manual_seed(seed)
    model = EncT5ForSequenceClassification(EncT5Config(**{**SMALL, **config})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def random_ids(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    """Token ids without padding (0)."""
    return torch.randint(2, SMALL["vocab_size"], (batch, length), generator=torch.Generator().manual_seed(seed))


def logits_of(model: EncT5ForSequenceClassification, ids: torch.Tensor, **inputs: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(ids, **inputs).logits


@pytest.fixture
def no_remembered_warnings() -> Iterator[None]:
    """`warning_once` remembers for the whole process what it has said."""
    once = logging.getLoggerClass().warning_once
    once.cache_clear()
    yield
    once.cache_clear()


# The reference implementation


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("kind", "case"), REFERENCES)
def test_reference_checkpoints_give_their_logits(kind: str, case: str, attention: str, tmp_path: Path) -> None:
    root = shared("fixtures", "reference", kind)
    expected = json.loads((root / "expected.json").read_text())
    ids, mask = torch.tensor(expected["input_ids"]), torch.tensor(expected["attention_mask"])
    logits = torch.tensor(expected["cases"][case]["logits"])
    assert (mask.sum(1) < mask.shape[1]).any()  # there is padding to get wrong

    model, info = EncT5ForSequenceClassification.from_pretrained(
        root / case, attn_implementation=attention, output_loading_info=True
    )
    assert not any(info.values()), info
    exact = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(logits_of(model, ids, attention_mask=mask), logits, **exact)
    torch.testing.assert_close(logits_of(model, ids), logits, **exact)
    torch.testing.assert_close(logits_of(model, ids, attention_mask=mask.bool()), logits, **exact)
    left = torch.stack([row.roll(int((row == 0).sum())) for row in ids])
    assert (left[mask.sum(1) < mask.shape[1], 0] == 0).all()
    torch.testing.assert_close(logits_of(model, left), logits, **exact)
    for row, length, expected_row in zip(ids, mask.sum(1), logits, strict=True):
        torch.testing.assert_close(logits_of(model, row[None, :length])[0], expected_row, **exact)

    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        names = set(file.keys())
    assert names == set(model.state_dict())
    assert {"classifier.weight", "classifier.bias", "transformer.encoder.embed_tokens.weight"} <= names
    assert not any("shared" in name or "classification_head" in name for name in names)
    again, info = EncT5ForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    torch.testing.assert_close(logits_of(again, ids, attention_mask=mask), logits, **exact)


@pytest.mark.parametrize("saved_again", [False, True])
def test_auto_model_loads_the_part_below_the_head(saved_again: bool, tmp_path: Path) -> None:
    folder = shared("fixtures", "reference", "gated", "multi_label")
    whole = EncT5ForSequenceClassification.from_pretrained(folder)
    if saved_again:
        whole.save_pretrained(tmp_path)
    model, info = AutoModel.from_pretrained(tmp_path if saved_again else folder, output_loading_info=True)
    assert type(model) is EncT5Model
    assert info["missing_keys"] == set()
    assert info["unexpected_keys"] == {"classifier.weight", "classifier.bias"}
    for name, tensor in whole.transformer.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


# transformers' T5

T5_KINDS = [
    ("t5", T5ForConditionalGeneration, {}),
    ("t5", T5ForConditionalGeneration, {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    ("mt5", MT5ForConditionalGeneration, {}),
    ("umt5", UMT5ForConditionalGeneration, {}),
]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("kind", "t5_class", "config"), T5_KINDS)
def test_encoder_and_decoder_compute_what_t5s_own_do(
    kind: str, t5_class: type, config: dict, layers: int, t5_folder: Callable[..., Path]
) -> None:
    """With one prompt, `<pad>`'s embedding, EncT5 is T5's decoder at its first step."""
    folder = t5_folder(kind, **config)
    t5 = t5_class.from_pretrained(folder).eval()
    t5.decoder.block = t5.decoder.block[:layers]
    model = EncT5ForSequenceClassification.from_t5(str(folder), 3, num_decoder_layers=layers)
    ids = random_ids(3, 9)
    ids[1, 5:] = 0
    mask = (ids != 0).long()
    with torch.no_grad():
        encoded = t5.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        decoded = t5.decoder(
            input_ids=torch.zeros(3, 1, dtype=torch.long), encoder_hidden_states=encoded, encoder_attention_mask=mask
        ).last_hidden_state
        outputs = model.transformer(ids)
    torch.testing.assert_close(outputs.encoder_last_hidden_state, encoded, atol=1e-4, rtol=0)
    torch.testing.assert_close(outputs.last_hidden_state, decoded, atol=1e-4, rtol=0)
    assert encoded.std() > 0.1  # it is not a comparison of zeros


# Invariances


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("config", VARIANTS)
def test_padding_and_neighbours_change_nothing(config: dict, attention: str) -> None:
    model = random_model(**config)
    model.set_attn_implementation(attention)
    texts = [random_ids(1, length, seed=length)[0] for length in (1, 4, 11, 7)]
    alone = torch.cat([logits_of(model, text[None]) for text in texts])
    assert alone.std(0).min() > 1e-3  # texts do differ
    for width in (11, 16):
        right, left = torch.zeros(2, len(texts), width, dtype=torch.long)
        for row, text in enumerate(texts):
            right[row, : len(text)] = text
            left[row, width - len(text) :] = text
        torch.testing.assert_close(logits_of(model, right), alone, atol=1e-4, rtol=0)
        torch.testing.assert_close(logits_of(model, left), alone, atol=1e-4, rtol=0)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(logits_of(model, right[order]), alone[order], atol=1e-4, rtol=0)


def test_a_text_of_padding_only_is_finite_and_disturbs_nobody() -> None:
    model, ids = random_model(num_labels=3), random_ids(3, 6)
    expected = logits_of(model, ids)
    ids[1] = 0
    for attention in ("sdpa", "eager"):
        model.set_attn_implementation(attention)
        logits = logits_of(model, ids)
        assert logits.isfinite().all()
        torch.testing.assert_close(logits[[0, 2]], expected[[0, 2]], atol=1e-4, rtol=0)


def permuted(model: EncT5ForSequenceClassification, order: torch.Tensor) -> EncT5ForSequenceClassification:
    """The same model with its labels in another order."""
    other = EncT5ForSequenceClassification(model.config).eval()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        for tensor in (
            other.transformer.decoder.embed_tokens.weight,
            other.classifier.weight,
            other.classifier.bias,
        ):
            tensor.copy_(tensor[order])
    return other


@pytest.mark.parametrize("kind", ["t5", "umt5"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    ("config", "permutes"),
    [
        ({"problem_type": MULTI}, True),
        ({"decoder_vocab_size": 5}, True),  # multi-label by inference
        ({"problem_type": MULTI, "prompt_position_bias": True}, False),
    ],
)
def test_permuting_the_labels_permutes_the_logits(
    config: dict, permutes: bool, layers: int, kind: str, t5_folder: Callable[..., Path]
) -> None:
    model = EncT5ForSequenceClassification.from_t5(str(t5_folder(kind)), 5, num_decoder_layers=layers, **config)
    torch.manual_seed(1)
    with torch.no_grad():  # labels that differ, as after training
        model.transformer.decoder.embed_tokens.weight.normal_()
        model.classifier.bias.normal_()
    order, ids = torch.tensor([3, 0, 4, 2, 1]), random_ids(4, 7)
    difference = logits_of(permuted(model, order), ids) - logits_of(model, ids)[:, order]
    if permutes:
        assert difference.abs().max() < 1e-4
    else:
        assert difference.abs().max() > 1e-2


# Inputs and outputs


@pytest.mark.parametrize("config", VARIANTS)
def test_logits_are_one_number_a_label(config: dict) -> None:
    assert logits_of(random_model(**config), random_ids(2, 5)).shape == (2, config["num_labels"])


@pytest.mark.parametrize("config", VARIANTS)
def test_eager_and_sdpa_attention_agree(config: dict) -> None:
    model, ids = random_model(**config), random_ids(3, 8)
    ids[0, 4:] = 0
    assert model.config._attn_implementation == "sdpa"
    expected = logits_of(model, ids)
    model.set_attn_implementation("eager")
    torch.testing.assert_close(logits_of(model, ids), expected, atol=1e-4, rtol=0)


def test_embedded_texts_and_encoded_texts_are_accepted() -> None:
    model, ids = random_model(num_labels=3), random_ids(2, 6)
    ids[1, 3:] = 0
    mask = (ids != 0).long()
    expected = logits_of(model, ids)
    embedded = model.get_input_embeddings()(ids)
    assert torch.equal(logits_of(model, None, inputs_embeds=embedded, attention_mask=mask), expected)
    with torch.no_grad():
        encoded = model.transformer.encoder(input_ids=ids, attention_mask=mask)
    for outputs in (
        encoded,
        BaseModelOutput(encoded.last_hidden_state),
        (encoded.last_hidden_state,),
    ):
        assert torch.equal(logits_of(model, None, encoder_outputs=outputs, attention_mask=mask), expected)
        assert torch.equal(logits_of(model, ids, encoder_outputs=outputs), expected)  # mask from the ids


@pytest.mark.parametrize("both", [True, False])
def test_ids_and_embeddings_exclude_each_other(both: bool) -> None:
    inputs = {"input_ids": random_ids(1, 3), "inputs_embeds": torch.zeros(1, 3, 32)} if both else {}
    with pytest.raises(ValueError, match="exactly one of input_ids or inputs_embeds"):
        random_model()(**inputs)


@pytest.mark.parametrize("source", ["argument", "config", "config from the start"])
def test_a_tuple_holds_the_same_values(source: str) -> None:
    expected = random_model(num_labels=3)(ids := random_ids(2, 5), labels=LABELS[SINGLE])
    model = random_model(num_labels=3, return_dict=source != "config from the start")
    if source == "config":
        model.config.return_dict = False
    outputs = model(ids, labels=LABELS[SINGLE], **({"return_dict": False} if source == "argument" else {}))
    assert type(outputs) is tuple
    assert torch.equal(outputs[0], expected.loss)
    assert torch.equal(outputs[1], expected.logits)
    assert torch.equal(outputs[2], expected.encoder_last_hidden_state)
    assert len(outputs) == 3
    below = model.transformer(ids, return_dict=False)
    assert type(below) is tuple
    assert torch.equal(below[1], expected.encoder_last_hidden_state)


@pytest.mark.parametrize("config", VARIANTS)
def test_hidden_states_and_attentions_are_the_documented_ones(config: dict) -> None:
    model = random_model(**config)
    model.set_attn_implementation("eager")
    ids = random_ids(2, 6)
    ids[1, 4:] = 0
    with torch.no_grad():
        outputs = model(ids, output_hidden_states=True, output_attentions=True)
    layers, prompts = model.config.num_decoder_layers, model.config.decoder_vocab_size
    assert torch.equal(outputs.logits, logits_of(model, ids))
    assert len(outputs.encoder_hidden_states) == model.config.num_layers + 1
    assert torch.equal(outputs.encoder_hidden_states[0], model.get_input_embeddings()(ids))
    assert torch.equal(outputs.encoder_hidden_states[-1], outputs.encoder_last_hidden_state)
    assert len(outputs.decoder_hidden_states) == layers + 1
    assert torch.equal(outputs.decoder_hidden_states[0], model.transformer.decoder.embed_tokens.weight[None])
    assert len(outputs.encoder_attentions) == model.config.num_layers
    assert len(outputs.decoder_attentions) == layers
    assert len(outputs.cross_attentions) == layers
    for attentions in (*outputs.encoder_attentions, *outputs.decoder_attentions, *outputs.cross_attentions):
        torch.testing.assert_close(attentions.sum(-1), torch.ones(attentions.shape[:-1]))
    for attentions in outputs.cross_attentions:
        assert attentions.shape == (2, 4, prompts, 6)
        assert (attentions[1, :, :, 4:] == 0).all()
    # The prompts look at each other before any text comes in, so once for the whole batch in the first layer.
    assert outputs.decoder_attentions[0].shape == (1, 4, prompts, prompts)
    assert (outputs.decoder_attentions[0] > 0).all()  # no causal mask


def test_flags_of_the_configuration_are_followed() -> None:
    model = random_model(num_labels=3)
    model.config.output_hidden_states = True
    assert len(model(random_ids(2, 4)).encoder_hidden_states) == 3
    assert model(random_ids(2, 4), output_hidden_states=False).encoder_hidden_states is None


@pytest.mark.parametrize("training", [True, False])
def test_what_no_text_influences_is_computed_once_a_batch(training: bool) -> None:
    model = random_model(num_labels=5, problem_type=MULTI, num_decoder_layers=2).train(training)
    seen = []
    for block in model.transformer.decoder.block:
        block.layer[0].SelfAttention.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    model(random_ids(6, 4))
    assert seen == [(1, 5, 32), (6, 5, 32)]


def test_the_vocabulary_can_grow_without_touching_the_prompts() -> None:
    model, ids = random_model(num_labels=3), random_ids(2, 5)
    expected = logits_of(model, ids)
    model.resize_token_embeddings(70)
    assert model.get_input_embeddings().weight.shape == (70, 32)
    assert model.config.vocab_size == 70
    assert model.transformer.decoder.embed_tokens.weight.shape == (1, 32)
    assert torch.equal(logits_of(model, ids), expected)


# Losses


def test_single_label_loss_is_the_mean_cross_entropy() -> None:
    outputs = random_model(num_labels=3)(random_ids(2, 5), labels=LABELS[SINGLE])
    by_hand = 0.0
    for row, label in zip(outputs.logits.tolist(), LABELS[SINGLE].tolist(), strict=True):
        by_hand += math.log(sum(math.exp(value) for value in row)) - row[label]
    assert outputs.loss.item() == pytest.approx(by_hand / 2, abs=1e-6)


def test_multi_label_loss_is_the_mean_binary_cross_entropy() -> None:
    outputs = random_model(num_labels=3, problem_type=MULTI)(random_ids(2, 5), labels=LABELS[MULTI])
    by_hand = 0.0
    for value, label in zip(outputs.logits.flatten().tolist(), LABELS[MULTI].flatten().tolist(), strict=True):
        probability = 1 / (1 + math.exp(-value))
        by_hand -= math.log(probability if label else 1 - probability)
    assert outputs.loss.item() == pytest.approx(by_hand / 6, abs=1e-6)


def test_regression_loss_is_the_mean_squared_error() -> None:
    outputs = random_model(num_labels=3, problem_type=REGRESSION)(random_ids(2, 5), labels=LABELS[REGRESSION])
    pairs = zip(outputs.logits.flatten().tolist(), LABELS[REGRESSION].flatten().tolist(), strict=True)
    assert outputs.loss.item() == pytest.approx(sum((value - label) ** 2 for value, label in pairs) / 6, abs=1e-6)


@pytest.mark.parametrize(
    ("config", "labels", "same"),
    [
        ({"num_labels": 3}, LABELS[SINGLE], LABELS[SINGLE].int()),
        ({"num_labels": 3}, LABELS[SINGLE], LABELS[SINGLE][:, None]),
        ({"num_labels": 3, "problem_type": MULTI}, LABELS[MULTI], LABELS[MULTI].long()),
        ({"num_labels": 1}, torch.tensor([0.5, 2.0]), torch.tensor([[0.5], [2.0]])),
        ({"num_labels": 1}, torch.tensor([1.0, 2.0]), torch.tensor([1, 2])),
    ],
)
def test_labels_of_like_meaning_give_the_same_loss(config: dict, labels: torch.Tensor, same: torch.Tensor) -> None:
    model, ids = random_model(**config), random_ids(2, 5)
    assert torch.equal(model(ids, labels=labels).loss, model(ids, labels=same).loss)


@pytest.mark.parametrize(
    ("problem_type", "labels", "message"),
    [
        (
            SINGLE,
            torch.zeros(2),
            r"int64 labels of shape \(2,\), not torch.float32 \(2,\); for values, set .*'regression'",
        ),
        (SINGLE, torch.zeros(2, 1), r"not torch.float32 \(2, 1\); for values, set `problem_type='regression'`"),
        (SINGLE, torch.zeros(2, 3), r"not torch.float32 \(2, 3\); for several labels a text, set .*'multi_label_"),
        (SINGLE, torch.tensor([True, False]), r"not torch.bool"),
        (SINGLE, torch.zeros(3, dtype=torch.long), r"int64 labels of shape \(2,\), not torch.int64 \(3,\)"),
        (SINGLE, torch.zeros(2, 3, dtype=torch.long), r"for several labels a text, set `problem_type='multi_label_"),
        (SINGLE, torch.zeros(1, 2, dtype=torch.long), r"not torch.int64 \(1, 2\)"),
        (MULTI, torch.zeros(2), r"needs labels of shape \(2, 3\), not \(2,\); `num_labels` is 3"),
        (MULTI, torch.zeros(3, 2), r"needs labels of shape \(2, 3\), not \(3, 2\)"),
        (MULTI, torch.zeros(6), r"needs labels of shape \(2, 3\), not \(6,\)"),
        (REGRESSION, torch.zeros(2, 2), r"regression needs labels of shape \(2, 3\), not \(2, 2\)"),
        (REGRESSION, torch.zeros(3, 2), r"regression needs labels of shape \(2, 3\), not \(3, 2\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(problem_type: str, labels: torch.Tensor, message: str) -> None:
    model = random_model(num_labels=3, problem_type=problem_type)
    with pytest.raises(ValueError, match=message):
        model(random_ids(2, 5), labels=labels)


def test_the_loss_is_float32_in_bfloat16_too() -> None:
    model = random_model(num_labels=3).to(torch.bfloat16)
    outputs = model(random_ids(2, 5), labels=LABELS[SINGLE])
    assert (outputs.logits.dtype, outputs.loss.dtype) == (torch.bfloat16, torch.float32)


def loss_of(logits: list[list[float]], labels: torch.Tensor, **config: Any) -> torch.Tensor:
    """The loss that a model of this configuration gives to logits."""
    model = EncT5ForSequenceClassification(EncT5Config(**{**SMALL, "num_labels": 3, **config}))
    return model.compute_loss(torch.tensor(logits, requires_grad=True), labels)


LOGITS = [[1.5, -0.5, 3.0], [-2.0, 0.25, 0.5]]
WEIGHTS = [0.5, 2.0, 3.5]


def test_class_weights_weigh_each_text_by_its_class() -> None:
    loss = loss_of(LOGITS, LABELS[SINGLE], class_weights=WEIGHTS)
    total = torch.nn.functional.cross_entropy(
        torch.tensor(LOGITS), LABELS[SINGLE], weight=torch.tensor(WEIGHTS), reduction="sum"
    )
    assert loss.item() == pytest.approx(total.item() / 2)  # by the number of texts, not by their weights


def test_class_weights_of_labels_weigh_the_texts_that_have_them() -> None:
    loss = loss_of(LOGITS, LABELS[MULTI], problem_type=MULTI, class_weights=WEIGHTS)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(LOGITS), LABELS[MULTI], pos_weight=torch.tensor(WEIGHTS)
    )
    assert loss.item() == pytest.approx(expected.item())
    assert loss.item() != pytest.approx(loss_of(LOGITS, LABELS[MULTI], problem_type=MULTI).item())


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
def test_focal_loss_without_focus_is_cross_entropy(problem_type: str, weights: list[float] | None) -> None:
    options = {"problem_type": problem_type, "class_weights": weights}
    focal = loss_of(LOGITS, LABELS[problem_type], loss="focal", loss_gamma=0, **options)
    assert focal.item() == pytest.approx(loss_of(LOGITS, LABELS[problem_type], **options).item(), rel=1e-5)
    named = {**options, "loss": "bce"} if problem_type == MULTI else options
    assert torch.equal(loss_of(LOGITS, LABELS[problem_type], **named), loss_of(LOGITS, LABELS[problem_type], **options))


@pytest.mark.parametrize("gamma", [None, 0.5, 3.0])
def test_focal_loss_of_classes_by_hand(gamma: float | None) -> None:
    by_hand = 0.0
    for row, label in zip(LOGITS, LABELS[SINGLE].tolist(), strict=True):
        probability = math.exp(row[label]) / sum(math.exp(value) for value in row)
        by_hand -= WEIGHTS[label] * (1 - probability) ** (2 if gamma is None else gamma) * math.log(probability)
    loss = loss_of(LOGITS, LABELS[SINGLE], loss="focal", loss_gamma=gamma, class_weights=WEIGHTS)
    assert loss.item() == pytest.approx(by_hand / 2, rel=1e-5)


@pytest.mark.parametrize("gamma", [None, 0.5, 3.0])
@pytest.mark.parametrize("loss", ["focal", "asymmetric"])
def test_losses_of_labels_by_hand(loss: str, gamma: float | None) -> None:
    by_hand = 0.0
    for row, wanted in zip(LOGITS, LABELS[MULTI].tolist(), strict=True):
        for value, label, weight in zip(row, wanted, WEIGHTS, strict=True):
            p = 1 / (1 + math.exp(-value))
            if loss == "focal":
                power = 2 if gamma is None else gamma
                by_hand -= weight * (1 - p) ** power * math.log(p) if label else p**power * math.log(1 - p)
            else:
                shifted, power = max(p - 0.05, 0), 4 if gamma is None else gamma
                by_hand -= weight * math.log(p) if label else shifted**power * math.log(1 - shifted)
    found = loss_of(LOGITS, LABELS[MULTI], problem_type=MULTI, loss=loss, loss_gamma=gamma, class_weights=WEIGHTS)
    assert found.item() == pytest.approx(by_hand / 6, rel=1e-5)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize(("problem_type", "loss"), [(SINGLE, "focal"), (MULTI, "focal"), (MULTI, "asymmetric")])
def test_losses_and_gradients_stay_finite(problem_type: str, loss: str, gamma: float) -> None:
    labels = torch.tensor([0, 1, 2]) if problem_type == SINGLE else torch.eye(3)
    model = EncT5ForSequenceClassification(
        EncT5Config(**SMALL, num_labels=3, problem_type=problem_type, loss=loss, loss_gamma=gamma)
    )
    for size in (0.0, 20.0, 200.0, 1e4):
        logits = torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [1.0, 1.0, -1.0]]).mul(size).requires_grad_()
        found = model.compute_loss(logits, labels)
        found.backward()
        assert found.isfinite(), size
        assert logits.grad.isfinite().all(), size


def test_labels_far_below_the_margin_leave_the_asymmetric_loss_alone() -> None:
    logits = torch.tensor([[-4.0, -6.0, -9.0]], requires_grad=True)  # scores below 0.02
    model = EncT5ForSequenceClassification(EncT5Config(**SMALL, num_labels=3, problem_type=MULTI, loss="asymmetric"))
    model.compute_loss(logits, torch.zeros(1, 3)).backward()
    assert not logits.grad.any()


# Many labels


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


# Gradients


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


# Precision, devices, compilation


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


# Other labels than the checkpoint's


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


# A model that was never trained


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


# The stock HF Trainer and pipelines


def rows(problem_type: str, count: int = 8) -> list[dict[str, torch.Tensor]]:
    ids = random_ids(count, 6, seed=5)
    ids[::2, 4:] = 0
    generator = torch.Generator().manual_seed(6)
    labels = {
        SINGLE: torch.randint(0, 3, (count,), generator=generator),
        MULTI: torch.randint(0, 2, (count, 3), generator=generator).float(),
        REGRESSION: torch.randn(count, 3, generator=generator),
    }[problem_type]
    return [
        {"input_ids": text, "attention_mask": (text != 0).long(), "labels": label}
        for text, label in zip(ids, labels, strict=True)
    ]


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    return TrainingArguments(
        str(folder), **{"report_to": [], "use_cpu": True, "disable_tqdm": True, "logging_strategy": "no", **options}
    )


@pytest.mark.parametrize("problem_type", [SINGLE, MULTI, REGRESSION])
def test_the_stock_trainer_trains_it(problem_type: str, tmp_path: Path) -> None:
    model, data = random_model(num_labels=3, problem_type=problem_type), rows(problem_type)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    seen = []

    def metrics(prediction: Any) -> dict[str, float]:
        seen.append(prediction)
        return {}

    schedule = {"eval_strategy": "steps", "eval_steps": 2, "save_steps": 2, "load_best_model_at_end": True}
    options = arguments(tmp_path, max_steps=4, per_device_train_batch_size=4, learning_rate=1e-2, **schedule)
    trainer = Trainer(model, options, train_dataset=data, eval_dataset=data, compute_metrics=metrics)
    assert trainer.train().global_step == 4

    for prediction in seen:
        assert isinstance(prediction.predictions, np.ndarray)  # one array: no tuple of hidden states
        assert prediction.predictions.shape == (8, 3)
        np.testing.assert_array_equal(prediction.label_ids, torch.stack([row["labels"] for row in data]).numpy())
    best = EncT5ForSequenceClassification.from_pretrained(trainer.state.best_model_checkpoint)
    for name, parameter in best.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name)), name
        # Query, key and bias of a lone prompt get no gradient, so only weight decay (none here) could move them.
        if problem_type == MULTI or "decoder.block.0.layer.0.SelfAttention" not in name:
            assert not torch.equal(parameter, before[name]), name
    final = trainer.predict(data)
    ids = torch.stack([row["input_ids"] for row in data])
    np.testing.assert_allclose(final.predictions, logits_of(best, ids).numpy(), atol=1e-4)
    assert final.metrics["test_loss"] == pytest.approx(
        best(ids, labels=torch.stack([row["labels"] for row in data])).loss.item(), abs=1e-4
    )


def test_accumulating_gradients_trains_as_one_large_batch_does(tmp_path: Path) -> None:
    """The loss is a mean; were it summed over, or not divided by, the accumulated batches, SGD would show it."""
    after = []
    for batch, accumulated in ((8, 1), (2, 4)):
        model = random_model(num_labels=3, dropout_rate=0.0)
        options = arguments(
            tmp_path / str(batch),
            max_steps=1,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulated,
            optim="sgd",
            learning_rate=0.1,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            save_strategy="no",
        )
        start = model.classifier.bias.detach().clone()
        Trainer(model, options, train_dataset=rows(SINGLE)).train()
        assert (model.classifier.bias - start).abs().max() > 1e-3
        after.append(dict(model.named_parameters()))
    for name, parameter in after[0].items():
        torch.testing.assert_close(after[1][name], parameter, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
def test_a_pipeline_gives_probabilities_and_names(
    problem_type: str, tmp_path: Path, t5_folder: Callable[..., Path]
) -> None:
    names = ["no", "yes", "maybe"]
    folder = t5_folder()
    model = EncT5ForSequenceClassification.from_t5(
        str(folder), id2label=dict(enumerate(names)), problem_type=problem_type
    )
    torch.manual_seed(4)
    with torch.no_grad():
        model.classifier.bias.normal_()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    texts = ["where is my card?", "no"]
    found = pipeline("text-classification", model=str(tmp_path), device="cpu")(texts, top_k=None, batch_size=2)
    logits = torch.cat([logits_of(model, tokenizer(text, return_tensors="pt").input_ids) for text in texts])
    probabilities = logits.softmax(-1) if problem_type == SINGLE else logits.sigmoid()
    for result, row in zip(found, probabilities.tolist(), strict=True):
        scores = {item["label"]: item["score"] for item in result}
        assert scores == {name: pytest.approx(score, abs=1e-4) for name, score in zip(names, row, strict=True)}


def test_auto_classes_make_a_model_of_a_configuration() -> None:
    config = EncT5Config(**SMALL, num_labels=3)
    assert type(AutoModelForSequenceClassification.from_config(config)) is EncT5ForSequenceClassification
    assert type(AutoModel.from_config(config)) is EncT5Model
