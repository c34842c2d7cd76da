"""The folded model: the plain model's logits, for every kind of model, dtype, length and batch."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from enct5 import EncT5ForSequenceClassification, Predictor
from enct5.folding import model as folding
from enct5.folding.decoder import PromptDecoder
from enct5.folding.layers import Run
from enct5.folding.model import FoldedEncT5, parts_of, runs_of
from enct5.model.conversion import convert
from enct5.model.loading import load_tokenizer
from helpers.models import FAMILIES, MULTI, REGRESSION, SINGLE, SMALL, TASKS, TOKENS, assert_near, random_model

pytestmark = pytest.mark.usefixtures("one_thread")

LENGTHS = [600, 17, 17, 17, 2, 2, 1]
FEW = [14, 9, 8, 8, 7, 6, 5, 4, 2, 1]  # so few tokens that products are made the other way round


def random_texts(lengths: list[int] = LENGTHS, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(1, SMALL["vocab_size"], (length,), generator=generator) for length in lengths]


@torch.no_grad()
def plain_logits(model: nn.Module, texts: list[torch.Tensor]) -> torch.Tensor:
    """The plain model's logits, text by text: `(texts or tokens, num_labels)`."""
    mask = [torch.ones_like(text)[None] for text in texts]  # so that id 0 is no padding
    outputs = [model(text[None], attention_mask=ones).logits for text, ones in zip(texts, mask, strict=True)]
    return torch.cat(outputs).flatten(0, -2) if outputs[0].ndim == 2 else torch.cat([o[0] for o in outputs])


def folded_logits(folded: FoldedEncT5, texts: list[torch.Tensor]) -> torch.Tensor:
    return folded(torch.cat(texts), [len(text) for text in texts])


@pytest.mark.parametrize("lengths", [LENGTHS, FEW])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("problem_type", "labels"), TASKS)
def test_logits_are_the_plain_model_s(family: str, problem_type: str, labels: int, lengths: list[int]) -> None:
    model = random_model(num_labels=labels, problem_type=problem_type, **FAMILIES[family])
    texts = random_texts(lengths)
    assert_near(folded_logits(FoldedEncT5(model), texts), plain_logits(model, texts))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_decoder_of_tokens_gives_the_plain_model_s_logits(family: str) -> None:
    model = random_model(num_labels=5, problem_type=TOKENS, token_decoder=True, **FAMILIES[family])
    texts = random_texts()
    assert_near(folded_logits(FoldedEncT5(model), texts), plain_logits(model, texts))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("problem_type", "labels"), [(SINGLE, 3), (MULTI, 3), (MULTI, 40), (TOKENS, 3)])
@pytest.mark.parametrize("lengths", [LENGTHS, FEW])
def test_half_precision_is_kept_and_rounds_no_worse(
    dtype: torch.dtype, problem_type: str, labels: int, lengths: list[int]
) -> None:
    settings = {"num_labels": labels, "problem_type": problem_type, "token_decoder": problem_type == TOKENS}
    model, texts = random_model(dtype, **settings), random_texts(lengths)
    exact = plain_logits(copy.deepcopy(model).float(), texts)
    plain, result = plain_logits(model, texts), folded_logits(FoldedEncT5(model), texts)
    assert result.dtype == dtype == plain.dtype
    plain_error, error = (plain - exact).square().mean().sqrt(), (result - exact).square().mean().sqrt()
    assert 0 < error < 1.5 * plain_error


@pytest.mark.parametrize("wo", [torch.float16, torch.float32])
def test_float16_states_stay_finite_as_in_the_plain_model(wo: torch.dtype) -> None:
    model = random_model(torch.float16, num_labels=3)
    for name, parameter in model.named_parameters():
        if ".wo." in name:
            parameter.data = parameter.data.to(wo)
            parameter.data[0] = 6e4  # sums leave the range of float16
    texts = random_texts([5, 3])
    result, wanted = folded_logits(FoldedEncT5(model), texts), plain_logits(model, texts)
    assert result.isfinite().all()
    torch.testing.assert_close(result, wanted, atol=0.02, rtol=0.02)


def test_double_precision_stays_double() -> None:
    model = random_model(torch.float64, num_labels=3)
    texts = random_texts()
    assert_near(folded_logits(FoldedEncT5(model), texts), plain_logits(model, texts), 1e-6)  # T5's norms are single


@pytest.mark.parametrize("problem_type", [SINGLE, MULTI, TOKENS])
def test_order_and_batch_do_not_change_a_text_s_logits(problem_type: str) -> None:
    folded = FoldedEncT5(random_model(num_labels=3, problem_type=problem_type))
    texts = random_texts([4, 9, 4, 4, 1, 9, 600, 4])
    alone = [folded_logits(folded, [text]) for text in texts]
    assert_near(folded_logits(folded, texts), torch.cat(alone))
    assert_near(folded_logits(folded, texts[::-1]), torch.cat(alone[::-1]))


def test_reading_with_and_without_keys_and_values_agree() -> None:
    model = random_model(num_labels=6, problem_type=MULTI)
    decoder = FoldedEncT5(model).decoder
    assert isinstance(decoder, PromptDecoder)
    attention, texts = decoder.cross_attention, random_texts([600, 3, 3, 3])
    assert attention.folded_queries is not None
    states, runs = torch.randn(609, 32), runs_of([len(text) for text in texts])
    projected = attention.read([attention.constant_queries.expand(run.texts, -1, -1, -1) for run in runs], states, runs)
    assert projected.std() > 0.1
    torch.testing.assert_close(
        attention._read_folded(attention.folded_queries, states, runs), projected, atol=1e-4, rtol=0
    )


def test_reading_folds_where_it_takes_fewer_operations() -> None:
    def attention(labels: int) -> Any:
        model = random_model(num_labels=labels, problem_type=MULTI, d_model=768, d_kv=64, num_heads=1, num_layers=1)
        return FoldedEncT5(model).decoder.cross_attention

    for length, most in [(32, 33), (128, 54), (512, 65)]:  # the most labels of T5-base's size for which it pays
        fits, exceeds = attention(most), attention(most + 1)
        for texts in (1, 50):
            assert fits.folds(texts * length, texts)
            assert not exceeds.folds(texts * length, texts)
    assert attention(70).folded_queries is None  # 69.8 for endless texts


def test_the_model_stays_as_it_is_and_shares_its_memory() -> None:
    model = random_model(num_labels=5, problem_type=MULTI, num_decoder_layers=2)
    before = copy.deepcopy(model.state_dict())
    folded = FoldedEncT5(model.train())
    texts = random_texts()
    assert_near(folded_logits(folded, texts), plain_logits(copy.deepcopy(model).eval(), texts))  # no dropout
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    own = {parameter.data_ptr() for parameter in model.parameters()}
    shared = {name for name, tensor in folded.state_dict().items() if tensor.data_ptr() in own}
    assert {"embedding", "head_bias"} | {name for name in folded.state_dict() if "output.weight" in name} == shared


def test_nothing_in_it_is_for_training() -> None:
    folded = FoldedEncT5(random_model(num_labels=3))
    assert list(folded.parameters()) == []
    assert not folded_logits(folded, random_texts()).requires_grad


def test_runs_are_neighbours_of_equal_length() -> None:
    assert runs_of([3, 3, 2, 3]) == [Run(0, 2, 3), Run(6, 1, 2), Run(8, 1, 3)]
    assert runs_of([]) == []
    packed = torch.arange(11)
    assert [run.of(packed).tolist() for run in runs_of([3, 3, 2, 3])] == [
        [[0, 1, 2], [3, 4, 5]],
        [[6, 7]],
        [[8, 9, 10]],
    ]


def test_lengths_have_to_fit() -> None:
    folded = FoldedEncT5(random_model(num_labels=3))
    for lengths, total in [([2, 2], 4), ([5, 0], 5), ([6, -1], 5), ([], 0)]:
        with pytest.raises(ValueError, match=f"add up to 5 tokens, not {total}"):
            folded(torch.arange(5), lengths)
    assert folded(torch.arange(0), []).shape == (0, 3)


# Predictor


@pytest.fixture
def predictor(t5_folder: Callable[..., Path]) -> Predictor:
    """A predictor of three labels, its weights random."""
    base = str(t5_folder())
    model = convert(base, problem_type=SINGLE, id2label={0: "a", 1: "b", 2: "c"}).model
    torch.manual_seed(0)
    with torch.no_grad():
        model.classifier.weight.normal_()
    return Predictor(model, load_tokenizer(base))


def sentences(count: int) -> list[str]:
    random = np.random.default_rng(0)
    words = ["where", "is", "my", "parcel", "money", "card", "late"]
    return [" ".join(random.choice(words, size=random.integers(1, 30))) for _ in range(count)]


@pytest.mark.parametrize("family", ["t5", "umt5"])
@pytest.mark.parametrize(("problem_type", "labels"), [(SINGLE, 3), (REGRESSION, 1), (MULTI, 40), (TOKENS, 5)])
def test_predictor_gives_the_plain_model_s_results(
    t5_folder: Callable[..., Path], family: str, problem_type: str, labels: int
) -> None:
    base = str(t5_folder(family))
    id2label: Any = {number: f"label {number}" for number in range(labels)}
    if problem_type == TOKENS:
        id2label = dict(enumerate(["O", "B-a", "I-a", "B-b", "I-b"]))
    model = convert(base, problem_type=problem_type, id2label=id2label).model
    with torch.no_grad():
        model.classifier.weight.normal_(std=0.3)
    tokenizer = load_tokenizer(base)
    texts = ["", *sentences(60), "parcel " * 700]
    folded, plain = (Predictor(model, tokenizer, fold=fold) for fold in (True, False))
    assert folded.fold
    assert not plain.fold
    results = [[getattr(row, "logits", row) for row in each.logits(texts)] for each in (folded, plain)]
    assert np.concatenate([np.atleast_2d(row) for row in results[1]]).std() > 0.2
    for row, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(row, wanted, atol=1e-4)


def test_predictor_follows_weights_that_change(predictor: Predictor) -> None:
    texts = sentences(5)
    before = predictor.logits(texts)
    with torch.no_grad():
        predictor.model.transformer.encoder.block[0].layer[1].DenseReluDense.wi.weight.mul_(2)
    after = predictor.logits(texts)
    assert np.abs(after - before).max() > 0.01
    np.testing.assert_allclose(
        after, Predictor(predictor.model, predictor.tokenizer, fold=False).logits(texts), atol=1e-4
    )
    predictor.model.to(torch.float64)
    np.testing.assert_allclose(predictor.logits(texts), after, atol=1e-4)
    folded = predictor.engine.current()
    predictor.logits(texts)
    assert predictor.engine.current() is folded  # made anew only then


class Adapter(nn.Module):
    """What an adapter library puts around a layer."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return 1.5 * self.base(states)


def test_predictor_says_once_why_it_uses_the_plain_model(
    predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    texts = sentences(5)
    before = predictor.logits(texts)
    attention = predictor.model.transformer.encoder.block[1].layer[0].SelfAttention
    attention.v = Adapter(attention.v)
    adapted = Predictor(predictor.model, predictor.tokenizer)
    with caplog.at_level(logging.WARNING):
        after = adapted.logits(texts)
        adapted.logits(texts)
    assert [record.getMessage() for record in caplog.records] == [
        "predicting with the plain model, which is slower: its `transformer.encoder.block.1.layer.0.SelfAttention.v` "
        f"is a {__name__}.Adapter"
    ]
    assert not adapted.fold
    assert np.abs(after - before).max() > 0.01
    plain = Predictor(predictor.model, predictor.tokenizer, fold=False)
    np.testing.assert_array_equal(after, plain.logits(texts))


def test_what_is_no_longer_t5_is_not_folded() -> None:
    model = random_model(num_labels=3)
    quantised = copy.deepcopy(model)
    quantised.classifier.weight = nn.Parameter(torch.ones(3, 32, dtype=torch.int8), requires_grad=False)
    with pytest.raises(ValueError, match=r"its `classifier\.weight` is quantised"):
        FoldedEncT5(quantised)

    class Other(EncT5ForSequenceClassification):
        pass

    with pytest.raises(ValueError, match=r"the model is a .*test_model\.Other"):
        FoldedEncT5(Other(model.config))
    model.transformer.decoder.to("meta")
    with pytest.raises(ValueError, match="its weights are on cpu and meta"):
        FoldedEncT5(model)


# Windows


@pytest.mark.parametrize("at_once", [10, 40, 512])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("problem_type", "labels"), [(SINGLE, 3), (MULTI, 3), (MULTI, 40), (REGRESSION, 2)])
def test_long_texts_are_read_in_the_plain_model_s_windows(
    family: str, problem_type: str, labels: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "WINDOW_TOKENS", at_once)
    model = random_model(num_labels=labels, problem_type=problem_type, encoder_window=16, **FAMILIES[family])
    texts = random_texts([100, 33, 33, 32, 31, 17, 16, 16, 1])
    wanted = plain_logits(model, texts)
    assert_near(folded_logits(FoldedEncT5(model), texts), wanted)
    model.config.encoder_window = None
    assert (plain_logits(model, texts)[:2] - wanted[:2]).abs().max() > 1e-3
    torch.testing.assert_close(plain_logits(model, texts)[-3:], wanted[-3:], atol=1e-6, rtol=0)


def test_windows_are_encoded_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(parts_of([3, 3, 2, 9, 1, 1], 6)) == [[3, 3], [2], [9], [1, 1]]
    assert list(parts_of([7], 6)) == [[7]]
    folded, seen = FoldedEncT5(random_model(num_labels=3, encoder_window=16)), []
    encode = folded.encode
    monkeypatch.setattr(folding, "WINDOW_TOKENS", 40)
    monkeypatch.setattr(folded, "encode", lambda ids, runs: seen.append(len(ids)) or encode(ids, runs))
    folded_logits(folded, random_texts([100, 5]))
    assert seen == [30, 30, 40, 5]  # 100 are six windows of 15 and one of 10
    seen.clear()
    folded_logits(folded, random_texts([16] * 9))  # short texts are read together, as ever
    assert seen == [144]


def test_predictor_follows_a_window_that_changes(predictor: Predictor) -> None:
    text = "parcel money card late " * 20
    whole = predictor.logits([text])
    predictor.model.config.encoder_window = 10
    windowed = predictor.logits([text])
    assert np.abs(windowed - whole).max() > 1e-3
    np.testing.assert_allclose(
        Predictor(predictor.model, predictor.tokenizer, fold=False).logits([text]), windowed, atol=1e-4
    )
    predictor.model.config.encoder_window = None
    np.testing.assert_array_equal(predictor.logits([text]), whole)
