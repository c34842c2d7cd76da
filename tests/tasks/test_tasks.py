"""The task records: label values in, predictions out."""

import re
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

from enct5.errors import EncT5Error
from enct5.tasks.base import check_abstention, withhold
from enct5.tasks.registry import TASKS, find_task

SINGLE, MULTI, REGRESSION = TASKS["single"], TASKS["multi"], TASKS["regression"]


def test_tasks_have_long_and_short_names() -> None:
    """Both names lead to the same record."""
    assert TASKS["single_label_classification"] is find_task("single") is SINGLE
    assert TASKS["multi_label_classification"] is find_task("multi") is MULTI
    assert find_task("regression").name == "regression"


def test_unknown_task() -> None:
    """A mistyped task is answered with the nearest one."""
    with pytest.raises(EncT5Error, match=r"no task `singel`; did you mean `single`?"):
        find_task("singel")


def test_importing_tasks_and_data_is_light() -> None:
    """`enct5 --help` needs the task names, so reading them must not load torch or scikit-learn."""
    heavy = "{'torch', 'sklearn', 'scipy', 'datasets', 'pandas', 'transformers'}"
    modules = "enct5.tasks.labelled, enct5.training.dataset, enct5.metrics.classification"
    code = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("task", "values", "names", "dtype", "expected"),
    [
        ("single", ["b", "a", "b"], ["a", "b"], np.int64, [1, 0, 1]),
        ("multi", [["b"], [], ["a", "b"]], ["a", "b"], np.float32, [[0, 1], [0, 0], [1, 1]]),
        ("multi", [[], []], ["a"], np.float32, [[0], [0]]),
        ("regression", [0.5, 2.0], ["value"], np.float64, [0.5, 2.0]),
        ("regression", [[0.5, 1.0], [2.0, 3.0]], ["value_1", "value_2"], np.float64, [[0.5, 1.0], [2.0, 3.0]]),
    ],
)
def test_encode(task: str, values: list[Any], names: list[str], dtype: type, expected: list[Any]) -> None:
    """Label values become the arrays that the model's loss takes."""
    encoded = TASKS[task].encode(values, {name: number for number, name in enumerate(names)})
    assert encoded.dtype == dtype
    assert encoded.tolist() == expected


@pytest.mark.parametrize(
    ("task", "values"), [("single", ["good", "goood", "9"]), ("multi", [["good"], ["goood", "9"]])]
)
def test_unseen_labels_are_named(task: str, values: list[Any]) -> None:
    """A label that the model was not trained on is the user's mistake, with the likely right one."""
    with pytest.raises(EncT5Error, match=r"labels unknown to the model: `9`, `goood`; .*\(known: bad, good\)"):
        TASKS[task].encode(values, {"bad": 0, "good": 1})


def test_unseen_labels_propose_and_cut() -> None:
    """Five are listed, the first gets a proposal."""
    with pytest.raises(EncT5Error, match=r"`aa0`, .*, `aa4` and 2 more; did you mean `aa` for `aa0`\?"):
        SINGLE.encode([f"aa{number}" for number in range(7)], {"aa": 0, "b": 1})


def test_regression_targets_must_match_the_model() -> None:
    """Data of one number per text does not fit a model of two outputs."""
    with pytest.raises(EncT5Error, match=r"rows have 1 number\(s\) to predict, the model gives 2"):
        REGRESSION.encode([0.5, 1.0], {"value_1": 0, "value_2": 1})


def test_scores_are_stable() -> None:
    """Huge logits give exact zeros and ones, without overflow."""
    logits = np.array([[1000.0, 0.0], [-1000.0, 0.0], [2.0, 2.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SINGLE.scores(logits).tolist() == [[1, 0], [0, 1], [0.5, 0.5]]
        assert MULTI.scores(logits)[:2].tolist() == [[1, 0.5], [0, 0.5]]
    assert MULTI.scores(logits)[2] == pytest.approx(1 / (1 + np.exp(-2)))
    assert REGRESSION.scores(logits) is logits


def test_decode_single() -> None:
    """The most probable class and its probability."""
    assert SINGLE.decode(np.array([[0.0, np.log(3)]]), {0: "a", 1: "b"}, None) == [
        {"label": "b", "score": pytest.approx(0.75)},
    ]


def test_decode_multi() -> None:
    """Labels with a score of at least 0.5, highest first; maybe none."""
    logits = np.array([[np.log(3), -1.0, 0.0, np.log(9)], [-1.0, -2.0, -3.0, -4.0]])
    assert MULTI.decode(logits, dict(enumerate("abcd")), None) == [
        {"labels": ["d", "a", "c"], "scores": pytest.approx([0.9, 0.75, 0.5])},
        {"labels": [], "scores": []},
    ]


def test_decode_multi_with_thresholds() -> None:
    """Each label from its own score on."""
    logits = np.array([[np.log(3), -1.0, 0.0, np.log(9)]])
    assert MULTI.decode(logits, dict(enumerate("abcd")), [0.8, 0.2, 0.5, 0.9 - 1e-9]) == [
        {"labels": ["d", "c", "b"], "scores": pytest.approx([0.9, 0.5, 1 / (1 + np.e)])},
    ]


def test_what_only_some_tasks_have() -> None:
    """Thresholds and prompts per label are multi-label's; weights need classes."""
    assert [task.alias for task in (SINGLE, MULTI, REGRESSION) if task.tune] == ["multi"]
    assert [task.alias for task in (SINGLE, MULTI, REGRESSION) if task.prompt_per_label] == ["multi"]
    assert [task.alias for task in (SINGLE, MULTI, REGRESSION) if task.balance] == ["single", "multi"]


@pytest.mark.parametrize(
    ("logits", "expected"), [([1.5, 2.0], [1.5, 2.0]), ([[1.5], [2.0]], [1.5, 2.0]), ([[1.5, 2.0]], [[1.5, 2.0]])]
)
def test_decode_regression(logits: list[Any], expected: list[Any]) -> None:
    """One float, or a list where the model has several outputs."""
    assert REGRESSION.decode(np.array(logits), {}, None) == [{"value": value} for value in expected]


@pytest.mark.parametrize("task", ["single", "multi", "regression"])
def test_decode_gives_the_promised_columns_and_refuses_nan(task: str) -> None:
    """The prediction columns are known before any prediction is made."""
    record = TASKS[task].decode(np.array([[0.5, 1.0]]), {0: "a", 1: "b"}, None)[0]
    assert tuple(record) == TASKS[task].prediction_columns
    with pytest.raises(ValueError, match="NaN"):
        TASKS[task].decode(np.array([[np.nan, 1.0]]), {0: "a", 1: "b"}, None)


@pytest.mark.parametrize(
    ("task", "labels"), [("single", [0, 1]), ("multi", [[1, 0], [0, 1]]), ("regression", [[1, 0], [0, 1]])]
)
def test_best_model_metric_is_measured(task: str, labels: list[Any]) -> None:
    """The figure that picks the checkpoint exists and is best for perfect logits."""
    record = TASKS[task]
    assert [row["label"] for row in record.per_label(np.eye(2), np.array(labels), ["a", "b"], None)] in (["a", "b"], [])
    best = record.metrics(
        np.array([[1.0, 0.0], [0.0, 1.0]]) - (task == "multi") * 0.5, np.array(labels), ["a", "b"], None
    )
    assert best[record.metric_for_best_model] == (1.0 if record.greater_is_better else 0.0)


@pytest.mark.parametrize(
    ("task", "values", "names", "counts"),
    [
        ("single", ["b", "a", "b"], ["a", "b"], {"a": 1, "b": 2}),
        ("single", ["10", "9", "-1"], ["-1", "9", "10"], {"-1": 1, "9": 1, "10": 1}),
        ("single", ["01", "1", "x"], ["01", "1", "x"], {"01": 1, "1": 1, "x": 1}),
        ("multi", [["b"], [], ["a", "b"]], ["a", "b"], {"a": 1, "b": 2}),
        ("regression", [0.5, 2.0], ["value"], {}),
        ("regression", [[1.0, 2.0]], ["value_1", "value_2"], {}),
    ],
)
def test_names_and_counts(task: str, values: list[Any], names: list[str], counts: dict[str, int]) -> None:
    """Names come in one order whatever the order of the rows."""
    assert TASKS[task].label_names(values) == names
    assert TASKS[task].label_names(values[::-1]) == names
    assert list(TASKS[task].class_counts(values).items()) == list(counts.items())


def test_too_few_classes() -> None:
    """One class cannot be told from anything."""
    with pytest.raises(EncT5Error, match=r"holds 1 class \(`a`\); classification needs at least 2"):
        SINGLE.label_names(["a", "a"])
    with pytest.raises(EncT5Error, match="no row of the label column has a label"):
        MULTI.label_names([[], []])


def test_strata_use_the_rarest_label() -> None:
    """A row stands for the label that is hardest to place."""
    assert MULTI.strata([["a", "b"], ["a"], [], ["a", "c"], ["c"]]) == ["b", "a", "", "c", "c"]
    assert SINGLE.strata(["x", "y"]) == ["x", "y"]
    assert REGRESSION.strata([0.1, 0.2]) == ["", ""]


@pytest.mark.parametrize(
    ("task", "names", "label", "expected"),
    [
        ("single", ["no", "yes"], None, [0.75, 0.5]),
        ("single", ["Relevant", "other"], None, [0.25, 0.5]),
        ("single", ["no", "yes"], "no", [0.25, 0.5]),
        ("single", ["a", "b"], "b", [0.75, 0.5]),
        ("single", ["0", "1"], None, [0.75, 0.5]),
        ("single", ["-1", "3"], None, [2, 1]),  # expected grades
        ("multi", ["a", "b"], "b", [0.75, 0.5]),
        ("regression", ["value_1", "value_2"], "value_2", [np.log(3), 0]),
    ],
)
def test_relevance(task: str, names: list[str], label: str | None, expected: list[float]) -> None:
    """Pairs are ranked by the number, the expected grade, or the probability of the label that says yes."""
    logits = np.array([[0, np.log(3)], [0, 0]])
    relevance = TASKS[task].relevance
    assert relevance is not None
    assert relevance(logits, dict(enumerate(names)), label).tolist() == pytest.approx(expected)


def test_relevance_of_grades_is_their_expectation() -> None:
    """Three grades that are not their own ids."""
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    assert SINGLE.relevance is not None
    assert SINGLE.relevance(logits, {0: "1", 1: "2", 2: "10"}, None).tolist() == pytest.approx([3.5, 8.3])


@pytest.mark.parametrize(
    ("task", "names", "label", "message"),
    [
        ("single", ["a", "b"], None, r"no grades.*as in `label='a'` \(labels: a, b\)"),
        ("single", ["yes", "true"], None, "no grades"),
        ("single", ["yes", "no", "maybe"], None, "no grades"),
        ("single", ["good", "bad"], "goood", "no label `goood`; did you mean `good`?"),
        ("multi", ["a", "b"], None, "several labels; say by which"),
        ("regression", ["value_1", "value_2"], None, "the model gives 2 numbers; say by which"),
    ],
)
def test_relevance_must_be_known(task: str, names: list[str], label: str | None, message: str) -> None:
    """What to rank by is never guessed."""
    relevance = TASKS[task].relevance
    assert relevance is not None
    with pytest.raises(EncT5Error, match=message):
        relevance(np.zeros((1, len(names))), dict(enumerate(names)), label)


def test_abstention() -> None:
    """Only a low score takes the label away, and only where there is one label with its score."""
    assert withhold({"label": "a", "score": 0.5}, 0.5) == {"label": "a", "score": 0.5}
    assert withhold({"label": "a", "score": 0.49}, 0.5) == {"label": None, "score": 0.49}
    check_abstention(SINGLE, 0)
    check_abstention(SINGLE, 1)
    for below in (-0.1, 1.01, float("nan")):
        with pytest.raises(EncT5Error, match="give a score from 0 to 1"):
            check_abstention(SINGLE, below)
    for task in (MULTI, REGRESSION):
        with pytest.raises(EncT5Error, match=f"does {re.escape(task.description)}.*leave out `abstain_below`"):
            check_abstention(task, 0.5)


def test_the_scaler_standardises_every_target_and_leaves_constants_finite() -> None:
    """A constant target is only moved to 0."""
    assert REGRESSION.fit_scaler is not None
    targets = np.array([[1, 7], [3, 7], [5, 7]], dtype=np.float32)
    scaler = REGRESSION.fit_scaler(targets)
    assert scaler.mean_.tolist() == [3, 7]
    assert scaler.scale_.tolist() == pytest.approx([np.std([1, 3, 5]), 1])
    assert REGRESSION.fit_scaler(targets[:, 0]).mean_.tolist() == [3]
    assert REGRESSION.fit_scaler(np.full(9, 0.1)).scale_.tolist() == [1]
    assert SINGLE.fit_scaler is MULTI.fit_scaler is None


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("classification", "single"),
        ("Multi-Class", "single"),
        ("sequence_classification", "single"),
        ("multi label", "multi"),
        ("multilabel", "multi"),
        ("NER", "tokens"),
        ("token-classification", "tokens"),
        ("single-label-classification", "single"),
        ("Regression", "regression"),
    ],
)
def test_tasks_go_by_their_common_names(name: str, alias: str) -> None:
    assert find_task(name).alias == alias


def test_targets_that_float32_cannot_tell_apart_are_refused() -> None:
    """Near a billion its numbers are 64 apart; of several targets each counts by itself."""
    assert REGRESSION.fit_scaler is not None
    near = 1e9 + np.linspace(0.25, 3, 50)
    for targets in (near, np.stack([np.linspace(0, 1, 50), near], axis=1)):
        with pytest.raises(
            EncT5Error,
            match=r"1000000000.25 to 1000000003, lie too close .* are 64 apart there; subtract 1000000000 from",
        ):
            REGRESSION.fit_scaler(targets)
    wide = 1e9 + 1e6 * np.linspace(0, 3, 50)
    assert REGRESSION.fit_scaler(wide).mean_.tolist() == pytest.approx([1e9 + 1.5e6])


def test_targets_stay_precise_until_they_are_scaled() -> None:
    """What float32 would make equal is told apart."""
    values = [100_000.001, 100_000.002]
    assert REGRESSION.encode(values, {"value": 0}).tolist() == values
