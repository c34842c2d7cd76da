"""The pre-training script: corruption loses nothing, and attention starts where it should."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import pretrain_t5
from comparisons import IGNORED

SENTINEL = 999


@pytest.mark.parametrize("noise_density", [0.15, 0.25])
def test_corruption_can_be_undone(noise_density: float) -> None:
    window = np.arange(10, 138)
    parts = pretrain_t5.corrupt(window, np.random.default_rng(0), SENTINEL, noise_density)
    dropped: dict[int, list[int]] = {}
    for token in parts["labels"][:-1].tolist():
        if token > SENTINEL - 100:
            span = dropped.setdefault(token, [])
        else:
            span.append(token)
    restored = [word for token in parts["input_ids"][:-1].tolist() for word in dropped.get(token, [token])]
    assert restored == window.tolist()
    assert parts["input_ids"][-1] == parts["labels"][-1] == 1
    assert sum(map(len, dropped.values())) == round(len(window) * noise_density)


@pytest.fixture
def model() -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    config = T5Config(vocab_size=64, d_model=256, d_kv=64, d_ff=32, num_heads=4, num_layers=3, num_decoder_layers=1)
    model = T5ForConditionalGeneration(config).eval()
    pretrain_t5.start_attention(model)
    return model


def test_heads_start_by_looking_before_after_around_and_everywhere(model: T5ForConditionalGeneration) -> None:
    with torch.no_grad():
        bias = model.encoder.block[0].layer[0].SelfAttention.compute_bias(41, 41)[0]
    before, after, around, everywhere = bias[:, 20]  # from the middle of 41 tokens
    torch.testing.assert_close(before, after.flip(0))
    assert (before[:20] > before[21:].flip(0)).all()
    torch.testing.assert_close(around, around.flip(0))
    for head in (before, after, around):
        assert head.argmax() == 20
        assert (head[:21].diff() >= 0).all()
        assert (head[20:].diff() <= 0).all()
    assert torch.equal(everywhere, torch.zeros(41))


def test_inner_layers_then_start_by_finding_a_tokens_repetition(model: T5ForConditionalGeneration) -> None:
    before = model.encoder.block[1].layer[0].SelfAttention.q.weight.detach().clone()
    pretrain_t5.start_matching(model)
    after = model.encoder.block[1].layer[0].SelfAttention.q.weight
    assert torch.equal(after[:192], before[:192])  # the other heads stay
    tokens = torch.randn(1, 20, 256).repeat(1, 2, 1)  # a text, twice
    found = []
    with torch.no_grad():
        bias = model.encoder.block[0].layer[0].SelfAttention.compute_bias(40, 40)[0, 3]
        assert torch.equal(bias, -6.0 * torch.eye(40))
        for block in model.encoder.block:
            own = block.layer[0].SelfAttention
            queries, keys = (part(tokens).view(40, 4, 64)[:, 3] for part in (own.q, own.k))
            found.append(((queries @ keys.T + bias).argmax(-1) == (torch.arange(40) + 20) % 40).float().mean().item())
    first, inner, last = found
    assert inner > 0.9
    assert max(first, last) < 0.5


def test_cross_attention_starts_by_finding_the_same_token(model: T5ForConditionalGeneration) -> None:
    cross = model.decoder.block[0].layer[1].EncDecAttention
    tokens = torch.randn(1, 32, 256)
    with torch.no_grad():
        queries, keys = ((part(tokens)).view(32, 4, 64).transpose(0, 1) for part in (cross.q, cross.k))
        found = (queries @ keys.transpose(1, 2)).softmax(-1).argmax(-1)
    assert (found == torch.arange(32)).float().mean() > 0.99
    # the queries have the size that T5 draws them with
    assert cross.q.weight.detach().std().item() == pytest.approx((256 * 64) ** -0.5, rel=0.05)


def test_examples_are_windows_and_every_fourth_a_pair() -> None:
    arrays = [np.arange(2, 702, dtype=np.uint16), np.arange(700, 800, dtype=np.uint16)]  # the second is too short
    examples = pretrain_t5.Examples(arrays, 8, 128, 0.5, SENTINEL, 0.25, seed=0, pair_every=4)
    rows = [examples[index] for index in range(len(examples))]
    assert [bool((row["matches"] != IGNORED).any()) for row in rows] == [True, False, False, False] * 2
    assert len({tuple((name, len(ids)) for name, ids in sorted(row.items())) for row in rows}) == 1
    assert not torch.equal(rows[1]["input_ids"], rows[2]["input_ids"])
    again = pretrain_t5.Examples(arrays, 8, 128, 0.5, SENTINEL, 0.25, seed=0, pair_every=4)[5]
    assert all(torch.equal(again[name], rows[5][name]) for name in again)
    windows = pretrain_t5.Examples(arrays, 8, 128, 0.5, SENTINEL, 0.25, seed=0, pair_every=None)
    for row in (windows[index] for index in range(8)):
        assert (row["matches"] == IGNORED).all()
        assert (row["attention_mask"] == 1).all()
