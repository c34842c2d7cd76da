"""DistributedDataParallel accepts every kind of model: no parameter stays out of the graph."""

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from enct5 import EncT5Config, EncT5ForSequenceClassification

SHAPE = {"vocab_size": 64, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
IDS = torch.tensor([[5, 9, 1, 0], [7, 8, 9, 1]])


@pytest.fixture
def one_process(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"num_labels": 3}, torch.tensor([0, 2])),
        ({"num_labels": 1}, torch.tensor([0.5, 2.0])),
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, torch.ones(2, 3)),
        (
            {"num_labels": 3, "problem_type": "multi_label_classification", "prompt_position_bias": False},
            torch.ones(2, 3),
        ),
        ({"num_labels": 3, "per_layer_position_bias": True, "num_decoder_layers": 2}, torch.tensor([0, 2])),
    ],
    ids=["single label", "regression", "multi-label", "multi-label without bias", "umT5, two decoder layers"],
)
def test_ddp_without_unused_parameters(one_process, settings, labels):
    model = EncT5ForSequenceClassification(EncT5Config(**SHAPE, **settings)).train()
    parallel = DistributedDataParallel(model)
    for _ in range(2):  # the second forward pass is what fails after a parameter without a gradient
        parallel(input_ids=IDS, labels=labels).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
