"""The held-out part of a table: copies of a text on one side, every group on both."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.errors import EncT5Error
from enct5.text.normal_form import normal_form

_PLACE = np.int32  # of a row, a text or a group: half of what millions of them would take
_MOST_LISTED = 1_000_000  # places that scikit-learn may give back: it lists them as Python's objects


def text_keys(texts: Sequence[Any]) -> npt.NDArray[np.int64]:
    """A number for each text, the same for texts that differ in case, blanks or Unicode form only.

    Args:
        texts: Texts, pairs of texts or lists of words, as from `read_texts`.

    Returns:
        Of shape (texts,): 8 bytes a text, however long it is.
    """
    return np.fromiter((hash(_plain(text)) for text in texts), dtype=np.int64, count=len(texts))


def _plain(text: Any) -> object:
    if isinstance(text, tuple):
        return tuple(map(normal_form, text))
    return normal_form(text if isinstance(text, str) else " ".join(text))


def split_rows(
    keys: Sequence[Hashable] | npt.NDArray[Any], strata: Sequence[str], fraction: float, seed: int
) -> tuple[Any, Any]:
    """Choose rows to hold out for evaluation.

    Rows of one text (of one key) go to the same part, and the share is that of the texts; a text of more
    rows than are to be held out is for training. Every group keeps its share in both parts where the held-out part is
    large enough for that. In any case each group has a row in the training part, so a group of one row is there. The
    same seed gives the same choice.

    Args:
        keys: What rows of the same text have in common, as from `text_keys`.
        strata: One group name per row, as from `Task.strata`.
        fraction: Share to hold out, above 0 and at most 0.5.
        seed: Seed of the choice.

    Returns:
        The places of the rows for training and of those held out, int64 and ascending.

    Raises:
        EncT5Error: If the fraction is out of range or the table too small.
    """
    if not 0 < fraction <= 0.5:
        raise EncT5Error(f"cannot hold out a fraction of {fraction}; give one above 0 and at most 0.5")
    number_of = {name: number for number, name in enumerate(sorted(set(strata)))}
    groups = np.fromiter(map(number_of.__getitem__, strata), dtype=_PLACE, count=len(strata))
    text_of, firsts, copies = _texts(np.asarray(keys))
    pool = np.flatnonzero(copies <= max(1, fraction * len(keys)))
    chosen = _held_out_texts(groups[firsts[pool]], fraction, seed)
    if not len(chosen):
        few = f"{len(keys)} row{'' if len(keys) == 1 else 's'}"
        if len(copies) < len(keys):
            few += f" of {len(copies)} different text{'' if len(copies) == 1 else 's'}"
        elif len(keys) > 1 and (alone := np.sum(np.bincount(groups)[groups] == 1)):
            few += f", of which only {len(keys) - alone} share their class with another"
        raise EncT5Error(
            f"cannot hold out {fraction:.0%} of {few}: that is less than one; give more rows, a larger "
            "--eval-fraction, or a file to evaluate on"
        )
    is_held_out = np.isin(text_of, pool[chosen])
    for group in np.setdiff1d(groups, groups[~is_held_out]):  # a text whose rows differ stands for one group of several
        is_held_out[text_of == text_of[np.argmax(groups == group)]] = False
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _texts(keys: npt.NDArray[Any]) -> tuple[Any, Any, Any]:
    """The number of each row's text, in the order in which texts come first; each text's first row and its count."""
    _, firsts, text_of, copies = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(firsts)
    number = np.empty(len(order), dtype=_PLACE)
    number[order] = np.arange(len(order), dtype=_PLACE)
    return number[text_of], firsts[order].astype(_PLACE), copies[order].astype(_PLACE)


def _held_out_texts(groups: Any, fraction: float, seed: int) -> Any:
    """The places of those held out of texts with such groups."""
    from sklearn.model_selection import train_test_split

    _, firsts, groups, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    pool = np.flatnonzero(sizes[groups] > 1)
    count = int(fraction * len(pool))
    if count and count >= np.sum(sizes > 1):
        others = None if len(pool) <= _MOST_LISTED else count  # of which it gives back so many, to no use
        return train_test_split(pool, test_size=count, train_size=others, random_state=seed, stratify=groups[pool])[1]
    # too few texts to hold out one of each group: choose freely, but leave one of each for training
    return np.random.default_rng(seed).permutation(np.setdiff1d(pool, firsts))[:count]
