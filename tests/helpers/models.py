"""Small random models: of every family and kind of task in memory, and saved as training leaves them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from enct5 import EncT5Config, EncT5ForSequenceClassification, EncT5ForTokenClassification
from enct5.inference.predictor import Predictor
from enct5.model.conversion import convert
from enct5.model.loading import load_tokenizer
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.training.config import TrainConfig
from helpers.texts import LABELS, sentences

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
TOKENS = "token_classification"
SMALL = {"vocab_size": 60, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
FAMILIES = {
    "t5": {},
    "v1.1": {"feed_forward_proj": "gated-gelu"},
    "umt5": {"feed_forward_proj": "gated-gelu", "per_layer_position_bias": True},
    "deep decoder": {"num_decoder_layers": 3},
    "deep umt5 decoder": {"num_decoder_layers": 2, "per_layer_position_bias": True},
    "deep decoder without bias": {"num_decoder_layers": 2, "prompt_position_bias": False},
    "other heads": {"num_heads": 3, "d_kv": 16, "relative_attention_max_distance": 20, "layer_norm_epsilon": 0.1},
}
TASKS = [
    (SINGLE, 3),
    (SINGLE, 40),
    (SINGLE, 600),
    (REGRESSION, 1),
    (REGRESSION, 3),
    (MULTI, 1),
    (MULTI, 3),
    (MULTI, 40),
    (MULTI, 600),
    (TOKENS, 3),
]


def random_model(dtype: torch.dtype = torch.float32, **config: Any) -> EncT5ForClassification:
    """A small model with logits of unit scale, no parameter of which is as it was initialised."""
    torch.manual_seed(0)
    settings = EncT5Config(**{**SMALL, **config})
    tags = settings.problem_type == TOKENS
    model = (EncT5ForTokenClassification if tags else EncT5ForSequenceClassification)(settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.classifier.weight.normal_(std=settings.d_model**-0.5)
    for name, parameter in model.named_parameters():
        keeps = dtype == torch.float16 and ".wo." in name  # as transformers loads T5 in float16
        parameter.data = parameter.data if keeps else parameter.data.to(dtype)
    return model


def assert_near(result: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-4) -> None:
    """Equal to `tolerance` of the logits' scale, which is about 1 and differs from text to text."""
    assert wanted.float().std(0).min() > 0.05
    torch.testing.assert_close(result, wanted, atol=tolerance * max(1.0, float(wanted.abs().max())), rtol=0)


def saved_model(
    base: Path, folder: Path, names: tuple[str, ...] = LABELS, task: str = "single_label_classification", **trained: Any
) -> Path:
    """A run folder as training leaves it, its head random but no label favoured: training takes longer."""
    model = convert(str(base), problem_type=task, id2label=dict(enumerate(names))).model
    tokenizer = load_tokenizer(str(base))
    torch.manual_seed(1)
    with torch.no_grad():
        model.classifier.weight.copy_(2 * torch.randn_like(model.classifier.weight))
        inputs = tokenizer(sentences(30), padding=True, return_tensors="pt")
        model.classifier.bias.copy_(-model.eval()(**inputs).logits.flatten(0, -2).mean(0))
    tokenizer.model_max_length = 64
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = {"data": "train.csv", "text": ("text",), "label": "label", "out": "runs/x", "max_length": 64} | trained
    TrainConfig.checked(**settings).write(folder / "train_config.yaml")
    return folder


def pair_scorer(base: Path, folder: Path, names: tuple[str, ...], task: str) -> Predictor:
    return Predictor.from_pretrained(saved_model(base, folder, names, task, text=("query", "document")))


def plain_logits(predictor: Predictor, *texts: str) -> np.ndarray:
    """The logits of one text or pair by the tokenizer and the model alone."""
    inputs = predictor.tokenizer(*texts, truncation=True, return_tensors="pt")
    with torch.no_grad():
        return predictor.model(**inputs).logits[0].numpy()
