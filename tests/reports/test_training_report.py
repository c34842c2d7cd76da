"""The report page: right figures, right order of mistakes, nothing from the network, no markup from the texts."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from enct5.reports import charts, training_report
from enct5.tasks.registry import TASKS
from enct5.training.config import TrainConfig
from helpers.html import Page

Array = npt.NDArray[Any]

SETTINGS = TrainConfig(
    data="folder/reviews.csv", text=("review",), label="verdict", out="runs/x", learning_rate=0.00123
)

FEW_FACTS = {
    "file": "reviews.csv",
    "sha256": "",
    "text": ["review"],
    "label": "verdict",
    "train_rows": 4,
    "eval_rows": 5,
    "eval_split": "",
    "class_counts": {},
    "texts_cut": 0,
    "unread": {},
    "notes": [],
    "tokens": {"median": 1, "percentile_95": 1, "longest": 1},
}


def unread_of(texts: int, characters: int, unknown: int = 0, spelt: int = 0) -> dict[str, int]:
    return {
        "texts": texts,
        "characters": characters,
        "unknown_characters": unknown,
        "texts_wholly_unknown": 2 if unknown else 0,
        "characters_in_bytes": spelt,
        "texts_wholly_in_bytes": 3 if spelt else 0,
    }


def make(
    task: str,
    texts: list[Any],
    logits: Array,
    labels: Array,
    names: list[str],
    folder: Path,
    thresholds: list[float] | None = None,
    **changes: Any,
) -> Page:
    """The page of a run; each text is a string, or a dictionary of text columns."""
    kind = TASKS[task]
    record = {
        "task": kind.name,
        "data": {
            "file": "reviews.csv",
            "sha256": "ab" * 32,
            "text": ["review"],
            "label": "verdict",
            "train_rows": 1800,
            "eval_rows": len(texts),
            "eval_split": "rows held out of reviews.csv",
            "eval_texts_in_training": 0,
            "class_counts": {name: 10 * (place + 1) for place, name in enumerate(names)},
            "texts_cut": 7,
            "notes": [],
            "unread": {
                "training": unread_of(1800, 54321),
                "evaluation": unread_of(5, 4321, unknown=1234, spelt=1000),
            },
            "tokens": {"median": 21, "percentile_95": 1234, "longest": 2345},
        },
        "metrics": kind.metrics(logits, labels, names, thresholds),
        "per_label": kind.per_label(logits, labels, names, thresholds),
        "base": "bundled",
        "parameters": 11_123_456,
        "seed": 42,
        "steps": 20,
        "best_step": 10,
        "seconds": 93.4,
        "resumed": False,
        "base_trained_on": None,
        "history": [
            {"loss": 0.9, "learning_rate": 0.1, "epoch": 0.5, "step": 5},
            {"eval_loss": 0.8, f"eval_{kind.metric_for_best_model}": 0.5, "epoch": 1.0, "step": 10},
            {"loss": 0.7, "epoch": 2.0, "step": 20},
            {"train_loss": 0.8, "epoch": 2.0, "step": 20},
        ],
        "versions": {"enct5": "0.1.0"},
        **changes,
    }
    rows = [text if isinstance(text, dict) else {"review": text} for text in texts]
    training_report.write(record, SETTINGS.described(), kind, rows, logits, labels, folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def single(folder: Path, **changes: Any) -> Page:
    logits = np.array([[0, 1, 0], [4, 0, 0], [0, 2, 0], [0, 0, 3], [2, 0, 0]], dtype=np.float32)
    labels = np.array([0, 0, 2, 2, 1])
    texts = ["slightly wrong", "right", "quite wrong", "right too", "quite wrong as well <script>alert(1)</script>"]
    return make("single", texts, logits, labels, ["a", "b", "<c>"], folder, **changes)


def multi(folder: Path, thresholds: list[float] | None = None) -> Page:
    logits = np.array([[5, -5], [-1, 3], [-4, -2], [1, -1]], dtype=np.float32)
    labels = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], dtype=np.float32)
    return make(
        "multi", ["right", "given wrongly", "missed", "just given"], logits, labels, ["x", "y"], folder, thresholds
    )


def regression(folder: Path) -> Page:
    logits = np.array([[1.0], [2.5], [-3.0]], dtype=np.float32)
    return make("regression", ["close", "far", "farther"], logits, np.array([1.25, 1, 9], dtype=np.float32), [], folder)


@pytest.mark.parametrize("page", [single, multi, regression])
def test_page_is_self_contained(page: Any, tmp_path: Path) -> None:
    found = page(tmp_path)
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
    assert [link for link in found.links if not link.startswith("#")] == ["https://arxiv.org/abs/2110.08426v2"]
    assert found.html.count("http") == 2  # that link, and http-equiv of the policy that forbids any other
    assert "default-src 'none'" in found.html
    assert len(set(found.ids)) == len(found.ids)
    assert not {"script", "link", "img", "iframe"} & set(found.tags)


@pytest.mark.parametrize("page", [single, multi, regression])
def test_page_shows_the_run(page: Any, tmp_path: Path) -> None:
    found = page(tmp_path)
    for value in ("rows held out of reviews.csv", "Seed 42", "11,123,456", "ab" * 32, "0.00123", "folder/reviews.csv"):
        assert value in found.html
    assert found.tags.count("svg") == (2 if page is multi else 3)
    assert "prefers-color-scheme: dark" in found.html
    assert "#00000" not in found.html  # every colour of the charts is one of the page


def test_single_label(tmp_path: Path) -> None:
    page = single(tmp_path)
    confusion, labels, counts, _ = page.tables
    assert "<dt>accuracy</dt><dd>0.4000</dd>" in page.html
    assert confusion[1:] == [["a", "1", "1", ""], ["b", "1", "", ""], ["<c>", "", "1", "1"]]
    assert [row[0] for row in labels[1:]] == ["b", "a", "<c>"]
    assert [row[:2] for row in counts[1:]] == [["a", "10"], ["b", "20"], ["<c>", "30"]]
    assert page.quotes == ["quite wrong", "quite wrong as well <script>alert(1)</script>", "slightly wrong"]
    assert "3 of 5 texts" in page.html
    assert "<dt>Predicted</dt><dd>b (0.787)</dd>" in page.html
    assert "&lt;script&gt;" in page.html


def test_the_title_says_what_was_learned_and_sections_are_listed(tmp_path: Path) -> None:
    page = single(tmp_path)
    assert "<title>verdict, learned from reviews.csv: EncT5 report</title>" in page.html
    assert "<h1><bdi>verdict</bdi>, learned from <bdi>reviews.csv</bdi></h1>" in page.html
    listed = ["result", "confusion", "labels", "mistakes", "scores", "training", "data", "settings"]
    assert [link[1:] for link in page.links if link.startswith("#") and link[1:] in listed] == listed
    assert page.html.count("<h2 ") == len(listed)
    unlabelled = {**FEW_FACTS, "label": None}  # a student's texts
    assert "<h1><bdi>reviews.csv</bdi></h1>" in single(tmp_path, data=unlabelled).html


def test_figures_are_explained_and_compared_with_a_guess(tmp_path: Path) -> None:
    html = single(tmp_path).html
    assert '<dd>0.4000</dd><dd class="soft">share of the texts with the right label</dd>' in html
    # of the five texts two are of a and two of <c>
    assert "to call every text <bdi>a</bdi>, the commonest label, has an accuracy of 0.4000" in html
    assert "the same with the threshold 0.5 for every label" in multi(tmp_path, [0.1, 0.9]).html
    assert "the commonest label" not in multi(tmp_path).html


def test_what_scrolls_is_reached_by_keyboard_and_named(tmp_path: Path) -> None:
    html = single(tmp_path).html
    regions = re.findall(r'<div class="scroll"([^>]*)>', html)
    assert regions == [
        f' tabindex="0" role="region" aria-label="{name}"' for name in ("Confusion", "Labels", "Labels of the file")
    ]


def test_charts_say_in_words_what_they_show(tmp_path: Path) -> None:
    html = single(tmp_path).html
    assert 'aria-label="loss over the epochs, training from 0.9 to 0.7, evaluation from 0.8 to 0.8' in html
    assert "evaluation from 0.8 to 0.8, best checkpoint at epoch 1.0" in html
    assert 'aria-label="predicted value against true value of 3 texts"' in regression(tmp_path).html


def test_long_names_may_go_on_behind_an_underscore(tmp_path: Path) -> None:
    page = make("single", ["a", "b"], np.eye(2, dtype=np.float32), np.array([0, 1]), ["a_<b>", "c_d"], tmp_path)
    assert '<th scope="row"><bdi>a_<wbr>&lt;b&gt;</bdi></th>' in page.html
    assert [row[0] for row in page.tables[1][1:]] == ["a_<b>", "c_d"]


def test_scores_are_shown_beside_what_they_are_worth(tmp_path: Path) -> None:
    assert "share of right answers over the score" in single(tmp_path).html
    assert "A temperature of" not in single(tmp_path).html
    page = single(tmp_path, temperature=1.25, expected_calibration_error={"before": 0.125, "after": 0.0625})
    assert "A temperature of 1.250 is part of the model" in page.html
    assert "from 0.1250 to\n0.0625" in page.html
    assert "How far to trust the scores" not in multi(tmp_path).html


def test_many_classes_show_their_most_confused_pairs(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(31)]
    labels = np.array([3, 3, 3, 4, 5])
    logits = np.eye(31, dtype=np.float32)[[7, 7, 3, 5, 5]]
    pairs = make("single", ["text"] * 5, logits, labels, names, tmp_path).tables[0]
    assert pairs[1:] == [["class 3", "class 7", "2 of 3"], ["class 4", "class 5", "1 of 1"]]


def test_multi_label(tmp_path: Path) -> None:
    page = multi(tmp_path)
    assert page.quotes == ["missed", "given wrongly", "just given"]
    assert "<dt>Worst</dt><dd>missed: x (0.018)</dd>" in page.html
    assert "<dt>Worst</dt><dd>wrongly given: y (0.953)</dd>" in page.html
    assert "<dt>Predicted</dt><dd>none</dd>" in page.html
    assert "<dt>Predicted</dt><dd>y (0.953)</dd>" in page.html
    assert [row[0] for row in page.tables[0][1:]] == ["x", "y"]


def test_multi_label_with_thresholds(tmp_path: Path) -> None:
    page = multi(tmp_path, [0.01, 0.97])
    # scores of x: .993 .269 .018 .731, of y: .007 .953 .119 .269; only x is given, and to every text
    assert page.quotes == ["just given", "given wrongly"]
    assert "<dt>Worst</dt><dd>wrongly given: x (0.731)</dd>" in page.html
    assert page.tables[0][0] == ["Label", "Texts", "Precision", "Recall", "F1", "Threshold", ""]
    assert [(row[0], row[-2]) for row in page.tables[0][1:]] == [("x", "0.010"), ("y", "0.970")]
    assert '<div class="best"><dt>macro f1 at 0.5</dt>' in page.html
    assert "thresholds were tuned on these same texts" in page.html
    plain = multi(tmp_path)
    assert '<div class="best"><dt>macro f1</dt>' in plain.html
    assert "thresholds were tuned" not in plain.html
    assert plain.tables[0][0] == ["Label", "Texts", "Precision", "Recall", "F1", ""]


def test_regression(tmp_path: Path) -> None:
    page = regression(tmp_path)
    assert page.quotes == ["farther", "far", "close"]
    assert "<dt>Error</dt><dd>12</dd>" in page.html
    assert "predicted value against true value" in page.html


def test_several_targets(tmp_path: Path) -> None:
    logits = np.array([[1, 2], [3, 9]], dtype=np.float32)
    labels = np.array([[1, 2], [3, 4]], dtype=np.float32)
    page = make("regression", ["exact", "half off"], logits, labels, [], tmp_path)
    assert page.quotes == ["half off", "exact"]
    assert page.tags.count("svg") == 4
    assert "<dt>Predicted</dt><dd>3, 9</dd>" in page.html


def test_pairs_show_both_texts(tmp_path: Path) -> None:
    rows = [{"premise": "It rains.", "hypothesis": "It <b>pours</b>."}]
    page = make("single", rows, np.eye(2, dtype=np.float32)[[0]], np.array([1]), ["a", "b"], tmp_path)
    assert page.quotes == ["It rains.", "It <b>pours</b>."]
    assert "hypothesis" in page.html


def test_long_texts_are_cut(tmp_path: Path) -> None:
    page = make("single", ["x" * 5000], np.eye(2, dtype=np.float32)[[0]], np.array([1]), ["a", "b"], tmp_path)
    assert page.quotes == ["x" * 1500 + " … and 3,500 more characters"]


def test_empty_texts_say_so(tmp_path: Path) -> None:
    page = make("single", [""], np.eye(2, dtype=np.float32)[[0]], np.array([1]), ["a", "b"], tmp_path)
    assert page.quotes == ["(an empty text)"]


def test_labels_have_bars_as_long_as_their_f1(tmp_path: Path) -> None:
    html = single(tmp_path).html
    assert html.count('<div style="width: 50.0%"></div>') == 1  # F1 of a
    assert html.count('<div style="width: 66.7%"></div>') == 2  # F1 of <c>; texts of b


def test_lengths_and_settings_read_well(tmp_path: Path) -> None:
    page = single(tmp_path)
    assert "21 in the middle, 1,234 or less for 95 % of the texts, at most 2,345" in page.html
    assert "7 of 1,805" in page.html
    settings = {row[0]: row[1] for row in page.tables[-1][1:]}
    assert (settings["text"], settings["eval"], settings["learning_rate"]) == ("review", "not set", "0.00123")
    assert settings["patience"] == "8"
    without = single(tmp_path, best_step=None)  # so few texts choose no checkpoint, and nothing waits for a better one
    assert "patience" not in {row[0] for row in without.tables[-1][1:]}


def test_large_errors_need_no_decimals(tmp_path: Path) -> None:
    logits = np.array([[1.0], [2.5]], dtype=np.float32)
    page = make("regression", ["a", "b"], logits, np.array([200_001, 200_002.5], dtype=np.float32), [], tmp_path)
    assert "<dt>mae</dt><dd>200,000.0</dd>" in page.html
    assert "<dt>True</dt><dd>200,001</dd>" in page.html


def test_the_training_loss_is_a_running_mean() -> None:
    points = [(float(step), float(step % 2)) for step in range(32)]
    smooth = charts._running_mean(points)
    assert [epoch for epoch, _ in smooth] == [epoch for epoch, _ in points]
    assert [value for _, value in smooth[:4]] == pytest.approx([0, 0.5, 1 / 3, 0.5])
    assert {value for _, value in smooth[3:]} == {0.5}
    assert charts._running_mean([]) == []
    assert charts._running_mean(points[:5]) == points[:5]


def test_no_history_and_no_mistakes(tmp_path: Path) -> None:
    logits = np.eye(2, dtype=np.float32)
    page = make("single", ["a", "b"], logits, np.array([0, 1]), ["a", "b"], tmp_path, history=[], best_step=None)
    assert page.quotes == []
    assert "0 of 2 texts" in page.html


def test_a_figure_is_framed_only_where_it_chose_the_checkpoint(tmp_path: Path) -> None:
    chosen, last = single(tmp_path).html, single(tmp_path, best_step=None).html
    assert ('<div class="best">' in chosen, "The best checkpoint was chosen" in chosen) == (True, True)
    assert ('<div class="best">' in last, "The best checkpoint was chosen" in last) == (False, False)
    assert "So few texts chose no checkpoint, and say little" in last


def test_loss_that_is_not_a_number(tmp_path: Path) -> None:
    history = [{"loss": float("nan"), "epoch": 1.0, "step": 5}, {"loss": float("inf"), "epoch": 2.0, "step": 9}]
    assert single(tmp_path, history=history).tags.count("svg") == 3


def test_pages_are_reproducible(tmp_path: Path) -> None:
    assert single(tmp_path).html == single(tmp_path).html


def test_notes_on_the_data_are_listed_as_text(tmp_path: Path) -> None:
    data = {**FEW_FACTS, "notes": ["2 rows (3, 5) are <b>odd</b>"]}
    assert "<li>2 rows (3, 5) are &lt;b&gt;odd&lt;/b&gt;</li>" in single(tmp_path, data=data).html
    assert "Notes on the data" not in single(tmp_path).html


def test_unknown_characters_of_both_parts_are_shown(tmp_path: Path) -> None:
    html = single(tmp_path).html
    assert "<dt>Unknown in training</dt><dd>0 of 54,321 characters</dd>" in html
    assert "<dt>Unknown in evaluation</dt><dd>1,234 of 4,321 characters; 2 of 5 texts wholly</dd>" in html
    assert "Spelt in bytes in training" not in html
    assert "<dt>Spelt in bytes in evaluation</dt><dd>1,000 of 4,321 characters; 3 of 5 texts wholly</dd>" in html
