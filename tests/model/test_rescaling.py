"""Rescaling: outputs in another unit, by the head's weights alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from enct5.model.conversion import convert
from enct5.model.rescaling import rescale_outputs

IDS = torch.tensor([[5, 9, 1, 0], [7, 8, 9, 1]])


@pytest.mark.parametrize(
    ("problem_type", "factor", "shift"),
    [
        ("regression", np.array([2.0, 0.5, 1000.0]), np.array([1.0, -3.0, 4.0])),
        ("single_label_classification", 1 / 1.7, None),
        ("multi_label_classification", 3.0, 0.25),
    ],
)
def test_outputs_are_those_of_before_in_the_other_unit(
    t5_folder: Callable[..., Path], problem_type: str, factor: np.ndarray | float, shift: np.ndarray | float | None
) -> None:
    model = convert(str(t5_folder()), num_labels=3, problem_type=problem_type).model
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([0.5, -0.25, 0.125]))
        before = model(input_ids=IDS).logits.double().numpy()
        rest = {name: tensor.clone() for name, tensor in model.state_dict().items() if "classifier" not in name}
        rescale_outputs(model, factor, shift)
        after = model(input_ids=IDS).logits.numpy()
    np.testing.assert_allclose(after, before * factor + (0 if shift is None else shift), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in rest.items())
