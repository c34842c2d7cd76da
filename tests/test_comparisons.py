"""The comparisons of pre-training: edited copies, their targets, the loss, and the T5 that is left."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from comparisons import IGNORED, ComparingT5, comparison, edited

TEXT, OTHER = np.arange(100, 140), np.arange(200, 240)


def test_edited_copies_keep_lose_replace_and_move_pieces() -> None:
    copies = [edited(TEXT, OTHER, np.random.default_rng(seed)) for seed in range(300)]
    kept = np.array([np.isin(TEXT, copy).mean() for copy in copies])
    assert all(len(copy) and np.isin(copy, np.concatenate([TEXT, OTHER])).all() for copy in copies)
    assert kept.min() < 0.1
    assert kept.max() > 0.9
    assert any((np.diff(copy[copy < 200]) < 0).any() for copy in copies)  # moved
    assert any(len(copy) < 20 for copy in copies)
    assert all(len(set(copy)) == len(copy) for copy in copies)


@pytest.mark.parametrize("seed", range(20))
def test_targets_say_what_both_texts_have(seed: int) -> None:
    with_ends = [np.insert(text, 7, 1) for text in (TEXT, OTHER)]  # two paragraphs
    row = comparison(*with_ends, np.random.default_rng(seed), (100, 44))
    assert {name: len(ids) for name, ids in row.items()} == {
        "input_ids": 100,
        "attention_mask": 100,
        "labels": 44,
        "matches": 100,
    }
    length = row["attention_mask"].sum()
    assert (row["attention_mask"][:length] == 1).all()
    assert (row["input_ids"][length:] == 0).all()
    middle, end = np.flatnonzero(row["input_ids"] == 1)
    assert end == length - 1
    first, second = (set(ids.tolist()) for ids in (row["input_ids"][:middle], row["input_ids"][middle + 1 : end]))
    for position, (token, match) in enumerate(zip(row["input_ids"], row["matches"], strict=True)):
        if position >= length or token == 1:
            assert match == IGNORED
        else:
            assert match == (token in (second if position < middle else first))
    assert (row["labels"] == IGNORED).all()


def test_either_text_may_be_the_copy() -> None:
    rows = [comparison(TEXT, OTHER, np.random.default_rng(seed), (100, 44)) for seed in range(20)]
    whole_first = [(row["input_ids"][:6] == TEXT[:6]).all() and row["input_ids"][0] == 100 for row in rows]
    assert 0 < sum(whole_first) < 20


@pytest.fixture
def model() -> ComparingT5:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=300, d_model=32, d_kv=8, d_ff=32, num_heads=4, num_layers=2, num_decoder_layers=1,
        decoder_start_token_id=0,
    )  # fmt: skip
    return ComparingT5(config).eval()


def test_loss_is_that_of_spans_and_that_of_matches(model: ComparingT5) -> None:
    pair = comparison(TEXT, OTHER, np.random.default_rng(0), (100, 44))
    span = {
        "input_ids": np.arange(100) + 100,
        "attention_mask": np.ones(100, dtype=int),
        "labels": np.arange(44) + 50,
        "matches": np.full(100, IGNORED),
    }
    batch = {name: torch.from_numpy(np.stack([pair[name], span[name]])) for name in pair}
    with torch.no_grad():
        outputs = T5ForConditionalGeneration.forward(
            model, **{name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
        )
        found = model.matcher(outputs.encoder_last_hidden_state[0])[:, 0]
        counted = batch["matches"][0] != IGNORED
        matches = nn.functional.binary_cross_entropy_with_logits(found[counted], batch["matches"][0][counted].float())
        spans = nn.functional.cross_entropy(outputs.logits[1], batch["labels"][1])
        assert model(**batch).loss.item() == pytest.approx((spans + matches).item(), rel=1e-5)
        alone = {name: rows[1:] for name, rows in batch.items()}
        assert model(**alone).loss.item() == pytest.approx(spans.item(), rel=1e-5)


def test_a_plain_t5_with_t5s_own_start_is_left(model: ComparingT5) -> None:
    attention = model.encoder.block[0].layer[0].SelfAttention
    assert attention.q.weight.std().item() == pytest.approx((32 * 8) ** -0.5, rel=0.1)
    plain = model.plain().eval()
    assert type(plain) is T5ForConditionalGeneration
    ids = torch.arange(10, 20)[None]
    with torch.no_grad():
        wanted = T5ForConditionalGeneration.forward(model, input_ids=ids, labels=ids).logits
        assert torch.equal(plain(input_ids=ids, labels=ids).logits, wanted)
