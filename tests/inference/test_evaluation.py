"""Evaluation: the figures of the predictions, on the columns asked for, in a file that is whole or absent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enct5.errors import EncT5Error
from enct5.inference.evaluation import evaluate, write_json
from enct5.inference.predictor import Predictor
from helpers.models import saved_model
from helpers.texts import LABELS, sentences

Base = Callable[..., Path]


@pytest.fixture(scope="module")
def predictor(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.from_pretrained(saved_model(t5_folder(), tmp_path_factory.mktemp("model")))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def labelled(text: str = "text", label: str = "label", count: int = 30) -> list[dict[str, Any]]:
    return [{text: words, label: LABELS[row % 3]} for row, words in enumerate(sentences(count))]


def test_figures_are_those_of_the_predictions(predictor: Predictor, tmp_path: Path) -> None:
    rows = labelled()
    record = evaluate(predictor, write_rows(tmp_path / "test.jsonl", rows))
    predicted = [result["label"] for result in predictor.predict([row["text"] for row in rows])]
    right = [guess == row["label"] for guess, row in zip(predicted, rows, strict=True)]
    assert 0 < sum(right) < 30
    assert record["metrics"]["accuracy"] == pytest.approx(sum(right) / 30)
    assert (record["data"], record["rows"], record["task"]) == ("test.jsonl", 30, "single_label_classification")
    assert [(row["label"], row["support"]) for row in record["per_label"]] == [(name, 10) for name in LABELS]
    recalls = [sum(right[start::3]) / 10 for start in range(3)]
    labels = [rows[start]["label"] for start in range(3)]
    assert {row["label"]: row["recall"] for row in record["per_label"]} == pytest.approx(
        dict(zip(labels, recalls, strict=True))
    )


def test_what_the_model_was_not_given_is_in_the_record(predictor: Predictor, tmp_path: Path) -> None:
    predictor.predict(["日本"])  # is not of the evaluation
    rows = labelled()
    assert evaluate(predictor, write_rows(tmp_path / "known.jsonl", rows))["notes"] == []
    texts = ["für den Müll", "日本", *["money"] * 27, "card " * 80]
    rows = [{**row, "text": text} for row, text in zip(rows, texts, strict=True)]
    record = evaluate(predictor, write_rows(tmp_path / "odd.jsonl", rows))
    characters, tokens = 10 + 2 + 27 * 5 + 80 * 4, record["unread"]["tokens"]
    assert record["unread"] == {
        "texts": 30,
        "characters": characters,
        "unknown_characters": 4,
        "commonest_unknown": {"ü": 2, "日": 1, "本": 1},
        "texts_wholly_unknown": 1,
        "characters_in_bytes": 0,
        "commonest_in_bytes": {},
        "texts_wholly_in_bytes": 0,
        "texts_of_no_token": 0,
        "texts_cut": 1,
        "tokens": tokens,
        "tokens_cut": 81 - 64,
    }
    assert record["notes"][-2:] == [
        f"{4 / characters:.1%} of the characters of the texts are unknown to the model's tokenizer, "
        "most often ü 日 本; 1 of 30 texts hold no known letter or digit",
        f"1 text is longer than 64 tokens and was cut, which loses {17 / tokens:.1%} of all tokens",
    ]


def test_perfect_labels_score_one(predictor: Predictor, tmp_path: Path) -> None:
    texts = sentences(30)
    rows = [{"text": text, **predictor.predict([text])[0]} for text in texts]
    record = evaluate(predictor, write_rows(tmp_path / "test.jsonl", rows))
    error = record["metrics"].pop("expected_calibration_error")
    assert error == pytest.approx(1 - sum(row["score"] for row in rows) / 30)
    assert record["metrics"] == {"accuracy": 1.0, "macro_f1": 1.0, "matthews_correlation": 1.0}


def test_abstaining_is_measured_as_predictions_abstain(predictor: Predictor, tmp_path: Path) -> None:
    rows = labelled()
    source = write_rows(tmp_path / "test.jsonl", rows)
    texts = [row["text"] for row in rows]
    limit = sorted(result["score"] for result in predictor.predict(texts))[12]  # itself an answer
    results = predictor.predict(texts, abstain_below=limit)
    right = [r["label"] == row["label"] for r, row in zip(results, rows, strict=True) if r["label"] is not None]
    assert len(right) == 18
    record = evaluate(predictor, source, abstain_below=limit)
    assert record["metrics"]["coverage"] == pytest.approx(18 / 30)
    assert record["metrics"]["answered_accuracy"] == pytest.approx(sum(right) / 18)
    whole = evaluate(predictor, source)["metrics"]
    assert {name: record["metrics"][name] for name in whole} == whole
    assert not {"coverage", "answered_accuracy"} & set(whole)
    with pytest.raises(EncT5Error, match=r"`abstain_below` \(--abstain-below\) is 1.5; give a score from 0 to 1"):
        evaluate(predictor, source, abstain_below=1.5)


def test_other_columns_can_be_named(predictor: Predictor, tmp_path: Path) -> None:
    standard = evaluate(predictor, write_rows(tmp_path / "a.jsonl", labelled()))
    source = write_rows(tmp_path / "b.jsonl", labelled("Message", "Class"))
    assert evaluate(predictor, source, ("Message",), "Class")["metrics"] == standard["metrics"]
    with pytest.raises(EncT5Error, match="no column `text`"):
        evaluate(predictor, source)
    with pytest.raises(EncT5Error, match=r"no column `Clas`.*did you mean `Class`"):
        evaluate(predictor, source, ("Message",), "Clas")


def test_labels_the_model_does_not_know_are_refused(predictor: Predictor, tmp_path: Path) -> None:
    rows = [*labelled(), {"text": "x", "label": "Delivery"}, {"text": "y", "label": "zzz"}]
    with pytest.raises(
        EncT5Error,
        match=r"test.jsonl has labels that .*: `Delivery` \(1\), `zzz` \(1\); did you mean `delivery`",
    ):
        evaluate(predictor, write_rows(tmp_path / "test.jsonl", rows))


def test_a_model_that_does_not_name_its_columns_asks_for_them(predictor: Predictor, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "test.jsonl", labelled())
    bare = Predictor(predictor.model, predictor.tokenizer)
    with pytest.raises(EncT5Error, match="name the text column with --text"):
        evaluate(bare, source, label="label")
    with pytest.raises(EncT5Error, match="name it with --label"):
        evaluate(bare, source, text=("text",))
    assert evaluate(bare, source, ("text",), "label") == evaluate(predictor, source)


def test_regression_is_measured_on_numbers_only(t5_folder: Base, tmp_path: Path) -> None:
    predictor = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path, ("value",), "regression"))
    texts = sentences(12)
    exact = [{"text": text, "label": predictor.predict([text])[0]["value"]} for text in texts]
    record = evaluate(predictor, write_rows(tmp_path / "exact.jsonl", exact))
    assert record["metrics"]["rmse"] == pytest.approx(0, abs=1e-5)
    assert record["metrics"]["pearson"] == pytest.approx(1)
    shifted = [row | {"label": row["label"] + 2} for row in exact]
    assert evaluate(predictor, write_rows(tmp_path / "b.jsonl", shifted))["metrics"]["mae"] == pytest.approx(2)
    with pytest.raises(EncT5Error, match="row 2: `good` is not a number"):
        evaluate(predictor, write_rows(tmp_path / "c.jsonl", [exact[0], {"text": "x", "label": "good"}]))
    with pytest.raises(EncT5Error, match=r"rows have 2 number\(s\) to predict, the model gives 1"):
        evaluate(predictor, write_rows(tmp_path / "d.jsonl", [{"text": "x", "label": [1.0, 2.0]}]))


@pytest.mark.parametrize(
    ("numbers", "note"),
    [
        (["1.234,5", "2", "3"], "column `label` is read as numbers: `1.234,5` is 1234.5"),
        (
            ["1.234", "12.400", "7"],
            "column `label` is read as numbers with a decimal point: `1.234` is 1.234; if the point",
        ),
    ],
)
def test_how_numbers_are_read_is_told(t5_folder: Base, tmp_path: Path, numbers: list[str], note: str) -> None:
    model = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path / "model", ("value",), "regression"))
    rows = [{"text": text, "label": number} for text, number in zip(sentences(3), numbers, strict=True)]
    record = evaluate(model, write_rows(tmp_path / "rows.jsonl", rows))
    assert [found for found in record["notes"] if "numbers" in found] == [record["notes"][0]]
    assert record["notes"][0].startswith(note)


def test_a_record_is_written_as_json_with_its_letters(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json({"label": "ärger", "f1": 0.1 + 0.2}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"label": "ärger", "f1": 0.1 + 0.2}
    assert "ärger" in path.read_text(encoding="utf-8")
    write_json({"new": 1}, path)
    assert json.loads(path.read_text()) == {"new": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("place", ["missing/metrics.json", "file/metrics.json", "folder"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(EncT5Error, match=f"cannot write .*{place}: "):
        write_json({"a": 1}, tmp_path / place)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]


def test_labels_are_split_at_the_separator_that_is_given(t5_folder: Base, tmp_path: Path) -> None:
    """That of the training is the default only."""
    saved = saved_model(t5_folder(), tmp_path, LABELS, "multi_label_classification")
    predictor = Predictor.from_pretrained(saved)
    lists = [{"text": text, "label": [LABELS[row % 3], LABELS[0]]} for row, text in enumerate(sentences(9))]
    joined = [row | {"label": " / ".join(row["label"])} for row in lists]
    source = write_rows(tmp_path / "joined.jsonl", joined)
    with pytest.raises(EncT5Error, match="give the text between labels with --label-separator"):
        evaluate(predictor, source, ("text",), "label")
    record = evaluate(predictor, source, ("text",), "label", label_separator="/")
    assert record["metrics"] == evaluate(predictor, write_rows(tmp_path / "a.jsonl", lists))["metrics"]


def test_evaluation_data_has_its_notes(predictor: Predictor, tmp_path: Path) -> None:
    """And label hygiene is that of training."""
    rows = labelled()
    assert evaluate(predictor, write_rows(tmp_path / "a.jsonl", rows))["notes"] == []
    blank = [row | {"label": f" {row['label']} "} for row in rows] + [{"text": " ", "label": LABELS[0]}]
    record = evaluate(predictor, write_rows(tmp_path / "b.jsonl", blank))
    assert record["notes"] == ["the text is blank in row 31; fill it in or remove what has no text"]
    assert record["rows"] == 31
