"""The graph for export: the plain model's logits on padded batches, wherever the padding is."""

from typing import Any

import pytest
import torch

from enct5.export.padded import TYPICAL_LENGTH, ExportableEncT5
from enct5.folding.model import FoldedEncT5
from enct5.model.modeling_enct5 import EncT5ForClassification
from helpers.models import FAMILIES, MULTI, SMALL, TASKS, TOKENS, assert_near, random_model

pytestmark = pytest.mark.usefixtures("one_thread")

LENGTHS = (140, 60, 60, 30, 9, 9, 2, 1)


def padded(side: str) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, SMALL["vocab_size"], (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return ids, mask if side == "right" else mask.flip(1)


@torch.no_grad()
def assert_same_logits(model: EncT5ForClassification, side: str = "right") -> None:
    ids, mask = padded(side)
    graph = ExportableEncT5(FoldedEncT5(model))
    counted: Any = mask > 0 if model.config.problem_type == TOKENS else slice(None)
    assert_near(graph(ids, mask)[counted], model(ids, attention_mask=mask).logits[counted])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("problem_type", "labels"), TASKS)
def test_logits_are_the_plain_model_s(family: str, problem_type: str, labels: int) -> None:
    assert_same_logits(random_model(num_labels=labels, problem_type=problem_type, **FAMILIES[family]))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_decoder_of_tokens_gives_the_plain_model_s_logits(family: str) -> None:
    assert_same_logits(random_model(num_labels=5, problem_type=TOKENS, token_decoder=True, **FAMILIES[family]))


@pytest.mark.parametrize(("problem_type", "labels"), TASKS)
def test_padding_may_be_on_the_left(problem_type: str, labels: int) -> None:
    assert_same_logits(random_model(num_labels=labels, problem_type=problem_type), "left")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("problem_type", "labels"), [task for task in TASKS if task[0] != TOKENS])
@torch.no_grad()
def test_long_texts_are_read_in_the_plain_model_s_windows(family: str, problem_type: str, labels: int) -> None:
    model = random_model(num_labels=labels, problem_type=problem_type, encoder_window=20, **FAMILIES[family])
    ids, mask = padded("right")
    parts = [
        part
        for row, own in zip(ids, LENGTHS, strict=True)
        for part in row[:own].split(model.config.window_lengths(own))
    ]
    rows = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
    counts = [len(model.config.window_lengths(own)) for own in LENGTHS]
    assert counts == [7, 3, 3, 2, 1, 1, 1, 1]
    windows, start = torch.full((len(LENGTHS), 7), -1), 0
    for text, count in enumerate(counts):
        windows[text, :count] = torch.arange(start, start + count)
        start += count
    row_mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(part) for part in parts], batch_first=True)
    graph = ExportableEncT5(FoldedEncT5(model))
    wanted = model(ids, attention_mask=mask).logits
    assert_near(graph(rows, row_mask, windows), wanted)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))  # rows may come in any order
    moved = torch.where(windows < 0, -1, order.argsort()[windows])
    assert_near(graph(rows[order], row_mask[order], moved), wanted)


@torch.no_grad()
def test_padding_of_any_id_changes_nothing() -> None:
    graph = ExportableEncT5(FoldedEncT5(random_model(num_labels=3)))
    ids, mask = padded("right")
    assert torch.equal(graph(torch.where(mask > 0, ids, 0), mask), graph(torch.where(mask > 0, ids, 7), mask))


@torch.no_grad()
def test_a_text_of_padding_alone_gives_numbers() -> None:
    graph = ExportableEncT5(FoldedEncT5(random_model(num_labels=3, num_decoder_layers=2, problem_type=MULTI)))
    assert graph(torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4, dtype=torch.long)).isfinite().all()


def test_both_ways_of_reading_are_tried_above() -> None:
    def folds(labels: int) -> bool:
        decoder: Any = FoldedEncT5(random_model(num_labels=labels, problem_type=MULTI)).decoder
        return decoder.cross_attention.folds(TYPICAL_LENGTH, 1)

    assert folds(1)
    assert not folds(600)
