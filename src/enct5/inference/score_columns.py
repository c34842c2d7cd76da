"""The scores of several labels in a file of predictions: a column for each, or in JSON one value for all."""

from collections.abc import Sequence
from typing import Any


def names(labels: Sequence[str], top_k: int | None, nested: bool) -> list[str]:
    """The columns.

    Args:
        labels: those of the model.
        top_k: how many are told; `None` for all. The first is the prediction itself, which needs no further column.
        nested: whether the file's format has lists and objects.
    """
    if top_k == 1:
        return []
    if nested:
        return ["all_scores" if top_k is None else "top_labels"]
    if top_k is None:
        return [f"score_{label}" for label in labels]
    return [f"{kind}_{place}" for place in range(1, min(top_k, len(labels)) + 1) for kind in ("label", "score")]


def values(best: list[dict[str, Any]], labels: Sequence[str], top_k: int | None, nested: bool) -> list[Any]:
    """What a row has in these columns.

    Args:
        best: its likeliest labels, each with its score, best first.
        labels: as for `names`.
        top_k: likewise.
        nested: likewise.
    """
    scores = {one["label"]: one["score"] for one in best}
    if nested:
        return [scores if top_k is None else best]
    if top_k is None:
        return [scores[label] for label in labels]
    return [one[kind] for one in best for kind in ("label", "score")]
