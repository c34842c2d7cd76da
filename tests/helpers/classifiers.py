"""Small random classifiers of every kind, their inputs and labels."""

from typing import Any

import torch

from enct5 import EncT5Config, EncT5ForSequenceClassification

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
SMALL = {"vocab_size": 60, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
# Every problem type, depth and family, for what has to hold of all of them.
VARIANTS = [
    {"num_labels": 3},
    {"num_labels": 1},
    {"num_labels": 2, "problem_type": REGRESSION, "num_decoder_layers": 2},
    {"num_labels": 5, "problem_type": MULTI},
    {"num_labels": 5, "problem_type": MULTI, "prompt_position_bias": False, "num_decoder_layers": 2},
    {"num_labels": 4, "problem_type": MULTI, "per_layer_position_bias": True, "num_decoder_layers": 2},
    {"num_labels": 3, "per_layer_position_bias": True, "feed_forward_proj": "gated-gelu"},
]
LABELS = {
    SINGLE: torch.tensor([2, 0]),
    MULTI: torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]),
    REGRESSION: torch.tensor([[0.5, -1.0, 2.0], [0.0, 3.0, 1.5]]),
}


def random_model(seed: int = 0, **config: Any) -> EncT5ForSequenceClassification:
    """A small model whose every parameter differs from its initial constant (norms of one, biases of zero)."""
    torch.manual_seed(seed)
    model = EncT5ForSequenceClassification(EncT5Config(**{**SMALL, **config})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def random_ids(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    """Token ids without padding (0)."""
    return torch.randint(2, SMALL["vocab_size"], (batch, length), generator=torch.Generator().manual_seed(seed))


def logits_of(model: EncT5ForSequenceClassification, ids: torch.Tensor, **inputs: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(ids, **inputs).logits
