"""A new head that starts as the linear model that fits the untrained model's states best, where its task has one."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.tokenization.batches import length_ordered_batches, pad
from enct5.training.distributed import process_state

if TYPE_CHECKING:
    from enct5.training.data import TrainingData

MOST_ROWS = 5000  # that are read for it, of the training rows
FEWEST_ROWS = 20  # fewer say too little
_BATCH_TOKENS = 8192


@torch.no_grad()
def start_as_linear_fit(model: EncT5ForClassification, data: "TrainingData", pad_token_id: int, seed: int = 0) -> None:
    """Give the new head the weights of the task's linear model on the states that it will read.

    A head that starts from nothing pulls the encoder about before it knows what to look for, and what the encoder knew
    is lost (Kumar et al., arXiv 2202.10054: fit the head first, then train all). A task without `fit_head` starts as
    ever: for classes the fitted head was no better.

    Args:
        model: The model, with one prompt and a new head; it is left in training mode, on the device where it was.
        data: The run's data.
        pad_token_id: The tokenizer's.
        seed: Of the choice of rows, where there are more than `MOST_ROWS`.
    """
    if data.task.fit_head is None or len(data.train) < FEWEST_ROWS:
        return
    rows = np.sort(np.random.default_rng(seed).permutation(len(data.train))[:MOST_ROWS])
    read = data.train.select(rows)
    input_ids = read["input_ids"][:]
    device, before = process_state().device, model.device
    torch.nn.Module.to(model, device).eval()
    states = np.empty((len(rows), model.config.d_model), dtype=np.float32)
    for batch in length_ordered_batches(read["length"][:], _BATCH_TOKENS):
        inputs = pad([input_ids[row] for row in batch], pad_token_id)
        outputs = model.transformer(**{name: torch.from_numpy(array).to(device) for name, array in inputs.items()})
        states[batch] = outputs.last_hidden_state[:, 0].float().cpu().numpy()
    weight, bias = data.task.fit_head(states, np.asarray(read["labels"][:]))
    model.classifier.weight.copy_(torch.from_numpy(weight))
    model.classifier.bias.copy_(torch.from_numpy(bias))
    torch.nn.Module.to(model, before).train()
