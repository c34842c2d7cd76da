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
