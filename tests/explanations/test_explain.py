"""Explanations: attention is the model's own, attributions are exact where that can be known, nothing is changed."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import ByT5Tokenizer

from enct5 import EncT5Config, EncT5ForSequenceClassification, Predictor
from enct5.errors import EncT5Error
from enct5.explanations.attribution import cross_attention, integrated_gradients
from enct5.explanations.explain import MOST_LABELS, Explanation
from helpers.models import saved_model
from helpers.texts import LABELS, sentences

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
TEXT = "where is  my parcel, the late one?"


@pytest.fixture(scope="module")
def predictor(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.from_pretrained(saved_model(t5_folder(), tmp_path_factory.mktemp("single")))


@pytest.fixture(scope="module")
def multi(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    names = tuple(f"topic {number}" for number in range(8))
    folder = saved_model(t5_folder(), tmp_path_factory.mktemp("multi"), names, "multi_label_classification")
    return Predictor.from_pretrained(folder)


def check(explanation: Explanation) -> None:
    """What holds for every explanation."""
    for label in explanation.labels:
        assert sum(label.token_attention) == pytest.approx(1, abs=1e-4)
        assert min(label.token_attention) >= 0
        assert sum(label.attention) == pytest.approx(1, abs=1e-4)
        moved = label.logit - label.baseline_logit
        # random weights make the way from the baseline steep in places, which 64 points do not quite follow
        assert sum(label.token_attribution) == pytest.approx(moved, abs=0.05 + 0.08 * abs(moved))
        assert sum(label.attribution) == pytest.approx(sum(label.token_attribution), abs=1e-4)
        assert len(label.attention) == len(label.attribution) == len(explanation.words)
        assert len(label.token_attention) == len(label.token_attribution) == len(explanation.tokens)
        for token, share in zip(explanation.tokens, label.token_attribution, strict=True):
            assert token.end > token.start or share == 0  # end tokens stand in the baseline, too
    json.dumps(dataclasses.asdict(explanation))


def test_the_explained_label_is_the_predicted_one(predictor: Predictor) -> None:
    explanation = predictor.explain(TEXT)
    check(explanation)
    assert explanation.prediction == predictor.predict([TEXT])[0]
    (label,) = explanation.labels
    assert (label.label, label.score) == (explanation.prediction["label"], explanation.prediction["score"])
    assert label.logit == predictor.logits([TEXT])[0].max()
    assert [word.text for word in explanation.words][:4] == ["where", "is", "my", "parcel,"]


@pytest.mark.parametrize("name", LABELS)
def test_a_named_label_is_explained(predictor: Predictor, name: str) -> None:
    explanation = predictor.explain(TEXT, name)
    check(explanation)
    assert [label.label for label in explanation.labels] == [name]
    assert explanation.labels[0].logit == predictor.logits([TEXT])[0, LABELS.index(name)]


def test_labels_have_attributions_of_their_own_and_share_the_only_prompt(predictor: Predictor) -> None:
    first, second = (predictor.explain(TEXT, name).labels[0] for name in LABELS[:2])
    assert first.token_attention == second.token_attention
    assert np.abs(np.subtract(first.token_attribution, second.token_attribution)).max() > 1e-3


def test_attention_is_that_of_the_model_and_padding_gets_none(multi: Predictor) -> None:
    inputs = multi.tokenizer([TEXT, " ".join([TEXT] * 3)], padding=True, return_tensors="pt")
    eager = EncT5ForSequenceClassification.from_pretrained(multi.model.name_or_path, attn_implementation="eager").eval()
    with torch.no_grad():
        weights = eager(**inputs, output_attentions=True).cross_attentions[-1]  # (batch, heads, prompts, sequence)
    length = int(inputs["attention_mask"][0].sum())
    assert length < weights.shape[-1]
    assert weights[0, :, :, length:].abs().max() == 0
    found = cross_attention(multi.model, inputs["input_ids"][0, :length])
    assert np.shape(found) == (8, length)
    np.testing.assert_allclose(found, weights[0, :, :, :length].mean(0).numpy(), atol=1e-4)
    label = multi.explain(TEXT, "topic 5").labels[0]
    np.testing.assert_allclose(label.token_attention, found[5], atol=1e-6)


def test_multi_label_explains_what_is_predicted_or_the_likeliest(multi: Predictor) -> None:
    texts = sentences(40, 8)
    predictions = multi.predict(texts)
    some = next(i for i, result in enumerate(predictions) if 1 < len(result["labels"]) <= MOST_LABELS)
    explanation = multi.explain(texts[some])
    check(explanation)
    assert [label.label for label in explanation.labels] == predictions[some]["labels"]
    assert [label.score for label in explanation.labels] == pytest.approx(predictions[some]["scores"], abs=1e-4)
    with torch.no_grad():
        former = multi.model.classifier.bias.clone()
        for bias, count in ((20.0, MOST_LABELS), (-20.0, 1)):
            multi.model.classifier.bias.copy_(former + bias)
            labels = multi.explain(texts[some]).labels
            best = np.argsort(-multi.logits([texts[some]])[0], kind="stable")[:count]
            assert [label.label for label in labels] == [f"topic {index}" for index in best]
        multi.model.classifier.bias.copy_(former)


@pytest.mark.parametrize("names", [("value",), ("value_1", "value_2")])
def test_regression_explains_a_value(t5_folder: Base, tmp_path: Path, names: tuple[str, ...]) -> None:
    regressor = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path, names, "regression"))
    explanation = regressor.explain(TEXT, names[-1])
    check(explanation)
    values = regressor.logits([TEXT])[0]
    assert explanation.labels[0].score == values[-1]
    assert regressor.explain(TEXT).labels[0].label == names[int(values.argmax())]


def test_shares_of_a_linear_model_are_exact() -> None:
    torch.manual_seed(0)
    embedding, weights = torch.nn.Embedding(10, 4), torch.randn(3, 6, 4)  # labels, sequence, d_model

    class Linear:
        config = SimpleNamespace(pad_token_id=0, decoder_vocab_size=1)

        def get_input_embeddings(self) -> torch.nn.Module:
            return embedding

        def __call__(self, inputs_embeds: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
            assert attention_mask.all()
            return SimpleNamespace(logits=torch.einsum("bsd,lsd->bl", inputs_embeds, weights) + 0.5)

    ids = torch.tensor([3, 4, 5, 4, 9, 1])
    replaced = torch.tensor([True] * 5 + [False])
    shares, baseline = integrated_gradients(Linear(), ids, replaced, 2)  # type: ignore[arg-type]
    with torch.no_grad():
        wanted = ((embedding(ids) - embedding.weight[0]) * weights[2]).sum(-1) * replaced
        at_pad = torch.where(replaced[:, None], embedding.weight[0], embedding(ids))
    assert shares == pytest.approx(wanted.tolist(), abs=1e-4)
    assert baseline == pytest.approx(float((at_pad * weights[2]).sum()) + 0.5, abs=1e-4)


def test_a_share_is_what_finite_differences_add_up_to(predictor: Predictor) -> None:
    """A token's share is the integral of the logit's change as that token alone moves on, all others held."""
    model, ids, place, points = predictor.model, torch.tensor(predictor.tokenizer(TEXT)["input_ids"]), 2, 64
    replaced = torch.arange(len(ids)) < len(ids) - 1
    embedding = model.get_input_embeddings()
    with torch.no_grad():
        text = embedding(ids)
        baseline = torch.where(replaced[:, None], embedding(torch.zeros_like(ids)), text)
        middles = (torch.arange(points) + 0.5)[:, None, None] / points
        way = baseline + middles * (text - baseline)
        step = torch.zeros_like(text)
        step[place] = 0.02 * (text - baseline)[place]
        mask = torch.ones(points, len(ids), dtype=torch.long)
        up, down = (model(inputs_embeds=way + sign * step, attention_mask=mask).logits[:, 1] for sign in (1, -1))
    wanted = float(((up - down) / 0.04).mean())
    shares, _ = integrated_gradients(model, ids, replaced, 1)
    assert abs(wanted) > 1e-3
    assert shares[place] == pytest.approx(wanted, rel=0.05, abs=1e-3)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_nothing_is_left_changed(predictor: Predictor, implementation: str) -> None:
    model, former = predictor.model, predictor.model.config._attn_implementation
    model.set_attn_implementation(implementation)
    before = predictor.logits([TEXT])
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predictor.explain(TEXT)
    stacks = (model, model.transformer, model.transformer.encoder, model.transformer.decoder)
    assert {stack.config._attn_implementation for stack in stacks} == {implementation}
    assert not any(stack.training for stack in stacks)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    np.testing.assert_array_equal(predictor.logits([TEXT]), before)
    model.set_attn_implementation(former)


def test_the_attention_implementation_stays_after_an_error(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = predictor.model.transformer.decoder
    former = decoder.config._attn_implementation
    assert former != "eager"

    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(decoder, "forward", fail)
    with pytest.raises(MemoryError):
        cross_attention(predictor.model, torch.tensor([5, 1]))
    assert decoder.config._attn_implementation == former


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_callers_mode_makes_no_difference(predictor: Predictor, mode: Callable[..., torch.no_grad]) -> None:
    wanted = predictor.explain(TEXT)
    with mode():
        assert predictor.explain(TEXT) == wanted


def test_pairs_and_empty_texts(predictor: Predictor) -> None:
    pair = Predictor(predictor.model, predictor.tokenizer).explain(("where is it", "my parcel"))
    check(pair)
    assert [(word.text, word.part) for word in pair.words] == [
        *(("where", 0), ("is", 0), ("it", 0), ("</s>", 0)),
        *(("my", 1), ("parcel", 1), ("</s>", 1)),
    ]
    assert pair.texts == ("where is it", "my parcel")
    empty = predictor.explain("")
    check(empty)
    assert [word.text for word in empty.words] == ["</s>"]
    assert empty.labels[0].attention == pytest.approx([1.0])
    assert empty.labels[0].attribution == [0.0]


def test_a_text_of_several_windows_is_explained_whole(t5_folder: Base, tmp_path: Path) -> None:
    predictor = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path))
    predictor.model.config.encoder_window = 7
    explanation = predictor.explain(f"{TEXT} {TEXT} {TEXT}")
    check(explanation)
    assert len(explanation.tokens) > 3 * 7
    assert explanation.tokens_cut == 0
    assert explanation.labels[0].logit == predictor.logits([f"{TEXT} {TEXT} {TEXT}"])[0].max()
    model = predictor.model
    model.set_attn_implementation("eager")
    ids = predictor.tokenizer(f"{TEXT} {TEXT} {TEXT}", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        wanted = model(ids, output_attentions=True).cross_attentions[-1][0, :, 0].mean(0)
    np.testing.assert_allclose(explanation.labels[0].token_attention, wanted, atol=1e-6)
    assert np.abs(explanation.labels[0].token_attribution[-9:-1]).min() > 0  # those of the last window


def test_a_long_text_is_cut_and_says_so(predictor: Predictor) -> None:
    text = "parcel money " * 200
    explanation = predictor.explain(text)
    check(explanation)
    assert len(explanation.tokens) == 64
    assert explanation.tokens_cut == len(predictor.tokenizer(text)["input_ids"]) - 64
    assert explanation.words[-1].end < len(text) / 2


def test_bytes_are_explained_by_words() -> None:
    torch.manual_seed(0)
    config = EncT5Config(vocab_size=384, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, num_labels=2)
    byte_predictor = Predictor(EncT5ForSequenceClassification(config), ByT5Tokenizer())
    explanation = byte_predictor.explain("où est 🙂")
    check(explanation)
    assert [word.text for word in explanation.words] == ["où", "est", "🙂", "</s>"]
    assert len(explanation.tokens) == len("où est 🙂".encode()) + 1


def test_segments_are_the_whole_text(predictor: Predictor) -> None:
    untold = Predictor(predictor.model, predictor.tokenizer)  # which takes pairs, too
    for text in (TEXT, "  e\u0301 ", "", "parcel " * 100, ("a b", " c")):
        explanation = untold.explain(text)
        parts = explanation.segments(list(range(len(explanation.words))))
        shown = ["".join(piece for piece, _ in part if piece != "</s>") for part in parts]
        assert shown == list(explanation.texts)
        numbers = [value for part in parts for _, value in part if value is not None]
        assert numbers == list(range(len(explanation.words)))


def test_mistakes_are_refused(predictor: Predictor) -> None:
    with pytest.raises(EncT5Error, match=r"no label `refnd`; did you mean `refund`\?"):
        predictor.explain(TEXT, "refnd")
    with pytest.raises(EncT5Error, match="text 1 is `3`; give a string, or a pair of strings"):
        predictor.explain(3)  # type: ignore[arg-type]
