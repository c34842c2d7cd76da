"""Explain a prediction: what each label's prompt attended to, and what moved its logit.

Attention is the cross-attention of the last decoder layer, averaged over its heads: from which token the prompt read.
Attribution is integrated gradients (Sundararajan et al., arXiv 1703.01365) on the encoder's embedding of the text. The
baseline is the same text with `<pad>` in place of every token but the end tokens, so the attributions add up to what
the text changed in the logit. docs/explanations.md says what either of them does not show.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from enct5.errors import EncT5Error, unknown
from enct5.modeling_enct5 import EncT5ForSequenceClassification
from enct5.replica import evaluating
from enct5.tasks import Task
from enct5.words import Span, align

STEPS = 64  # points between baseline and text at which the gradient is taken
MOST_LABELS = 5  # explained when none is named
_BATCH_TOKENS = 2048
_BATCH_SCORES = 2**21  # prompts times tokens of a batch: thousands of labels need smaller ones


@dataclass(frozen=True)
class LabelExplanation:
    """What was read and what counted for one label.

    Attributes:
        label: Its name.
        score: Its probability, or the value of a regression.
        logit: The model's raw output for it.
        baseline_logit: The same for the baseline; `sum(attribution)` is the difference of the two.
        token_attention: Weight of each token, not negative, 1 in all.
        token_attribution: Each token's share in the logit, above 0 where it speaks for the label.
        attention: `token_attention` summed over each word's tokens.
        attribution: `token_attribution` summed over each word's tokens.
    """

    label: str
    score: float
    logit: float
    baseline_logit: float
    token_attention: list[float]
    token_attribution: list[float]
    attention: list[float]
    attribution: list[float]


@dataclass(frozen=True)
class Explanation:
    """A prediction and its reasons; `dataclasses.asdict` makes a plain dictionary of it.

    Attributes:
        texts: The text, or the two of a pair.
        prediction: What `Predictor.predict` gives for it.
        labels: The explained labels, the first one being the most likely.
        words: Words with their place in the text; every token is in exactly one.
        tokens: Tokens with their place in the text.
        tokens_cut: Tokens beyond the model's longest text, which had no part in the prediction.
    """

    texts: tuple[str, ...]
    prediction: dict[str, Any]
    labels: list[LabelExplanation]
    words: list[Span]
    tokens: list[Span]
    tokens_cut: int

    def segments(self, values: Sequence[float]) -> list[list[tuple[str, float | None]]]:
        """Cut each text into words and what stands between them, to show it whole.

        Args:
            values: A number for each of `words`.

        Returns:
            For each text its pieces with their number, `None` between words and beyond the model's longest text.
        """
        result: list[list[tuple[str, float | None]]] = []
        for part, text in enumerate(self.texts):
            pieces: list[tuple[str, float | None]] = []
            position = 0
            for word, value in zip(self.words, values, strict=True):
                if word.part == part:
                    pieces += [(text[position : word.start], None), (word.text, value)]
                    position = max(position, word.end)
            pieces.append((text[position:], None))
            result.append([piece for piece in pieces if piece[0]])
        return result


def explain(
    model: EncT5ForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    text: Any,
    label: str | None,
    predict: Callable[[], Any],
) -> Explanation:
    """Explain what a model makes of a text.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        task: What it predicts.
        text: A text, or a pair.
        label: The label to explain; None for those that were predicted (at most 5), or else the likeliest one.
        predict: Gives the logits that are explained, `(1, num_labels)`.

    Raises:
        EncT5Error: For a label that the model does not know, or a model of other tasks.
    """
    if task.inputs.windowed:
        raise EncT5Error(f"this model does {task.description}; only labels of whole texts can be explained")
    id2label: Any = model.config.id2label
    names = [id2label[index] for index in range(len(id2label))]
    if label is not None and label not in names:
        raise unknown("label", label, names)
    logits = predict()
    (prediction,) = task.decode(logits, id2label, model.config.thresholds)
    scores = task.scores(logits)[0]
    predicted = prediction.get("labels", [prediction.get("label")]) if label is None else [label]
    # by the logits: scores near 1 are rounded to the same number
    likeliest = np.argsort(-logits[0], kind="stable").tolist()
    chosen = [index for index in likeliest if names[index] in predicted][:MOST_LABELS] or likeliest[:1]

    texts = (text,) if isinstance(text, str) else tuple(text)
    aligned = align(tokenizer, texts)
    ids = torch.tensor(aligned.ids, device=model.device)
    is_text = torch.tensor([token.end > token.start for token in aligned.tokens], device=model.device)
    model = evaluating(model)  # no other thread puts this one into training mode
    attention = cross_attention(model, ids)

    def by_word(values: list[float]) -> list[float]:
        return np.bincount(aligned.word_of_token, weights=values, minlength=len(aligned.words)).tolist()

    labels = []
    for index in chosen:
        token_attribution, baseline_logit = integrated_gradients(model, ids, is_text, index)
        token_attention = attention[index if len(attention) > 1 else 0]
        labels.append(
            LabelExplanation(
                label=names[index],
                score=float(scores[index]),
                logit=float(logits[0, index]),
                baseline_logit=baseline_logit,
                token_attention=token_attention,
                token_attribution=token_attribution,
                attention=by_word(token_attention),
                attribution=by_word(token_attribution),
            )
        )
    return Explanation(texts, prediction, labels, aligned.words, aligned.tokens, aligned.tokens_cut)


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
    states = model.transformer.encoder(input_ids=ids[None], attention_mask=mask).last_hidden_state
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
