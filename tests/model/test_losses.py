"""Losses: by hand, finite, float32, and labels that do not fit."""

import math
from typing import Any

import pytest
import torch

from enct5 import EncT5Config, EncT5ForSequenceClassification
from helpers.classifiers import LABELS, MULTI, REGRESSION, SINGLE, SMALL, random_ids, random_model


def test_single_label_loss_is_the_mean_cross_entropy() -> None:
    outputs = random_model(num_labels=3)(random_ids(2, 5), labels=LABELS[SINGLE])
    by_hand = 0.0
    for row, label in zip(outputs.logits.tolist(), LABELS[SINGLE].tolist(), strict=True):
        by_hand += math.log(sum(math.exp(value) for value in row)) - row[label]
    assert outputs.loss.item() == pytest.approx(by_hand / 2, abs=1e-6)


def test_multi_label_loss_is_the_mean_binary_cross_entropy() -> None:
    outputs = random_model(num_labels=3, problem_type=MULTI)(random_ids(2, 5), labels=LABELS[MULTI])
    by_hand = 0.0
    for value, label in zip(outputs.logits.flatten().tolist(), LABELS[MULTI].flatten().tolist(), strict=True):
        probability = 1 / (1 + math.exp(-value))
        by_hand -= math.log(probability if label else 1 - probability)
    assert outputs.loss.item() == pytest.approx(by_hand / 6, abs=1e-6)


def test_regression_loss_is_the_mean_squared_error() -> None:
    outputs = random_model(num_labels=3, problem_type=REGRESSION)(random_ids(2, 5), labels=LABELS[REGRESSION])
    pairs = zip(outputs.logits.flatten().tolist(), LABELS[REGRESSION].flatten().tolist(), strict=True)
    assert outputs.loss.item() == pytest.approx(sum((value - label) ** 2 for value, label in pairs) / 6, abs=1e-6)


@pytest.mark.parametrize(
    ("config", "labels", "same"),
    [
        ({"num_labels": 3}, LABELS[SINGLE], LABELS[SINGLE].int()),
        ({"num_labels": 3}, LABELS[SINGLE], LABELS[SINGLE][:, None]),
        ({"num_labels": 3, "problem_type": MULTI}, LABELS[MULTI], LABELS[MULTI].long()),
        ({"num_labels": 1}, torch.tensor([0.5, 2.0]), torch.tensor([[0.5], [2.0]])),
        ({"num_labels": 1}, torch.tensor([1.0, 2.0]), torch.tensor([1, 2])),
    ],
)
def test_labels_of_like_meaning_give_the_same_loss(config: dict, labels: torch.Tensor, same: torch.Tensor) -> None:
    model, ids = random_model(**config), random_ids(2, 5)
    assert torch.equal(model(ids, labels=labels).loss, model(ids, labels=same).loss)


@pytest.mark.parametrize(
    ("problem_type", "labels", "message"),
    [
        (
            SINGLE,
            torch.zeros(2),
            r"int64 labels of shape \(2,\), not torch.float32 \(2,\); for values, set .*'regression'",
        ),
        (SINGLE, torch.zeros(2, 1), r"not torch.float32 \(2, 1\); for values, set `problem_type='regression'`"),
        (SINGLE, torch.zeros(2, 3), r"not torch.float32 \(2, 3\); for several labels a text, set .*'multi_label_"),
        (SINGLE, torch.tensor([True, False]), r"not torch.bool"),
        (SINGLE, torch.zeros(3, dtype=torch.long), r"int64 labels of shape \(2,\), not torch.int64 \(3,\)"),
        (SINGLE, torch.zeros(2, 3, dtype=torch.long), r"for several labels a text, set `problem_type='multi_label_"),
        (SINGLE, torch.zeros(1, 2, dtype=torch.long), r"not torch.int64 \(1, 2\)"),
        (MULTI, torch.zeros(2), r"needs labels of shape \(2, 3\), not \(2,\); `num_labels` is 3"),
        (MULTI, torch.zeros(3, 2), r"needs labels of shape \(2, 3\), not \(3, 2\)"),
        (MULTI, torch.zeros(6), r"needs labels of shape \(2, 3\), not \(6,\)"),
        (REGRESSION, torch.zeros(2, 2), r"regression needs labels of shape \(2, 3\), not \(2, 2\)"),
        (REGRESSION, torch.zeros(3, 2), r"regression needs labels of shape \(2, 3\), not \(3, 2\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(problem_type: str, labels: torch.Tensor, message: str) -> None:
    model = random_model(num_labels=3, problem_type=problem_type)
    with pytest.raises(ValueError, match=message):
        model(random_ids(2, 5), labels=labels)


def test_the_loss_is_float32_in_bfloat16_too() -> None:
    model = random_model(num_labels=3).to(torch.bfloat16)
    outputs = model(random_ids(2, 5), labels=LABELS[SINGLE])
    assert (outputs.logits.dtype, outputs.loss.dtype) == (torch.bfloat16, torch.float32)


def loss_of(logits: list[list[float]], labels: torch.Tensor, **config: Any) -> torch.Tensor:
    """The loss that a model of this configuration gives to logits."""
    model = EncT5ForSequenceClassification(EncT5Config(**{**SMALL, "num_labels": 3, **config}))
    return model.compute_loss(torch.tensor(logits, requires_grad=True), labels)


LOGITS = [[1.5, -0.5, 3.0], [-2.0, 0.25, 0.5]]
WEIGHTS = [0.5, 2.0, 3.5]


def test_class_weights_weigh_each_text_by_its_class() -> None:
    loss = loss_of(LOGITS, LABELS[SINGLE], class_weights=WEIGHTS)
    total = torch.nn.functional.cross_entropy(
        torch.tensor(LOGITS), LABELS[SINGLE], weight=torch.tensor(WEIGHTS), reduction="sum"
    )
    assert loss.item() == pytest.approx(total.item() / 2)  # by the number of texts, not by their weights


def test_class_weights_of_labels_weigh_the_texts_that_have_them() -> None:
    loss = loss_of(LOGITS, LABELS[MULTI], problem_type=MULTI, class_weights=WEIGHTS)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(LOGITS), LABELS[MULTI], pos_weight=torch.tensor(WEIGHTS)
    )
    assert loss.item() == pytest.approx(expected.item())
    assert loss.item() != pytest.approx(loss_of(LOGITS, LABELS[MULTI], problem_type=MULTI).item())


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
def test_focal_loss_without_focus_is_cross_entropy(problem_type: str, weights: list[float] | None) -> None:
    options = {"problem_type": problem_type, "class_weights": weights}
    focal = loss_of(LOGITS, LABELS[problem_type], loss="focal", loss_gamma=0, **options)
    assert focal.item() == pytest.approx(loss_of(LOGITS, LABELS[problem_type], **options).item(), rel=1e-5)
    named = {**options, "loss": "bce"} if problem_type == MULTI else options
    assert torch.equal(loss_of(LOGITS, LABELS[problem_type], **named), loss_of(LOGITS, LABELS[problem_type], **options))


@pytest.mark.parametrize("gamma", [None, 0.5, 3.0])
def test_focal_loss_of_classes_by_hand(gamma: float | None) -> None:
    by_hand = 0.0
    for row, label in zip(LOGITS, LABELS[SINGLE].tolist(), strict=True):
        probability = math.exp(row[label]) / sum(math.exp(value) for value in row)
        by_hand -= WEIGHTS[label] * (1 - probability) ** (2 if gamma is None else gamma) * math.log(probability)
    loss = loss_of(LOGITS, LABELS[SINGLE], loss="focal", loss_gamma=gamma, class_weights=WEIGHTS)
    assert loss.item() == pytest.approx(by_hand / 2, rel=1e-5)


@pytest.mark.parametrize("gamma", [None, 0.5, 3.0])
@pytest.mark.parametrize("loss", ["focal", "asymmetric"])
def test_losses_of_labels_by_hand(loss: str, gamma: float | None) -> None:
    by_hand = 0.0
    for row, wanted in zip(LOGITS, LABELS[MULTI].tolist(), strict=True):
        for value, label, weight in zip(row, wanted, WEIGHTS, strict=True):
            p = 1 / (1 + math.exp(-value))
            if loss == "focal":
                power = 2 if gamma is None else gamma
                by_hand -= weight * (1 - p) ** power * math.log(p) if label else p**power * math.log(1 - p)
            else:
                shifted, power = max(p - 0.05, 0), 4 if gamma is None else gamma
                by_hand -= weight * math.log(p) if label else shifted**power * math.log(1 - shifted)
    found = loss_of(LOGITS, LABELS[MULTI], problem_type=MULTI, loss=loss, loss_gamma=gamma, class_weights=WEIGHTS)
    assert found.item() == pytest.approx(by_hand / 6, rel=1e-5)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize(("problem_type", "loss"), [(SINGLE, "focal"), (MULTI, "focal"), (MULTI, "asymmetric")])
def test_losses_and_gradients_stay_finite(problem_type: str, loss: str, gamma: float) -> None:
    labels = torch.tensor([0, 1, 2]) if problem_type == SINGLE else torch.eye(3)
    model = EncT5ForSequenceClassification(
        EncT5Config(**SMALL, num_labels=3, problem_type=problem_type, loss=loss, loss_gamma=gamma)
    )
    for size in (0.0, 20.0, 200.0, 1e4):
        logits = torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [1.0, 1.0, -1.0]]).mul(size).requires_grad_()
        found = model.compute_loss(logits, labels)
        found.backward()
        assert found.isfinite(), size
        assert logits.grad.isfinite().all(), size


def test_labels_far_below_the_margin_leave_the_asymmetric_loss_alone() -> None:
    logits = torch.tensor([[-4.0, -6.0, -9.0]], requires_grad=True)  # scores below 0.02
    model = EncT5ForSequenceClassification(EncT5Config(**SMALL, num_labels=3, problem_type=MULTI, loss="asymmetric"))
    model.compute_loss(logits, torch.zeros(1, 3)).backward()
    assert not logits.grad.any()
