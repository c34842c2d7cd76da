"""Labels that are likely wrong, by confident learning (Northcutt et al., arXiv 1911.00068) as cleanlab has it."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from enct5.checking import quick_fit
from enct5.data.notes import number_of
from enct5.errors import is_installed
from enct5.tasks.base import Task
from enct5.tasks.labelled import LabelledTexts

Array = npt.NDArray[Any]
# From here on agreement counts as moderate (Landis and Koch, 1977); a fit that agrees less with labels judges none.
FEWEST_KAPPA = 0.4
# So that the fit stays quick: of more rows, of their tokens, or of rows times labels, a sample is looked at.
_MOST_ROWS, _MOST_TOKENS, _MOST_TARGETS, _MOST_LABELS = 10_000, 200_000, 800_000, 200
# Of cleanlab's filters that with the fewest right labels among the wrong ones, where wrong ones were planted.
_FILTER = "low_self_confidence"


@dataclass(frozen=True)
class Suspicions:
    """Rows whose label is likely wrong, the likeliest first.

    Attributes:
        said: How they were looked for, or why they were not.
        places: Their places.
        facts: What there is to show of each.
    """

    said: str
    places: list[int]
    facts: list[dict[str, Any]]


def find(labelled: LabelledTexts, tokens: Array, places: Sequence[int], task: Task) -> Suspicions:
    """Look for wrong labels with models that were not fitted to the rows they judge.

    Numbers and entities are left out.

    Args:
        labelled: Texts with their labels.
        tokens: How many tokens each has.
        places: Which of them to look at: those with a text.
        task: The task that they pose.
    """
    judge = _JUDGES.get(task.alias)
    if judge is None:
        return _not_judged("not looked for in numbers and entities, of which a quick fit knows too little")
    if not is_installed("cleanlab"):
        return _not_judged("not looked for without cleanlab: pip install 'enct5[check]'")
    names = task.class_counts(labelled.values)
    if len(names) > _MOST_LABELS:
        return _not_judged(f"not looked for among more than {_MOST_LABELS} labels, where no fit is quick")
    sample = _sample(tokens, places, len(names))
    found = judge(labelled.select(sample))
    looked = f"; a sample of {len(sample):,} of {len(places):,} rows" if len(sample) < len(places) else ""
    return Suspicions(f"{found.said}{looked}", [sample[place] for place in found.places], found.facts)


def _not_judged(why: str) -> Suspicions:
    return Suspicions(why, [], [])


def _sample(tokens: Array, places: Sequence[int], labels: int) -> list[int]:
    tokens_a_row = float(np.minimum(tokens, quick_fit.MOST_TOKENS).mean())
    most = min(_MOST_ROWS, int(_MOST_TOKENS / tokens_a_row), _MOST_TARGETS // max(1, labels))
    if len(places) <= most:
        return list(places)
    return sorted(int(place) for place in np.random.default_rng(0).choice(places, most, replace=False))


def _of_classes(rows: LabelledTexts) -> Suspicions:
    counts = _different_texts((name, key) for name, key in zip(rows.values, rows.keys, strict=True))
    names = [name for name, count in counts.items() if count >= quick_fit.FOLDS]
    if len(names) < 2:
        return _not_judged(_too_few("classes"))
    kept = [place for place, name in enumerate(rows.values) if name in names]
    part = rows.select(kept)
    targets = np.array([names.index(name) for name in part.values])
    scores = quick_fit.probabilities(part.texts, targets, part.keys)
    kappa = _kappa(targets, scores.argmax(axis=1))
    if kappa < FEWEST_KAPPA:
        return _not_judged(_too_weak(f"Cohen's kappa {kappa:.2f} of at least {FEWEST_KAPPA}"))
    from cleanlab.filter import find_label_issues

    order = find_label_issues(
        targets, scores, filter_by=_FILTER, return_indices_ranked_by="self_confidence", n_jobs=1
    ).tolist()
    facts = [
        {
            "Label": part.values[place],
            "Likelier": names[scores[place].argmax()],
            "Probability of the label": round(float(scores[place, targets[place]]), 3),
        }
        for place in order
    ]
    return Suspicions(_said(kappa, len(names), len(counts), "classes"), [kept[place] for place in order], facts)


def _of_labels(rows: LabelledTexts) -> Suspicions:
    counts = _different_texts((name, key) for given, key in zip(rows.values, rows.keys, strict=True) for name in given)
    texts = len(set(rows.keys))
    names = [name for name, count in counts.items() if quick_fit.FOLDS <= count <= texts - quick_fit.FOLDS]
    if not names:
        return _not_judged(_too_few("labels"))
    targets = np.array([[name in given for name in names] for given in rows.values], dtype=np.int64)
    scores = quick_fit.probabilities(rows.texts, targets, rows.keys)
    kappas = [_kappa(targets[:, label], scores[:, label] >= 0.5) for label in range(len(names))]
    known = [label for label, kappa in enumerate(kappas) if kappa >= FEWEST_KAPPA]
    if not known:
        return _not_judged(_too_weak(f"no label reaches Cohen's kappa {FEWEST_KAPPA}"))
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class

    targets, scores, names = targets[:, known], scores[:, known], [names[label] for label in known]
    given = [np.flatnonzero(row).tolist() for row in targets]
    doubted = np.asarray(find_multilabel_issues_per_class(given, scores, filter_by=_FILTER, n_jobs=1))
    confidence = np.where(targets == 1, scores, 1 - scores)
    worst = np.where(doubted, confidence, 1).min(axis=1)
    order = [int(place) for place in np.argsort(worst, kind="stable") if doubted[place].any()]
    facts = [
        {
            "Label": ", ".join(rows.values[place]),
            "Likelier": ", ".join(
                f"{'without' if targets[place, label] else 'with'} {names[label]}"
                for label in np.flatnonzero(doubted[place])
            ),
            "Probability of the label": round(float(worst[place]), 3),
        }
        for place in order
    ]
    kappa = float(np.mean([kappas[label] for label in known]))
    return Suspicions(_said(kappa, len(names), len(counts), "labels"), order, facts)


_JUDGES: dict[str, Callable[[LabelledTexts], Suspicions]] = {"single": _of_classes, "multi": _of_labels}


def _different_texts(pairs: Any) -> dict[str, int]:
    """How many different texts each name has, by name."""
    texts: dict[str, set[Hashable]] = defaultdict(set)
    for name, key in pairs:
        texts[name].add(key)
    return {name: len(texts[name]) for name in sorted(texts)}


def _kappa(targets: Array, predicted: Array) -> float:
    from sklearn.metrics import cohen_kappa_score

    return float(np.nan_to_num(cohen_kappa_score(targets, predicted)))


def _said(kappa: float, judged: int, all: int, things: str) -> str:
    of = f" for {judged} of {number_of(all, things[:-1])}" if judged < all else ""
    return f"looked for by cleanlab with {quick_fit.NAME}, whose kappa with the labels is {kappa:.2f}{of}"


def _too_few(things: str) -> str:
    return f"not looked for: fewer than two {things} have {quick_fit.FOLDS} different texts"


def _too_weak(reached: str) -> str:
    return (
        f"not looked for: {quick_fit.NAME}, learns too little of the labels to doubt any ({reached}), which says "
        "nothing about a trained model"
    )
