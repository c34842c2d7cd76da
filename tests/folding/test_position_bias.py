"""Attention with a position bias: transformers' results, whatever way the bias is held."""

import logging
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention.flex_attention import flex_attention
from transformers import T5Config
from transformers.models.t5.modeling_t5 import T5Stack

from enct5.folding import position_bias
from enct5.folding.position_bias import DENSE_BIAS_LENGTH, PositionBias, position_biases

LONG = DENSE_BIAS_LENGTH + 1


def stack(is_decoder: bool) -> Any:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=8, d_model=32, d_kv=8, d_ff=16, num_layers=2, num_heads=4, is_decoder=is_decoder, use_cache=False
    )
    made = T5Stack(config).eval()
    nn.init.normal_(made.block[0].layer[0].SelfAttention.relative_attention_bias.weight)
    return made


def case(is_decoder: bool, length: int = LONG) -> tuple[Any, list[torch.Tensor], torch.Tensor]:
    """T5's attention, its queries, keys and values, and what it makes of them."""
    attention = stack(is_decoder).block[0].layer[0].SelfAttention
    query, key, value = states = [torch.randn(2, 4, length, 8) for _ in range(3)]
    return attention, states, (query @ key.mT + attention.compute_bias(length, length)).softmax(-1) @ value


@pytest.mark.parametrize("is_decoder", [False, True])
@torch.no_grad()
def test_the_bias_of_long_texts_is_a_view_that_says_the_same(is_decoder: bool) -> None:
    attention, states, wanted = case(is_decoder)
    bias = PositionBias(attention)
    torch.testing.assert_close(bias.attend(*states), wanted, atol=1e-4, rtol=0)
    assert bias.dense.shape[1] == 0  # nothing as large as length * length is kept
    for length in (3, 300, 17, DENSE_BIAS_LENGTH):  # longer and shorter than any before
        query, key, value = part = [values[:, :, :length] for values in states]
        wanted = (query @ key.mT + attention.compute_bias(length, length)).softmax(-1) @ value
        torch.testing.assert_close(bias.attend(*part), wanted, atol=1e-4, rtol=0)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("is_decoder", [False, True])
@torch.no_grad()
def test_the_bias_as_a_function_of_scores_says_the_same(is_decoder: bool) -> None:
    attention, states, wanted = case(is_decoder)
    score_mod = PositionBias(attention).added_to_score
    found = flex_attention(*states, score_mod=score_mod, scale=1.0)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


@pytest.mark.slow
@torch.no_grad()
def test_compiled_flex_attention_takes_the_bias() -> None:
    attend = torch.compile(flex_attention, dynamic=True)
    for length in (LONG, LONG + 200):
        attention, states, wanted = case(False, length)
        found = attend(*states, score_mod=PositionBias(attention).added_to_score, scale=1.0)
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_long_texts_take_memory_linear_in_their_length_on_a_gpu() -> None:
    attention, states, wanted = case(False)
    bias = PositionBias(attention).cuda()
    torch.testing.assert_close(bias.attend(*(part.cuda() for part in states)).cpu(), wanted, atol=1e-3, rtol=0)
    peaks = []
    for length in (4096, 8192):
        states = [torch.randn(1, 4, length, 8, device="cuda") for _ in range(3)]
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        bias.attend(*states)
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert peaks[1] < 3 * peaks[0]


def test_what_cannot_be_compiled_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fails(*arguments: Any, **settings: Any) -> None:
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr(torch, "compile", lambda function, **settings: fails)
    monkeypatch.setattr(torch, "zeros", lambda *arguments, **settings: torch.ones(3))
    position_bias._compiled_flex_attention.cache_clear()
    with caplog.at_level(logging.WARNING, "enct5"):
        assert position_bias._compiled_flex_attention() is None
        assert position_bias._compiled_flex_attention() is None
    assert [record.message for record in caplog.records] == [
        "attention takes memory quadratic in the length of texts: `no compiler at all`"
    ]
    position_bias._compiled_flex_attention.cache_clear()


def test_blocks_without_a_bias_have_that_of_the_last_block_with_one() -> None:
    blocks = stack(False).block
    first, second = position_biases(blocks)
    assert first is second
    assert isinstance(first, PositionBias)
