"""Evaluation from Python: the figures that the command writes, whatever holds the data."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import enct5
from enct5.errors import EncT5Error
from enct5.inference import evaluation
from helpers.runs import Run, messages

ROWS = messages(20, seed=3)
TEXTS, LABELS = ([row[name] for row in ROWS] for name in ("text", "label"))


@pytest.fixture(scope="module")
def wanted(run: Run) -> dict[str, Any]:
    """What is measured of a file of the rows."""
    path = run.out.parent / "evaluation.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return evaluation.evaluate(enct5.Predictor.from_pretrained(run.out), str(path))


def test_figures_are_those_of_the_file(run: Run, wanted: dict[str, Any]) -> None:
    frame = pd.DataFrame(ROWS)
    for data in ((run.out.parent / "evaluation.jsonl",), (frame,), (ROWS,), (TEXTS, LABELS), (frame["text"], LABELS)):
        found = enct5.evaluate(run.out, *data)
        assert {**found, "data": ""} == {**wanted, "data": ""}
    assert wanted["data"] == "evaluation.jsonl"
    assert enct5.evaluate(run.out, frame)["data"] == "DataFrame"
    assert 0 < wanted["metrics"]["accuracy"] < 1 or wanted["metrics"]["accuracy"] == 1.0


def test_columns_may_be_named(run: Run, wanted: dict[str, Any]) -> None:
    other = pd.DataFrame({"message": TEXTS, "kind": LABELS})
    for text in ("message", ["message"]):
        assert enct5.evaluate(run.out, other, text=text, label="kind")["metrics"] == wanted["metrics"]


def test_a_predictor_and_a_run_are_models_too(run: Run, wanted: dict[str, Any]) -> None:
    predictor = enct5.Predictor.from_pretrained(run.out)
    for model in (predictor, enct5.Run(run.out, run.record)):
        assert enct5.evaluate(model, TEXTS, LABELS)["metrics"] == wanted["metrics"]
    assert predictor.warns_of_unknown  # as it was


def test_abstaining_and_unknown_labels(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    figures = enct5.evaluate(run.out, TEXTS, LABELS, abstain_below=0.9)["metrics"]
    assert {"coverage", "answered_accuracy"} <= figures.keys()
    with pytest.raises(EncT5Error, match="unheard"):
        enct5.evaluate(run.out, [*TEXTS, "x"], [*LABELS, "unheard"])
    caplog.set_level(logging.WARNING, "enct5.evaluations")
    found = enct5.evaluate(run.out, [*TEXTS, "x"], [*LABELS, "unheard"], skip_unknown_labels=True)
    assert found["rows"] == len(TEXTS)
    assert any("unheard" in line for line in caplog.messages)
    assert any("unheard" in note for note in found["notes"])


def test_settings_of_the_model_are_passed_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = enct5.evaluate(run.out, TEXTS, LABELS, dtype="bfloat16", batch_tokens=64)
    assert found["metrics"].keys() == run.record["metrics"].keys()
    with pytest.raises(EncT5Error, match="`revision`"):
        enct5.evaluate(run.out, TEXTS, LABELS, revision="main")


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        ((TEXTS,), {}, r"texts without labels; give both, as in `evaluate\(model, texts, labels\)`"),
        ((ROWS, "label"), {}, "`labels` is `label`; name columns as"),
        ((TEXTS, LABELS), {"text": "a"}, "leave them out where labels are given"),
        ((TEXTS, LABELS), {"divice": "cpu"}, "no argument `divice`; did you mean `device`"),
        (("no.csv",), {}, "no file `no.csv`"),
        ((ROWS,), {"text": "txt"}, "no column `txt`"),
    ],
)  # fmt: skip
def test_mistakes_are_told(run: Run, data: tuple[Any, ...], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        enct5.evaluate(run.out, *data, **settings)


def test_what_is_for_loading_is_refused_for_what_is_loaded(run: Run) -> None:
    with pytest.raises(EncT5Error, match="`device` is for a model that is loaded here, but this is a Predictor"):
        enct5.evaluate(enct5.Predictor.from_pretrained(run.out), TEXTS, LABELS, device="cpu")


def test_the_command_writes_the_same(
    run: Run, wanted: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Callable[..., Any]
) -> None:
    from enct5.cli import command

    arguments = ["evaluate", str(run.out), str(run.out.parent / "evaluation.jsonl"), "--json", str(tmp_path / "x.json")]
    monkeypatch.setattr("sys.argv", ["enct5", *arguments])
    with pytest.raises(SystemExit):
        command.main()
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == wanted
