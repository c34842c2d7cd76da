"""A frozen encoder: it learns nothing, and computes as in evaluation mode while what reads it is trained."""

from typing import Any


def freeze_encoder(model: Any) -> None:
    """Let the encoder of a model of one task or of several learn nothing."""
    model.transformer.encoder.requires_grad_(False)


def keep_frozen(model: Any) -> None:
    """Put an encoder that learns nothing into evaluation mode: dropout would only blur what it has to say.

    Args:
        model: A model in training mode, with whatever wraps it.
    """
    for name, module in model.named_modules():
        if name.endswith("transformer.encoder") and not any(one.requires_grad for one in module.parameters()):
            module.eval()
