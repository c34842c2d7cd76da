"""The model: parity with the reference and with transformers' T5, invariances, inputs and outputs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import (
    AutoModel,
    MT5ForConditionalGeneration,
    T5ForConditionalGeneration,
    UMT5ForConditionalGeneration,
)
from transformers.modeling_outputs import BaseModelOutput

from enct5 import EncT5ForSequenceClassification
from enct5.model.modeling_enct5 import CACHE_LINE, EncT5Model
from helpers.classifiers import LABELS, MULTI, SINGLE, VARIANTS, logits_of, random_ids, random_model
from helpers.paths import shared

REFERENCES = [(kind, case) for kind in ("relu", "gated") for case in ("single_label", "regression", "multi_label")]


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


@pytest.mark.parametrize("num_labels", [3, 4, 5, 6])
def test_a_saved_model_has_the_same_logits_wherever_its_file_has_the_weights(num_labels: int, tmp_path: Path) -> None:
    model = random_model(num_labels=num_labels)
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    begins = {name: parameter.data_ptr() % CACHE_LINE for name, parameter in loaded.named_parameters()}
    assert not any(begins.values()), begins
    ids = random_ids(4, 19)
    assert torch.equal(logits_of(loaded, ids), logits_of(model, ids))
