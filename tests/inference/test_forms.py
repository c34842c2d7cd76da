"""The ways to run a model: one contract, the same logits."""

import numpy as np
import pytest
import torch

from enct5.inference.forms import CompiledForm, FoldedForm, PlainForm
from helpers.models import TASKS, TOKENS, random_model

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = [np.arange(1, 1 + length) for length in (30, 30, 7, 1)]


@pytest.mark.parametrize(("problem_type", "labels"), TASKS)
def test_the_folded_model_gives_the_plain_model_s_logits(problem_type: str, labels: int) -> None:
    model = random_model(num_labels=labels, problem_type=problem_type)
    plain, folded = PlainForm(model)(ROWS), FoldedForm(model)(ROWS)
    assert len(plain) == len(folded) == len(ROWS)
    for row, wanted, got in zip(ROWS, plain, folded, strict=True):
        if problem_type == TOKENS:
            wanted = wanted[: len(row)]
            assert len(got) == len(row)
        np.testing.assert_allclose(got, wanted, atol=1e-4 * max(1.0, np.abs(wanted).max()))


def test_the_folded_model_knows_when_the_weights_have_changed() -> None:
    model = random_model(num_labels=3)
    folded = FoldedForm(model)
    assert folded.is_current()
    with torch.no_grad():
        model.classifier.bias.add_(1)
    assert not folded.is_current()
    assert FoldedForm(model).is_current()


def test_a_model_that_cannot_be_folded_is_refused_with_the_reason() -> None:
    model = random_model(num_labels=3)
    model.classifier = type("Other", (torch.nn.Linear,), {})(32, 3)
    with pytest.raises(ValueError, match="classifier"):
        FoldedForm(model)


@pytest.mark.slow
@pytest.mark.parametrize(("window", "layers"), [(None, 2), (4, 1)])
def test_the_compiled_model_gives_the_plain_model_s_logits(window: int | None, layers: int) -> None:
    model = random_model(num_labels=3, encoder_window=window, num_layers=layers)
    plain, compiled = PlainForm(model), CompiledForm(model)
    for rows in (ROWS, ROWS[:2], ROWS[2:3]):
        for wanted, got in zip(plain(rows), compiled(rows), strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-4 * max(1.0, np.abs(wanted).max()))
