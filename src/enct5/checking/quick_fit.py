"""What a quick model says of each text that it was not fitted to: logistic regression on states of the bundled T5."""

import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.assets import bundled_t5
from enct5.tokenization.batches import MAX_BATCH_TOKENS, length_ordered_batches, pad

Array = npt.NDArray[Any]
FOLDS = 5
NAME = f"logistic regression on mean states of the bundled T5, {FOLDS}-fold cross-validation"
MOST_TOKENS = 128  # of a text that are read
_STRENGTH = 0.01  # scikit-learn's C: states have many dimensions, and some labels are wrong
_MOST_STEPS = 300


def states(texts: Sequence[Any]) -> Array:
    """The means of the encoder's states, float32 (n, d_model); of pairs those of both, their distance and product.

    Args:
        texts: Strings, or pairs of strings.
    """
    import torch
    from transformers import T5EncoderModel

    from enct5.model.loading import load_tokenizer
    from enct5.tokenization.whole_texts import WholeTexts
    from enct5.training.logs import no_bars

    folder = str(bundled_t5())
    with no_bars():
        encoder, tokenizer = T5EncoderModel.from_pretrained(folder, dtype=torch.float32).eval(), load_tokenizer(folder)

    @torch.no_grad()
    def of(column: Sequence[str]) -> Array:
        rows = WholeTexts(column, tokenizer, MOST_TOKENS).rows
        means = np.empty((len(rows), encoder.config.d_model), dtype=np.float32)
        for batch in length_ordered_batches(list(map(len, rows)), MAX_BATCH_TOKENS):
            padded = pad([rows[row] for row in batch], tokenizer.pad_token_id)
            inputs = {name: torch.from_numpy(array) for name, array in padded.items()}
            mask = inputs["attention_mask"][..., None]
            means[batch] = ((encoder(**inputs).last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
        return means

    if isinstance(texts[0], str):
        return of(texts)
    one, two = (of(column) for column in zip(*texts, strict=True))
    return np.hstack([one, two, np.abs(one - two), one * two])


def probabilities(texts: Sequence[Any], targets: Array, keys: Sequence[Hashable] | Array) -> Array:
    """The probability of each class, or of each label by itself, as a fit to the other folds has it.

    Args:
        texts: Strings, or pairs of strings.
        targets: Classes (n,), each of several texts; or zeros and ones (n, labels), each column with several of both.
        keys: What rows of the same text have in common: they are in one fold.

    Returns:
        Float (n, classes) or (n, labels).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_val_predict
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if targets.ndim == 2 and targets.shape[1] == 1:  # which scikit-learn takes for classes
        return probabilities(texts, targets[:, 0], keys)[:, 1:]
    model: Any = LogisticRegression(C=_STRENGTH, max_iter=_MOST_STEPS)
    folds: Any = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    if targets.ndim == 2:
        model, folds = OneVsRestClassifier(model), GroupKFold(FOLDS, shuffle=True, random_state=0)
    numbers: dict[Hashable, int] = {}  # not the keys themselves, whose order every process has for itself
    groups = [numbers.setdefault(key, len(numbers)) for key in keys]
    fit, features = make_pipeline(StandardScaler(), model), states(texts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare labels that a part of the folds lacks, and of fits that are cut short
        found = cross_val_predict(fit, features, targets, groups=groups, cv=folds, method="predict_proba")
    return np.asarray(found)
