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
from enct5.explanations.attribution import cross_attention, integrated_gradients
from enct5.explanations.words import Span, align
from enct5.model.modeling_enct5 import EncT5ForSequenceClassification
from enct5.model.replica import evaluating
from enct5.tasks.base import Task

MOST_LABELS = 5  # explained when none is named


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
