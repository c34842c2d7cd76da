"""Texts are read, run and put together again apart from each other, as a server does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enct5.inference.predictor import Predictor
from helpers.models import MULTI, REGRESSION, SINGLE, TOKENS, saved_model
from helpers.texts import LABELS, sentences

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
TEXTS = [*sentences(9, longest=90), ""]
TAGS = ("O", "B-place", "I-place")


def rows_of(predictor: Predictor, requests: list[list[Any]]) -> list[Any]:
    """The logits of some requests whose rows run together, the last request first."""
    alone = [one for texts in reversed(requests) for one in predictor.tokenized(texts).apart()]
    rows = [row for one in alone for row in one.rows]
    logits: list[Any] = [None] * len(rows)
    for places, outputs in predictor.run(rows):
        for place, output in zip(places, outputs, strict=True):
            logits[place] = output
    result, start = [], 0
    for one in alone:
        end = start + len(one.rows)
        result.append(one.outputs(logits[start:end], predictor.engine.config.num_labels))
        start = end
    found = []
    for texts in reversed(requests):
        own, result = result[: len(texts)], result[len(texts) :]
        found.append(predictor.task.inputs.together(own))
    return found[::-1]


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("task", [SINGLE, MULTI, REGRESSION, TOKENS])
def test_texts_of_several_requests_get_what_each_gets_alone(
    t5_folder: Base, tmp_path: Path, task: str, fold: bool
) -> None:
    names = TAGS if task == TOKENS else LABELS
    told = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path, names, task), fold=fold)
    predictor = Predictor(told.model, told.tokenizer, fold=fold)  # takes single texts and pairs
    requests: list[list[Any]] = [TEXTS[:4], TEXTS[4:5], TEXTS[5:]]
    if task != TOKENS:
        requests.append([("where is it", "my parcel"), ("late", "")])
    for texts, logits in zip(requests, rows_of(predictor, requests), strict=True):
        alone = predictor.logits(texts)
        if task == TOKENS:
            assert [found.text for found in logits] == texts
            for found, right in zip(logits, alone, strict=True):
                np.testing.assert_array_equal(found.offsets, right.offsets)
                np.testing.assert_allclose(found.logits, right.logits, atol=1e-4)
        else:
            np.testing.assert_allclose(logits, alone, atol=1e-4)
        records = [record for record, _ in predictor.decoded(alone, top_k=1)]
        assert records == predictor.predict(texts)


def test_a_text_can_be_cut_shorter_than_the_model_cuts_it(folder: Path, predictor: Predictor) -> None:
    text = "where is my parcel " * 40
    short = predictor.tokenized([text], max_length=9)
    assert [len(row) for row in short.rows] == [9]
    assert short.unread.tokens_cut == short.unread.tokens - 9
    assert [len(row) for row in predictor.tokenized([text], max_length=900).rows] == [64]
