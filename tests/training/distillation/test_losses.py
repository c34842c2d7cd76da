"""The losses of a student are those that can be computed by hand."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from enct5.tasks.registry import TASKS
from enct5.training.distillation.losses import SoftLoss, soft_classes, soft_labels, soft_values

STUDENT = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]])
TEACHER = torch.tensor([[2.0, 1.0, 0.5], [3.0, -1.0, 1.0]])


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values)
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_classes(temperature: float) -> None:
    wanted, own = softmax(TEACHER.numpy() / temperature), softmax(STUDENT.numpy() / temperature)
    expected = temperature**2 * (wanted * np.log(wanted / own)).sum(-1)
    assert soft_classes(STUDENT, TEACHER, temperature).numpy() == pytest.approx(expected, rel=1e-5, abs=5e-6)
    assert soft_classes(TEACHER + 3, TEACHER, temperature).numpy() == pytest.approx([0, 0], abs=1e-6)


def test_a_class_by_hand() -> None:
    # the teacher gives 3/4 and 1/4, the student 1/2 each
    loss = soft_classes(torch.zeros(1, 2), torch.tensor([[np.log(3.0), 0.0]]), 1.0)
    assert float(loss) == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5), rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_labels(temperature: float) -> None:
    wanted, own = (1 / (1 + np.exp(-rows.numpy() / temperature)) for rows in (TEACHER, STUDENT))
    both = wanted * np.log(wanted / own) + (1 - wanted) * np.log((1 - wanted) / (1 - own))
    assert soft_labels(STUDENT, TEACHER, temperature).numpy() == pytest.approx(temperature**2 * both.mean(-1), rel=1e-5)
    assert soft_labels(TEACHER, TEACHER, temperature).numpy() == pytest.approx([0, 0], abs=1e-6)


def test_values() -> None:
    assert soft_values(STUDENT, TEACHER, 2.0).tolist() == pytest.approx([4.25 / 3, (2.5**2 + 3**2 + 1) / 3])


def test_the_temperature_leaves_the_gradient_as_large() -> None:
    """For hot temperatures the gradient tends to that of the squared distance of centred logits (Hinton et al.)."""
    student = STUDENT.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(soft_classes(student, TEACHER, 1000.0).sum(), student)
    apart = STUDENT - TEACHER
    assert torch.allclose(gradient, (apart - apart.mean(-1, keepdim=True)) / 3, atol=1e-2)


def test_a_logit_that_cannot_be_gives_a_finite_loss() -> None:
    loss = soft_classes(torch.zeros(1, 2), torch.tensor([[0.0, -1e4]]), 2.0)
    assert float(loss) == pytest.approx(4 * np.log(2), rel=1e-6)


def test_a_label_takes_its_share_from_the_teacher() -> None:
    loss = SoftLoss(
        task=TASKS["single"],
        teacher=TEACHER,
        labels=torch.tensor([0, 2]),
        labelled=torch.tensor([False, True]),
        temperature=2.0,
        label_weight=0.25,
    )
    soft, hard = (
        soft_classes(STUDENT, TEACHER, 2.0),
        functional.cross_entropy(STUDENT, torch.tensor([0, 2]), reduction="none"),
    )
    expected = (soft[0] + 0.75 * soft[1] + 0.25 * hard[1]) / 2
    assert float(loss(STUDENT, torch.tensor([0, 1]))) == pytest.approx(float(expected), rel=1e-6)
    # rows are told by their numbers, in any order
    assert float(loss(STUDENT.flip(0), torch.tensor([1, 0]))) == pytest.approx(float(expected), rel=1e-6)


def test_tokens_without_a_number_do_not_count() -> None:
    loss = SoftLoss(TASKS["tokens"], TEACHER, None, torch.zeros(2, dtype=torch.bool), 2.0, 0.1)
    logits = torch.stack([torch.stack([STUDENT[0], torch.full((3,), 9.0)]), torch.stack([STUDENT[1], STUDENT[1]])])
    expected = soft_classes(STUDENT, TEACHER, 2.0).mean()
    assert float(loss(logits, torch.tensor([[0, -100], [-100, 1]]))) == pytest.approx(float(expected), rel=1e-6)
    logits.requires_grad_()
    nothing = loss(logits, torch.full((2, 2), -100))
    nothing.backward()
    assert nothing.item() == 0
    assert not logits.grad.any()
