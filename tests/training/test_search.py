"""The search: what it tries, which trials it stops, what it remembers, and a run with the best settings."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enct5 import errors, training
from enct5.errors import EncT5Error
from enct5.tasks.registry import TASKS
from enct5.training import run as training_run
from enct5.training.config import TrainConfig
from enct5.training.search import search, searched
from helpers.runs import assert_same_weights, heard, messages, settings_of, start, weights
from helpers.tables import write_rows

pytest.importorskip("optuna", reason="needs optuna (the `hpo` extra)")
pytestmark = pytest.mark.usefixtures("one_thread")

SINGLE, REGRESSION = TASKS["single_label_classification"], TASKS["regression"]
SETTINGS = TrainConfig.checked(
    data="a", text=("b",), label="c", out="d", learning_rate=0.01, epochs=8, label_smoothing=0.1, hpo=12
)
NAMES = ("learning_rate", "epochs", "batch_size", "label_smoothing")


class FakeTrainer:
    """Evaluates four times more often than pruning waits for, with the scores it is given."""

    def __init__(self, scores: Callable[[int], float], chooses: bool) -> None:
        self.scores, self.callbacks = scores, []
        self.args = SimpleNamespace(metric_for_best_model="macro_f1" if chooses else None)

    def add_callback(self, callback: Any) -> None:
        self.callbacks.append(callback)

    def train(self) -> None:
        for number in range(16):
            metrics = {"eval_macro_f1": self.scores(number), "eval_rmse": self.scores(number)}
            self.callbacks[0].on_evaluate(None, None, None, metrics=metrics)


def run_search(
    tmp_path: Path,
    scores: Callable[[TrainConfig, int], float],
    task: Any = SINGLE,
    hpo: int = 12,
    chooses: bool = True,
) -> tuple[dict[str, Any], list[dict[str, Any]], list[TrainConfig], list[str]]:
    """Search with made-up scores of a trial's settings and an evaluation's number."""
    tried: list[TrainConfig] = []
    said: list[str] = []

    def make(settings: TrainConfig) -> Any:
        tried.append(settings)
        return FakeTrainer(lambda number: scores(settings, number), chooses)

    settings = SETTINGS.model_copy(update={"hpo": hpo})
    with heard(said.append):
        best, trials = search(settings, NAMES, task, make, tmp_path / "journal")
    return best, trials, tried, said


def test_trials_stay_near_the_defaults_which_come_first(tmp_path: Path) -> None:
    _, trials, tried, said = run_search(tmp_path, lambda settings, number: 0.5)
    assert tried[0] == SETTINGS.model_copy(update={"hpo": 12})
    assert len(tried) == len(trials) == len(said) == 12
    for settings in tried:
        assert 0.0025 <= settings.learning_rate <= 0.04
        assert settings.epochs in range(4, 17)
        assert settings.batch_size in (16, 32, 64)
        assert settings.label_smoothing in (0, 0.05, 0.1, 0.15, 0.2)
        assert TrainConfig.checked(**settings.model_dump()) == settings
    assert len({settings.learning_rate for settings in tried}) == 12
    assert said[0] == (
        "trial 1 of 12: learning rate 0.01, epochs 8, batch size 32, label smoothing 0.1: macro_f1 0.5000"
    )


@pytest.mark.parametrize("chooses", [True, False])
def test_the_score_of_a_trial_is_that_of_the_model_that_a_run_would_keep(tmp_path: Path, chooses: bool) -> None:
    best, trials, tried, _ = run_search(
        tmp_path, lambda settings, number: settings.learning_rate + (number == 9), chooses=chooses
    )
    complete = [trial for trial in trials if trial["outcome"] == "complete"]
    assert best["learning_rate"] == max(trial["learning_rate"] for trial in complete)
    for trial, settings in zip(trials, tried, strict=True):
        assert trial["learning_rate"] == settings.learning_rate
        if trial["outcome"] == "complete":
            assert trial["score"] == settings.learning_rate + chooses
            assert trial["evaluations"] == 16


@pytest.mark.parametrize(("task", "sign"), [(SINGLE, 1), (REGRESSION, -1)])
def test_poor_trials_are_stopped(tmp_path: Path, task: Any, sign: int) -> None:
    rates: list[float] = []  # of the trials, in their order

    def scores(settings: TrainConfig, number: int) -> float:
        if settings.learning_rate not in rates:
            rates.append(settings.learning_rate)
        return sign * (0.1 if len(rates) % 3 == 0 else 0.9)

    _, trials, _, said = run_search(tmp_path, scores, task)
    assert [trial["outcome"] for trial in trials[:4]] == ["complete"] * 4  # nothing to compare with
    assert [trial["number"] for trial in trials if trial["outcome"] == "pruned"] == [6, 9, 12]
    assert {trial["evaluations"] for trial in trials if trial["outcome"] == "pruned"} == {4}
    assert sum(line.endswith("(pruned)") for line in said) == 3


def test_trials_that_diverge_are_passed_over(tmp_path: Path) -> None:
    def scores(settings: TrainConfig, number: int) -> float:
        if settings.learning_rate > 0.01:
            raise EncT5Error("training diverged")
        return 0.5

    best, trials, _, _ = run_search(tmp_path, scores)
    assert best["learning_rate"] <= 0.01
    assert {trial["outcome"] for trial in trials} == {"complete", "failed"}
    assert all(trial["score"] is None for trial in trials if trial["outcome"] == "failed")


def test_a_search_of_which_nothing_is_left_says_so(tmp_path: Path) -> None:
    def scores(settings: TrainConfig, number: int) -> float:
        raise EncT5Error("training diverged")

    with pytest.raises(EncT5Error, match="none of the 3 trials could be completed; lower --learning-rate"):
        run_search(tmp_path, scores, hpo=3)


def test_an_interrupted_search_draws_what_an_uninterrupted_one_would(tmp_path: Path) -> None:
    def scores(settings: TrainConfig, number: int) -> float:
        return -abs(settings.learning_rate - 0.02)

    (tmp_path / "whole").mkdir()
    whole = run_search(tmp_path / "whole", scores)
    seen: list[TrainConfig] = []

    def interrupted(settings: TrainConfig, number: int) -> float:
        seen.append(settings)
        if len({settings.learning_rate for settings in seen}) == 7:
            raise KeyboardInterrupt
        return scores(settings, number)

    with pytest.raises(KeyboardInterrupt):
        run_search(tmp_path, interrupted)
    best, trials, tried, said = run_search(tmp_path, scores)
    assert len(tried) == 6
    assert said[0].startswith("trial 7 of 12: ")
    assert (best, trials) == whole[:2]


def test_what_the_user_names_stays_as_it_is() -> None:
    def names(task: Any = SINGLE, smooths: bool = True, **named: Any) -> list[str]:
        config = TrainConfig.checked(data="a", text=("b",), label="c", out="d", **named)
        return searched(config, task, smooths)

    assert names() == list(NAMES)
    assert names(batch_size=32, epochs=3) == ["learning_rate", "label_smoothing"]
    assert names(REGRESSION) == names(smooths=False) == ["learning_rate", "epochs", "batch_size"]
    with pytest.raises(EncT5Error, match=r"leave out one of --learning-rate, --epochs, --batch-size$"):
        names(REGRESSION, learning_rate=0.01, epochs=3, batch_size=8)


def test_a_run_is_trained_with_the_best_settings_and_so_is_a_resumed_one(
    t5_folder: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "messages.jsonl", messages(45))
    said: list[str] = []
    config = TrainConfig.checked(
        data=source, text=("text",), label="label", base=str(t5_folder()), out=str(tmp_path / "run"), hpo=3, epochs=2
    )
    with heard(said.append):
        record = training.train(config)
    assert sum(line.startswith("trial ") for line in said) == len(record["trials"]) == 3
    stored = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert stored["trials"] == record["trials"]
    kept = settings_of(tmp_path / "run")
    best = max(record["trials"], key=lambda trial: (trial["score"], -trial["number"]))
    found = {name: best[name] for name in ("learning_rate", "batch_size", "label_smoothing")}
    assert {name: getattr(kept, name) for name in found} == found
    assert (kept.epochs, kept.hpo) == (2, None)
    assert "checkpoints" not in {path.name for path in (tmp_path / "run").iterdir()}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert ">Search</h2>" in page
    assert f"{best['learning_rate']:.3g}" in page
    start(t5_folder(), tmp_path / "plain", source, epochs=2, **found)
    assert_same_weights(weights(tmp_path / "run"), weights(tmp_path / "plain"))

    def interrupt(line: str) -> None:
        if line.startswith("trial 2 "):
            raise InterruptedError

    config = config.model_copy(update={"out": str(tmp_path / "resumed")})
    with pytest.raises(InterruptedError), heard(interrupt):
        training.train(config)
    said.clear()
    with heard(said.append):
        resumed = training.train(config, resume=True)
    assert [line[:7] for line in said if line.startswith("trial ")] == ["trial 3"]
    assert resumed["trials"] == record["trials"]
    assert_same_weights(weights(tmp_path / "run"), weights(tmp_path / "resumed"))


def test_mistakes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several = SimpleNamespace(is_main_process=True, num_processes=2)
    with monkeypatch.context() as patched:
        patched.setattr(training_run, "process_state", lambda: several)
        with pytest.raises(EncT5Error, match="--hpo searches in one process"):
            start(Path("bundled"), tmp_path / "run", "unused", hpo=2)
    monkeypatch.setattr(errors.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(EncT5Error, match=r"--hpo needs optuna, which is not installed: pip install 'enct5\[hpo\]'"):
        start(Path("bundled"), tmp_path / "run", "unused", hpo=2)
