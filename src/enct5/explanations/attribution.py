"""Attention and integrated gradients of one text."""

import numpy as np
import torch

from enct5.model.modeling_enct5 import EncT5ForSequenceClassification
from enct5.model.replica import evaluating

STEPS = 64  # points between baseline and text at which the gradient is taken
_BATCH_TOKENS = 2048
_BATCH_SCORES = 2**21  # prompts times tokens of a batch: thousands of labels need smaller ones


@torch.no_grad()
def cross_attention(model: EncT5ForSequenceClassification, ids: torch.Tensor) -> list[list[float]]:
    """What every prompt attends to in the last decoder layer, averaged over the heads.

    Args:
        model: The model; its mode and its attention implementation stay as they are.
        ids: Token ids of one text, `(sequence,)`.

    Returns:
        A list for each prompt of the tokens' weights, `(prompts, sequence)`.
    """
    model = evaluating(model)
    mask = torch.ones_like(ids)[None]
    states = model.transformer.encode(ids[None], mask).last_hidden_state
    decoder = model.transformer.decoder
    assert decoder is not None  # only a tagger has none
    decoder.set_attn_implementation("eager")  # the only one that gives its weights away
    outputs = decoder(states, mask, output_attentions=True)
    return outputs.cross_attentions[-1][0].float().mean(0).tolist()


def integrated_gradients(
    model: EncT5ForSequenceClassification, ids: torch.Tensor, replaced: torch.Tensor, label: int
) -> tuple[list[float], float]:
    """Each token's share in what the text changes in a label's logit, against a baseline of `<pad>`.

    The gradient is averaged over the way from the baseline's embeddings to the text's (Gauss-Legendre quadrature) and
    multiplied by their difference.

    Args:
        model: The model, in evaluation mode.
        ids: Token ids of one text, `(sequence,)`.
        replaced: Which tokens are `<pad>` in the baseline, `(sequence,)`; the others get no share.
        label: Index of the logit.

    Returns:
        The shares, `(sequence,)`, and the baseline's logit.
    """
    points, weights = np.polynomial.legendre.leggauss(STEPS)  # between -1 and 1, weights summing up to 2
    # a caller's inference mode or no_grad would leave no graph to differentiate
    with torch.inference_mode(False), torch.enable_grad():
        embedding = model.get_input_embeddings()
        ids = ids.clone()
        text = embedding(ids).detach()
        pad = embedding(torch.full_like(ids, model.config.pad_token_id or 0)).detach()
        baseline = torch.where(replaced.clone()[:, None], pad, text)
        change, gradient = text - baseline, torch.zeros_like(text, dtype=torch.float32)
        prompts = model.config.decoder_vocab_size or 1
        size = max(1, min(_BATCH_TOKENS // len(ids), _BATCH_SCORES // (len(ids) * prompts)))
        for start in range(0, STEPS, size):
            shares = torch.tensor((points[start : start + size] + 1) / 2, dtype=text.dtype, device=text.device)
            inputs = (baseline + shares[:, None, None] * change).requires_grad_()  # (points, sequence, d_model)
            outputs = _logits(model, inputs)[:, label].sum()
            (gradients,) = torch.autograd.grad(outputs, inputs)
            share = torch.tensor(weights[start : start + size] / 2, dtype=torch.float32, device=text.device)
            gradient += torch.einsum("p,psd->sd", share, gradients.float())
        with torch.no_grad():
            baseline_logit = float(_logits(model, baseline[None])[0, label])
        return (change.float() * gradient).sum(-1).tolist(), baseline_logit


def _logits(model: EncT5ForSequenceClassification, embedded: torch.Tensor) -> torch.Tensor:
    mask = torch.ones(embedded.shape[:2], dtype=torch.long, device=embedded.device)
    return model(inputs_embeds=embedded, attention_mask=mask).logits
