"""Ranking: documents sorted by the scores of pairs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from helpers.models import pair_scorer, plain_logits
from helpers.texts import LABELS, sentences

Base = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("task", "names", "label", "worth"),
    [
        ("regression", ("value",), None, [1]),
        ("single_label_classification", ("no", "yes"), None, [0, 1]),
        ("single_label_classification", LABELS, "refund", [0, 1, 0]),
        ("single_label_classification", ("0", "1", "3"), None, [0, 1, 3]),
    ],
)
def test_ranking_sorts_the_scores_of_pairs(
    t5_folder: Base, tmp_path: Path, task: str, names: tuple[str, ...], label: str | None, worth: list[float]
) -> None:
    scorer = pair_scorer(t5_folder(), tmp_path, names, task)
    documents = sentences(12)
    logits = np.stack([plain_logits(scorer, "my card", document) for document in documents])
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = (logits if task == "regression" else scores) @ np.array(worth)
    ranked = scorer.rank("my card", documents, label)
    assert [record["index"] for record in ranked] == np.argsort(-wanted).tolist()
    assert [record["document"] for record in ranked] == [documents[record["index"]] for record in ranked]
    assert [record["score"] for record in ranked] == pytest.approx(sorted(wanted, reverse=True), abs=1e-4)
    assert all(list(record) == ["index", "document", "score"] for record in ranked)
    assert scorer.rank("my card", documents, label, top_k=3) == ranked[:3]
    assert scorer.rank("my card", documents, label, top_k=99) == ranked
    if task == "regression":
        values = [result["value"] for result in scorer.predict([("my card", document) for document in documents])]
        assert [record["score"] for record in ranked] == sorted(values, reverse=True)


def test_ranking_takes_documents_by_their_place(t5_folder: Base, tmp_path: Path) -> None:
    scorer = pair_scorer(t5_folder(), tmp_path, ("value",), "regression")
    documents = sentences(6)
    wanted = scorer.rank("my card", documents)
    column = pd.Series(documents, index=[5, 3, 4, 0, 1, 2])
    for given in (column, np.array(documents), (document for document in documents)):
        assert scorer.rank("my card", given) == wanted
    later = column[column.index > 1]  # 5, 3, 4 and 2, at places 0 to 3
    assert scorer.rank("my card", later) == scorer.rank("my card", later.tolist())
    for wrong in (column.to_frame(), {"a": "b"}, b"a"):
        with pytest.raises(EncT5Error, match=r"name its column of texts|give a list of texts"):
            scorer.rank("my card", wrong)


def test_ranking_keeps_the_order_of_equals(t5_folder: Base, tmp_path: Path) -> None:
    scorer = pair_scorer(t5_folder(), tmp_path, ("value",), "regression")
    with torch.no_grad():
        scorer.model.classifier.weight.zero_()
    assert [record["index"] for record in scorer.rank("a", ["x", "y", "x", "z"])] == [0, 1, 2, 3]
    assert scorer.rank("a", []) == []


def test_ranking_refuses_what_it_cannot_rank(predictor: Predictor, t5_folder: Base, tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match=r"trained on single texts \(column `text`\); to rank, train one on pairs"):
        predictor.rank("query", ["a", "b"])
    scorer = pair_scorer(t5_folder(), tmp_path, LABELS, "single_label_classification")
    with pytest.raises(EncT5Error, match="say by which label to rank, as in `label='delivery'`"):
        scorer.rank("query", ["a", "b"])
    with pytest.raises(EncT5Error, match="no label `refnd`; did you mean `refund`"):
        scorer.rank("query", [], label="refnd")
    with pytest.raises(EncT5Error, match="give one string, and a list of strings"):
        scorer.rank("query", "a document", label="refund")
    with pytest.raises(EncT5Error, match="`top_k` is 0; give a number from 1 on"):
        scorer.rank("query", ["a"], label="refund", top_k=0)
    with pytest.raises(EncT5Error, match="text 2 is"):
        scorer.rank("query", ["a", None], label="refund")  # type: ignore[list-item]
    # A model that does not say what it was trained on is taken at the user's word.
    bare = Predictor(predictor.model, predictor.tokenizer)
    assert len(bare.rank("query", ["a", "b"], label="refund")) == 2
