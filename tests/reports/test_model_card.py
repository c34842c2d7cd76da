"""The model card: metadata a hub reads, snippets that are Python, and no markup from the user's names."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from enct5 import EncT5Config
from enct5.metrics.thresholds import FEWEST_POSITIVES
from enct5.reports import model_card

METRICS = {
    "single_label_classification": {"accuracy": 0.9125, "macro_f1": 0.8, "matthews_correlation": 0.75},
    "multi_label_classification": {"micro_f1": 0.7, "macro_f1": 0.65, "subset_accuracy": 0.5},
    "regression": {"pearson": 0.81, "spearman": 0.8, "mae": 0.25, "rmse": 0.5, "r2": 0.6},
}


def make_record(task: str, base: str = "bundled", origin: str | None = None, **data: Any) -> dict[str, Any]:
    counts = {} if task == "regression" else {"good": 700, "bad": 1300}
    return {
        "task": task,
        "data": {
            "file": "reviews.csv",
            "sha256": "ab" * 32,
            "text": ["review"],
            "label": "verdict",
            "train_rows": 1800,
            "eval_rows": 200,
            "eval_file": None,
            "eval_texts_in_training": 0,
            "eval_split": "200 rows held out of reviews.csv (stratified, seed 42)",
            "class_counts": counts,
            "texts_cut": 7,
            "notes": [],
            "unread": {"training": {"characters": 54321, "unknown_characters": 1234, "characters_in_bytes": 0}},
            **data,
        },
        "metrics": METRICS[task],
        "per_label": [
            {"label": label, "precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 100} for label in counts
        ],
        "base": base,
        "origin": origin or base,
        "base_trained_on": "first.csv" if origin else None,
        "parameters": 11_123_456,
        "encoder_window": None,
        "seed": 42,
        "steps": 1500,
        "best_step": 1200,
        "seconds": 93.4,
        "resumed": False,
        "history": [{"loss": 0.5, "epoch": 1.0, "step": 100}, {"eval_loss": 0.4, "epoch": 8.0, "step": 1500}],
        "versions": {"enct5": "0.1.0", "torch": "2.13.0"},
    }


def written(record: dict[str, Any], folder: Path) -> tuple[dict[str, Any], str]:
    """The card's metadata and its text."""
    model_card.write(record, folder)
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


def snippets(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(("origin", "named"), [("google-t5/t5-base", "google-t5/t5-base"), ("bundled", None)])
def test_a_model_trained_on_tells_where_it_comes_from(origin: str, named: str | None, tmp_path: Path) -> None:
    front, text = written(make_record("single_label_classification", base="first-run", origin=origin), tmp_path)
    assert front.get("base_model") == named
    known = "the tiny T5 that comes with enct5" if origin == "bundled" else origin
    assert f"| Base | first-run, which comes from {known} |" in text
    assert ("The base comes from the tiny T5" in text) == (origin == "bundled")
    assert "The base was trained on first.csv. Where it knows the evaluation texts, the figures are too good" in text


@pytest.mark.parametrize("task", METRICS)
def test_metadata(task: str, tmp_path: Path) -> None:
    front, _ = written(make_record(task), tmp_path)
    assert front["library_name"] == "transformers"
    assert front["pipeline_tag"] == "text-classification"
    assert front["tags"] == ["enct5", "text-classification"]
    assert front["metrics"] == list(METRICS[task])
    assert "language" not in front
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert model["name"] == "enct5-reviews"
    assert result["task"]["type"] == "text-classification"
    assert result["dataset"]["split"] == "200 rows held out of reviews.csv (stratified, seed 42)"
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == METRICS[task]


def test_the_hub_library_reads_the_card(tmp_path: Path) -> None:
    model_card.write(make_record("regression"), tmp_path)
    results = ModelCard.load(tmp_path / "README.md").data.eval_results
    assert {result.metric_type: result.metric_value for result in results} == METRICS["regression"]


@pytest.mark.parametrize(
    ("base", "named"), [("google-t5/t5-base", "google-t5/t5-base"), ("my-t5", None), ("bundled", None)]
)
def test_base_model_is_a_hub_id_or_absent(base: str, named: str | None, tmp_path: Path) -> None:
    front, text = written(make_record("single_label_classification", base), tmp_path)
    assert front.get("base_model") == named
    assert ("tiny T5" in text) == (base == "bundled")
    assert base == "bundled" or base in text


@pytest.mark.parametrize("task", METRICS)
def test_facts_are_in_the_text(task: str, tmp_path: Path) -> None:
    _, text = written(make_record(task), tmp_path)
    facts = ["ab" * 32, "1,800", "200", "11,123,456", "1,500", "1,200", "| Epochs | 8 |", "torch 2.13.0", "2110.08426"]
    for fact in [*facts, "| Seed | 42 |", *(f"| {name} | {value:.4f} |" for name, value in METRICS[task].items())]:
        assert fact in text
    assert ("| good | 700 |" in text) == (task != "regression")


@pytest.mark.parametrize("columns", [["review"], ["premise", "hypothesis"]])
@pytest.mark.parametrize("task", METRICS)
def test_snippets_are_python(task: str, columns: list[str], tmp_path: Path) -> None:
    _, text = written(make_record(task, text=columns), tmp_path)
    found = snippets(text)
    assert len(found) == 3
    for code in found:
        compile(code, "README.md", "exec")
        assert '"path/to/this/folder"' in code
        assert ("A second text." in code) == (len(columns) == 2)


@pytest.mark.parametrize(
    ("task", "function"),
    [("single_label_classification", "softmax"), ("multi_label_classification", "sigmoid"), ("regression", None)],
)
def test_snippet_turns_logits_into_scores(task: str, function: str | None, tmp_path: Path) -> None:
    code = snippets(written(make_record(task), tmp_path)[1])[0]
    assert {name for name in ("softmax", "sigmoid") if name in code} == ({function} if function else set())


@pytest.mark.parametrize(("thresholds", "labels"), [(None, ["a", "c"]), ([0.9, 0.3, 0.5], ["b", "c"])])
def test_snippet_of_several_labels_follows_the_thresholds(
    thresholds: list[float] | None, labels: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = snippets(written(make_record("multi_label_classification"), tmp_path)[1])[0]
    config = SimpleNamespace(id2label={0: "a", 1: "b", 2: "c"}, num_labels=3, thresholds=thresholds)
    logits = torch.tensor([[1.0, -0.5, 0.0]])  # scores .73 .38 .5
    exec(code[code.index("thresholds =") :], {"model": SimpleNamespace(config=config), "logits": logits})
    assert list(ast.literal_eval(capsys.readouterr().out)) == labels


def test_the_card_says_what_thresholds_mean_for_figures_and_pipeline(tmp_path: Path) -> None:
    _, text = written(make_record("multi_label_classification"), tmp_path)
    assert "The pipeline knows no thresholds" in text
    assert "so its figures with them are optimistic" in text
    assert "fewer than 10 positives" in text
    assert FEWEST_POSITIVES == 10
    assert "thresholds" not in written(make_record("single_label_classification"), tmp_path)[1]


def test_snippets_without_enct5_trust_the_remote_code(tmp_path: Path) -> None:
    # the tokenizer too: it reads config.json, whose class is remote code, and asks at the terminal otherwise
    first, second, _ = snippets(written(make_record("regression"), tmp_path)[1])
    assert first.count("trust_remote_code=True") == 2
    assert second.count("trust_remote_code=True") == 1


def test_calibration_and_abstaining_are_explained_where_they_exist(tmp_path: Path) -> None:
    record = make_record("single_label_classification")
    assert "abstain" not in written(record, tmp_path)[1]
    record |= {"temperature": 1.25, "expected_calibration_error": {"before": 0.125, "after": 0.0625}}
    text = written(record, tmp_path)[1]
    for fact in ("abstain_below=0.7", "--abstain-below 0.7", "temperature of 1.250", "0.1250 to 0.0625", "same split"):
        assert fact in text


def test_names_are_no_markup(tmp_path: Path) -> None:
    record = make_record("single_label_classification", file="a: b|c #1.csv", sha256=None)
    record["data"]["class_counts"] = {"<script>": 1, "a|b": 2, "two\nlines": 3, "card_arrival": 4, "_x_": 5}
    front, text = written(record, tmp_path)
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == "a: b|c #1.csv"
    assert front["model-index"][0]["name"] == "enct5-a-b-c-1"
    for row in (r"| \<script\> | 1 |", r"| a\|b | 2 |", "| two lines | 3 |", "| card_arrival | 4 |", r"| \_x\_ | 5 |"):
        assert row in text
    assert "SHA-256" not in text


def converted(base: str, folder: Path, **values: Any) -> tuple[dict[str, Any], str]:
    """The metadata and text of a converted checkpoint's card."""
    model_card.write_converted(base, EncT5Config(**values), 11_123_456, folder)
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


def test_a_converted_checkpoint_says_that_it_must_be_fine_tuned(tmp_path: Path) -> None:
    front, text = converted("google-t5/t5-base", tmp_path, num_labels=3)
    assert (front["base_model"], front["library_name"], front["tags"]) == (
        "google-t5/t5-base",
        "transformers",
        ["enct5"],
    )
    assert "**must be fine-tuned before use**" in text
    for fact in ("made of google-t5/t5-base", "11,123,456", "1 constant prompt,", "with 3 outputs", "2110.08426"):
        assert fact in text
    (code,) = snippets(text)
    compile(code, "README.md", "exec")
    assert code.count("trust_remote_code=True") == 2


def test_a_converted_folder_is_named_without_its_place(tmp_path: Path) -> None:
    (tmp_path / "my_t5").mkdir()
    front, text = converted(str(tmp_path / "my_t5"), tmp_path, num_labels=1, num_decoder_layers=2)
    assert "base_model" not in front
    assert "made of my_t5 and" in text
    assert str(tmp_path) not in text
    assert "2 decoder layers that read the" in text
    assert "regression with 1 output," in text


def test_importing_is_light() -> None:
    heavy = "{'torch', 'transformers', 'jinja2', 'matplotlib', 'huggingface_hub'}"
    modules = "enct5.reports.model_card, enct5.reports.training_report"
    code = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_notes_on_the_data_are_listed(tmp_path: Path) -> None:
    notes = ["2 rows (3, 5) have *odd* labels", "the other"]
    _, text = written(make_record("single_label_classification", notes=notes), tmp_path)
    assert "\nNotes on the data:\n\n- 2 rows (3, 5) have \\*odd\\* labels\n- the other\n" in text
    _, text = written(make_record("single_label_classification"), tmp_path)
    assert "Notes" not in text


def test_unknown_characters_are_counted(tmp_path: Path) -> None:
    _, text = written(make_record("single_label_classification"), tmp_path)
    assert "\n- Unknown to the tokenizer: 1,234 of 54,321 characters of the training texts\n" in text
    assert "bytes" not in text
    read = {"characters": 5000, "unknown_characters": 0, "characters_in_bytes": 4321}
    _, text = written(make_record("single_label_classification", unread={"training": read}), tmp_path)
    assert "\n- Spelt in bytes by the tokenizer: 4,321 of 5,000 characters of the training texts\n" in text
