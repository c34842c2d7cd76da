"""Tagging tokens from file to file: training, evaluation, prediction, report and card."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from enct5 import Predictor, training
from enct5.cli import command
from enct5.data.reading import read_table
from enct5.errors import EncT5Error
from enct5.inference.evaluation import evaluate
from enct5.inference.inspection import inspect
from enct5.tasks.registry import TASKS
from enct5.training.config import TrainConfig
from enct5.training.model_init import build_model
from helpers.tables import write_rows
from helpers.tagging_runs import TaggingRun, rows

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]


@pytest.fixture(scope="module", params=["spans", "tags"])
def run(request: pytest.FixtureRequest, tagging_run: Callable[..., TaggingRun]) -> TaggingRun:
    if request.param == "spans":
        return tagging_run("text", "entities")
    return tagging_run("tokens", "tags", token_decoder=True)


def test_a_run_learns_and_says_what_it_does(run: TaggingRun) -> None:
    assert run.record["task"] == "token_classification"
    assert run.said[0] == "task: token tagging: entities within a text, 2 labels, 60 texts"
    counts = run.record["data"]["class_counts"]
    assert run.said[1] == f"entities a label: place {counts['place']}, thing {counts['thing']}"
    assert counts["place"] == sum(one["label"] == "place" for row in rows(60) for one in row["entities"])
    assert "2 texts are longer than 32 tokens and are read in overlapping windows (--max-length)" in run.said
    assert run.record["data"]["eval_rows"] == 22
    assert run.record["data"]["texts_cut"] == 0
    assert run.record["metrics"]["entity_f1"] > 0.8
    assert [entry["label"] for entry in run.record["per_label"]] == ["place", "thing"]
    evaluations = [entry["eval_entity_f1"] for entry in run.record["history"] if "eval_entity_f1" in entry]
    assert max(evaluations) == pytest.approx(run.record["metrics"]["entity_f1"], abs=1e-9)


def test_evaluating_the_folder_gives_the_figures_of_the_run(run: TaggingRun) -> None:
    again = evaluate(Predictor.from_pretrained(run.out), str(run.config.eval))
    assert again["metrics"] == run.record["metrics"]
    assert again["per_label"] == run.record["per_label"]
    assert sum(entry["support"] for entry in again["per_label"]) == sum(
        len(row["entities"]) for row in [*rows(20, 1), *rows(2, 2, words=60)]
    )


def test_command_and_predictor_agree(run: TaggingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = read_table(str(run.config.eval))[run.text][:]
    expected = Predictor.from_pretrained(run.out).predict(texts)
    for name in ("out.jsonl", "out.csv"):
        monkeypatch.setattr(
            "sys.argv", ["enct5", "predict", str(run.out), str(run.config.eval), "-o", str(tmp_path / name)]
        )
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == 0
        table = read_table(str(tmp_path / name))
        column = "predicted_entities"
        found = [json.loads(value) if isinstance(value, str) else value for value in table[column][:]]
        assert found == [result["entities"] for result in expected]
    for text, result in zip(texts, expected, strict=True):
        for one in result["entities"]:
            covered = text[one["start"] : one["end"]]
            assert one["text"] == (covered if isinstance(text, str) else " ".join(covered))
            assert 0 < one["score"] <= 1


def test_neighbours_and_order_change_nothing(run: TaggingRun) -> None:
    predictor = Predictor.from_pretrained(run.out)
    texts = read_table(str(run.config.eval))[run.text][:]
    together = predictor.predict(texts)
    for number in (0, 20):
        (alone,) = predictor.predict([texts[number]])
        assert [{**one, "score": 0} for one in alone["entities"]] == [
            {**one, "score": 0} for one in together[number]["entities"]
        ]
        assert [one["score"] for one in alone["entities"]] == pytest.approx(
            [one["score"] for one in together[number]["entities"]], abs=1e-4
        )
    assert predictor.predict(["", "   "] if run.text == "text" else [[], [""]]) == [{"entities": []}] * 2


def test_strings_and_words_are_both_read(run: TaggingRun) -> None:
    predictor = Predictor.from_pretrained(run.out)
    (string,), (words,) = (
        predictor.predict(["where is bank street"]),
        predictor.predict([["where", "is", "bank", "street"]]),
    )
    assert [(one["start"], one["end"], one["label"]) for one in words["entities"]] == [(2, 4, "place")]
    assert [(one["start"], one["end"], one["text"]) for one in string["entities"]] == [(9, 20, "bank street")]
    for wrong, message in (([("a", "b")], "text 1 is .* give a string, or a list of words"), (["a", ["b"]], "mixed")):
        with pytest.raises(EncT5Error, match=message):
            predictor.predict(wrong)


def test_report_card_and_info_are_about_entities(run: TaggingRun) -> None:
    report = (run.out / "report.html").read_text(encoding="utf-8")
    assert "Entities in the file" in report
    assert "texts have an entity too many or too few" in report
    card = (run.out / "README.md").read_text(encoding="utf-8")
    assert 'pipeline("token-classification"' in card
    assert "AutoModelForTokenClassification.from_pretrained(path, trust_remote_code=True)" in card
    facts = inspect(str(run.out))
    assert facts["decoder"].startswith("none" if run.text == "text" else "1 layer(s), the text's own tokens")


def test_a_tagger_is_a_base_for_other_labels(run: TaggingRun, tmp_path: Path) -> None:
    values = [
        {"text": row["text"], "entities": [one | {"label": "any"} for one in row["entities"]]} for row in rows(12)
    ]
    settings = {"text": ("text",), "label": "entities", "epochs": 1, "base": str(run.out), "out": str(tmp_path / "run")}
    record = training.train(TrainConfig.checked(data=write_rows(tmp_path / "a.jsonl", values), **settings))
    assert [entry["label"] for entry in record["per_label"]] == ["any"]


def test_options_and_columns_that_do_not_fit_are_refused(t5_folder: Base, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", [row | {"label": "ab"[number % 2]} for number, row in enumerate(rows(8))])

    def start(**options: Any) -> None:
        settings = {"data": source, "base": str(t5_folder()), "out": str(tmp_path / "run")} | options
        training.train(TrainConfig.checked(**settings))

    with pytest.raises(EncT5Error, match="--token-decoder goes with --task tokens, not single"):
        start(text=("text",), label="label", token_decoder=True)
    with pytest.raises(EncT5Error, match=r"row 1: .* is a list, not a text; lists of words are for tagging tokens"):
        start(text=("tokens",), label="label")
    with pytest.raises(EncT5Error, match=r"column `tags`, row 1: .* tags for a text in one piece"):
        start(text=("text",), label="tags")
    with pytest.raises(EncT5Error, match="tagging tokens reads one text column, not two"):
        start(text=("text", "label"), label="entities")
    wrong = [row | {"tags": row["tags"][1:]} if number == 3 else row for number, row in enumerate(rows(8))]
    with pytest.raises(EncT5Error, match=r"column `tags`, row 4: \d+ tags for \d+ words"):
        start(data=write_rows(tmp_path / "b.jsonl", wrong), text=("tokens",), label="tags")
    tags = {"text": ("tokens",), "label": "tags", "eval": source}
    with pytest.raises(EncT5Error, match="--class-weights is for classes of texts, this is token tagging"):
        start(**tags, class_weights="balanced")
    with pytest.raises(EncT5Error, match="`loss` is 'focal'; for token_classification leave it out"):
        start(**tags, loss="focal")
    with pytest.raises(EncT5Error, match=r"--label-prompts names needs a prompt per label, .* this is token tagging"):
        start(**tags, label_prompts="names")
    assert not (tmp_path / "run").exists()


def test_a_classifier_as_base_keeps_the_position_bias_of_its_decoder(t5_folder: Base, tmp_path: Path) -> None:
    classifier = build_model(str(t5_folder()), TASKS["single"], ["a", "b"])
    classifier.save_pretrained(tmp_path)
    model = build_model(str(tmp_path), TASKS["tokens"], ["O", "B-a", "I-a"], token_decoder=True)
    assert model.config.prompt_position_bias
    bias = "transformer.decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    assert torch.equal(model.get_parameter(bias), classifier.get_parameter(bias))
