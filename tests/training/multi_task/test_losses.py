"""What training several tasks minimises, by hand: a row counts for the tasks that it has a label for."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from enct5 import EncT5Config
from enct5.training.multi_task.losses import TaskLoss, TasksLoss, spread
from helpers.models import MULTI, REGRESSION, SINGLE, TOKENS

LABELLED = [True, False, True, True, False, True]


def loss_of(kind: str, labels: object, mean: float, smoothing: float = 0.0, **config: object) -> TaskLoss:
    settings = EncT5Config(problem_type=kind, num_labels=3, **config)
    return TaskLoss(settings, labels, torch.tensor(LABELLED), mean, 1.0, smoothing)


def random_logits(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), requires_grad=True)


def labels_of(kind: str) -> torch.Tensor:
    """Labels of six texts, of which the second and the fifth have none."""
    generator = torch.Generator().manual_seed(1)
    if kind == SINGLE:
        return torch.randint(0, 3, (6,), generator=generator)
    if kind == MULTI:
        return torch.randint(0, 2, (6, 3), generator=generator).float()
    return torch.randn(6, 3, generator=generator)


def wanted(kind: str, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    if kind == SINGLE:
        return functional.cross_entropy(logits, labels)
    if kind == MULTI:
        return functional.binary_cross_entropy_with_logits(logits, labels)
    return functional.mse_loss(logits, labels)


@pytest.mark.parametrize("kind", [SINGLE, MULTI, REGRESSION])
@pytest.mark.parametrize("sizes", [(6,), (1, 5), (3, 3), (2, 1, 1, 2)])
def test_over_an_epoch_every_label_weighs_the_same(kind: str, sizes: tuple[int, ...]) -> None:
    logits, labels = random_logits(6, 3), labels_of(kind)
    loss = loss_of(kind, labels, mean=4 / 6)
    parts = [loss(logits[rows], rows) * len(rows) / 6 for rows in torch.arange(6).split(list(sizes))]
    kept = torch.tensor(LABELLED)
    torch.testing.assert_close(sum(parts), wanted(kind, logits[kept], labels[kept]))


def test_every_labelled_token_weighs_the_same() -> None:
    tags = [torch.tensor(own) for own in ([0, 1, -100], [-100, -100], [2, -100], [1, 1, 0, -100], [-100], [0, -100])]
    logits = random_logits(6, 5, 3)
    loss = loss_of(TOKENS, tags, mean=7 / 6)
    parts = [loss(logits[rows], rows) * len(rows) / 6 for rows in torch.arange(6).split([2, 1, 3])]
    flat = torch.cat([logits[row, : len(own)][own != -100] for row, own in enumerate(tags)])
    torch.testing.assert_close(sum(parts), functional.cross_entropy(flat, torch.tensor([0, 1, 2, 1, 1, 0, 0])))


@pytest.mark.parametrize("kind", [SINGLE, MULTI, REGRESSION, TOKENS])
def test_a_batch_without_labels_adds_nothing_and_has_a_gradient(kind: str) -> None:
    labels = [torch.tensor([-100, -100])] * 6 if kind == TOKENS else labels_of(kind)
    logits = random_logits(2, 2, 3) if kind == TOKENS else random_logits(2, 3)
    value = loss_of(kind, labels, mean=4 / 6)(logits, torch.tensor([1, 4]))
    value.backward()
    assert value == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_what_the_model_says_of_texts_without_a_label_is_nothing_to_the_loss() -> None:
    logits, labels = random_logits(6, 3), labels_of(SINGLE)
    loss, texts = loss_of(SINGLE, labels, mean=4 / 6), torch.arange(6)
    loss(logits, texts).backward()
    assert logits.grad is not None
    assert [bool(row.any()) for row in logits.grad] == LABELLED


def test_smoothing_and_class_weights_are_of_a_task() -> None:
    logits, labels, texts = random_logits(6, 3), labels_of(SINGLE), torch.arange(6)
    kept = torch.tensor(LABELLED)
    smoothed = loss_of(SINGLE, labels, mean=4 / 6, smoothing=0.3)(logits, texts)
    own = functional.cross_entropy(logits[kept], labels[kept], label_smoothing=0.3)
    torch.testing.assert_close(smoothed, own)
    weights = [1.0, 4.0, 0.5]
    weighed = loss_of(SINGLE, labels, mean=4 / 6, class_weights=weights)(logits, texts)
    each = functional.cross_entropy(logits[kept], labels[kept], reduction="none")
    torch.testing.assert_close(weighed, (each * torch.tensor(weights)[labels[kept]]).mean())


def test_the_sum_has_the_tasks_weights_and_order_does_not_matter() -> None:
    logits, texts = {"a": random_logits(6, 3), "b": random_logits(6, 3)}, torch.arange(6)
    a = loss_of(SINGLE, labels_of(SINGLE), mean=4 / 6)
    b = TaskLoss(EncT5Config(problem_type=MULTI, num_labels=3), labels_of(MULTI), a.labelled, 4 / 6, 0.25, 0.0)
    both = TasksLoss({"a": a, "b": b})(logits, texts)
    torch.testing.assert_close(both, a(logits["a"], texts) + 0.25 * b(logits["b"], texts))
    torch.testing.assert_close(both, TasksLoss({"b": b, "a": a})(logits, texts))


def test_labels_are_spread_to_their_texts() -> None:
    assert spread(np.array([5, 7]), np.array([3, 0]), 4).tolist() == [7, 0, 0, 5]
    assert spread(np.array([[1.0, 2.0]]), np.array([1]), 2).tolist() == [[0, 0], [1, 2]]
