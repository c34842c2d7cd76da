"""Batches of predictions: within their budget of tokens and attention."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enct5.errors import EncT5Error
from enct5.folding.model import FoldedEncT5
from enct5.inference import runner, torch_engine
from enct5.inference.predictor import Predictor
from enct5.tokenization.batches import MAX_BATCH_TOKENS
from helpers.models import saved_model
from helpers.texts import sentences

Base = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("one_thread")


def test_batches_keep_the_token_budget(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[int]] = []
    forward = FoldedEncT5.forward

    def watched(folded: FoldedEncT5, input_ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        batches.append(lengths)
        return forward(folded, input_ids, lengths)

    monkeypatch.setattr(FoldedEncT5, "forward", watched)
    predictor.logits(sentences(400))
    assert sum(len(lengths) for lengths in batches) == 400
    assert all(len(lengths) * max(lengths) <= MAX_BATCH_TOKENS for lengths in batches)
    assert len(batches) < 12


def test_the_budget_of_a_batch_can_be_chosen(
    folder: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = sentences(60)
    for fold in (True, False):
        other = Predictor.from_pretrained(folder, batch_tokens=40, fold=fold)
        assert other.settings()["batch_tokens"] == 40
        form = type(other.engine.current())
        batches: list[list[int]] = []
        run = form.__call__

        def watched(self: Any, rows: Any, run: Any = run, batches: Any = batches) -> Any:
            batches.append([len(row) for row in rows])
            return run(self, rows)

        with monkeypatch.context() as patch:
            patch.setattr(form, "__call__", watched)
            np.testing.assert_allclose(other.logits(texts), predictor.logits(texts), atol=1e-4)
        own = [lengths for lengths in batches if len(lengths) * max(lengths) <= 40 or len(lengths) == 1]
        assert sum(map(len, own)) >= 60
        assert max(map(len, own)) > 1
    for wrong in (0, -3):
        with pytest.raises(EncT5Error, match=rf"`batch_tokens` \(--batch-tokens\) is {wrong}; give a number from 1 on"):
            Predictor.from_pretrained(folder, batch_tokens=wrong)


def test_a_gpu_gets_larger_batches_as_far_as_its_memory_goes(
    folder: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predictor.settings()["batch_tokens"] == MAX_BATCH_TOKENS
    monkeypatch.setattr(type(predictor.model), "device", torch.device("cuda"))
    a_token = 16 * 32 * 4  # states of d_model 32 in float32
    for free, wanted in ((80e9, torch_engine.MAX_BATCH_TOKENS_OF_A_GPU), (4 * a_token * 5000, 5000), (1e6, 2048)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (int(free), int(free)))
        assert predictor.settings()["batch_tokens"] == wanted
        other = Predictor(predictor.model, predictor.tokenizer, batch_tokens=7)
        assert other.settings()["batch_tokens"] == 7


def test_padded_batches_are_bounded_by_their_attention(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, rows = ["parcel " * 60] * 6, []
    monkeypatch.setattr(runner, "MAX_BATCH_SCORES", 4 * 2 * 62**2)  # two rows of 62 tokens, in four heads
    for fold, wanted in ((True, [6]), (False, [2, 2, 2])):
        other = Predictor.from_pretrained(folder, fold=fold)
        form = type(other.engine.current())
        run = form.__call__
        rows.clear()
        with monkeypatch.context() as patch:
            patch.setattr(form, "__call__", lambda self, given, run=run: rows.append(len(given)) or run(self, given))
            other.logits(texts)
        assert rows == wanted


def test_windows_bound_attention_by_the_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, rows = Predictor.from_pretrained(folder, fold=False), []
    predictor.model.config.encoder_window = 31
    monkeypatch.setattr(runner, "MAX_BATCH_SCORES", 4 * 2 * 62**2)
    predictor.model.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    predictor.logits(["parcel " * 60] * 6)
    assert rows == [4, 2]


def test_many_labels_make_small_batches(t5_folder: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved_model(t5_folder(), tmp_path, task="multi_label_classification")
    predictor = Predictor.from_pretrained(folder, fold=False)
    expected = predictor.logits(sentences(10))
    rows = []
    predictor.model.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    monkeypatch.setattr(runner, "MAX_BATCH_PROMPTS", 7)
    np.testing.assert_allclose(predictor.logits(sentences(10)), expected, atol=1e-4)
    assert rows == [2] * 5  # of three labels each
    rows.clear()
    monkeypatch.setattr(runner, "MAX_BATCH_PROMPTS", 2)
    predictor.logits(sentences(4))
    assert rows == [1] * 4
