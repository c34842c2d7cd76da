"""Hyperparameter search by optuna: the same run with other settings in every trial, poor ones stopped early.

Trials go into a journal in the run folder when they end, so that an interrupted search goes on after the last of them.
The search does not go through `Trainer.hyperparameter_search`: that scores a trial by its last evaluation even where a
run keeps the best one's model, and builds what smooths the labels before the trial says by how much.

optuna is an optional dependency, so it is imported when it is needed.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.errors import EncT5Error
from enct5.tasks.base import Task
from enct5.training.callbacks import Pruning
from enct5.training.config import SEARCHED, TrainConfig
from enct5.training.logs import silence
from enct5.training.trainer import EncT5Trainer

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.trial import FrozenTrial


logger = logging.getLogger(__name__)

JOURNAL = "trials.journal"
# A trial is stopped when it is below the median of the others at the same share of its steps: not before there are so
# many others, nor before so many of its evaluations, while the rate still rises.
_FEWEST_TRIALS, _FEWEST_EVALUATIONS = 4, 4


def searched(config: TrainConfig, task: Task, smooths: bool) -> list[str]:
    """The settings to search for: those that the user has not named, as far as the task has them.

    Args:
        config: The settings as they were given.
        task: What is to be learned.
        smooths: Whether the loss can smooth labels.

    Raises:
        EncT5Error: When none is left.
    """
    possible = [name for name in SEARCHED if name != "label_smoothing" or (smooths and name in task.options)]
    names = [name for name in possible if name not in config.model_fields_set]
    if not names:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in possible)
        raise EncT5Error(f"--hpo has nothing to search for: leave out one of {options}")
    return names


def search(
    settings: TrainConfig,
    names: Sequence[str],
    task: Task,
    make_trainer: Callable[[TrainConfig], EncT5Trainer],
    journal: Path,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run trials until there are `settings.hpo`, the first with the settings as they are; log a line for each.

    Args:
        settings: The run's settings, resolved; they are the middle of what is tried.
        names: The settings that are searched for.
        task: What is learned; its `metric_for_best_model` is the score.
        make_trainer: Gives a trainer with a new model.
        journal: File of the trials.

    Returns:
        The best trial's settings, and all trials: `number`, `outcome` ("complete", "pruned" or "failed"), `score` (of
        the evaluation whose model a run would keep: the best, or the last where the texts are too few to choose by),
        `evaluations`, and the settings.

    Raises:
        EncT5Error: When no trial could be completed.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    best = max if task.greater_is_better else min
    study = optuna.create_study(
        study_name="enct5",
        storage=JournalStorage(JournalFileBackend(str(journal))),
        direction="maximize" if task.greater_is_better else "minimize",
        pruner=optuna.pruners.MedianPruner(_FEWEST_TRIALS, _FEWEST_EVALUATIONS),
        load_if_exists=True,
    )
    while (count := len(study.get_trials(states=ended))) < (settings.hpo or 0):
        # A sampler of its own for each trial, blind to trials that never ended, so that a resumed search draws what an
        # uninterrupted one would.
        study.sampler = optuna.samplers.TPESampler(seed=settings.seed + count, constant_liar=False)
        if not count:
            values = {name: getattr(settings, name) for name in names}
            study.enqueue_trial({name: int(value) if name == "epochs" else value for name, value in values.items()})
        trial = study.ask()
        tried = settings.model_copy(update=_suggest(trial, settings, names))
        outcome = TrialState.COMPLETE
        with silence():
            trainer = make_trainer(tried)
            trainer.add_callback(Pruning(trial, task.metric_for_best_model))
            try:
                trainer.train()
            except optuna.TrialPruned:
                outcome = TrialState.PRUNED
            except EncT5Error:  # it diverged
                outcome = TrialState.FAIL
        scores = study.trials[trial.number].intermediate_values.values()
        kept = best if trainer.args.metric_for_best_model else _last
        study.tell(trial, kept(scores) if outcome == TrialState.COMPLETE else None, state=outcome)
        record = _record(study.trials[trial.number], count + 1, best)
        drawn = ", ".join(f"{name.replace('_', ' ')} {record[name]:.3g}" for name in names)
        ending = "" if outcome == TrialState.COMPLETE else f" ({record['outcome']})"
        score = "" if record["score"] is None else f": {task.metric_for_best_model} {record['score']:.4f}"
        logger.info(f"trial {count + 1} of {settings.hpo}: {drawn}{score}{ending}")
    trials = [_record(trial, number, best) for number, trial in enumerate(study.get_trials(states=ended), start=1)]
    if not any(trial["outcome"] == "complete" for trial in trials):
        raise EncT5Error(f"none of the {len(trials)} trials could be completed; lower --learning-rate")
    return _values(study.best_trial), trials


def _suggest(trial: "Trial", settings: TrainConfig, names: Sequence[str]) -> dict[str, Any]:
    """Draw a trial's settings: factors of the defaults, which are relative to the base and the data already."""
    rate, epochs, size = settings.learning_rate or 0.0, int(settings.epochs or 1), settings.batch_size
    draws: dict[str, Callable[[], Any]] = {
        "learning_rate": lambda: trial.suggest_float("learning_rate", rate / 4, rate * 4, log=True),
        "epochs": lambda: trial.suggest_int("epochs", max(1, epochs // 2), epochs * 2, log=True),
        "batch_size": lambda: trial.suggest_categorical("batch_size", (max(1, size // 2), size, size * 2)),
        "label_smoothing": lambda: trial.suggest_float("label_smoothing", 0.0, 0.2, step=0.05),
    }
    for name in names:
        draws[name]()
    return _values(trial)


def _values(trial: "Trial | FrozenTrial") -> dict[str, Any]:
    """A trial's settings, of the types that `TrainConfig` has."""
    values = dict(trial.params)
    if "epochs" in values:
        values["epochs"] = float(values["epochs"])
    if "label_smoothing" in values:
        values["label_smoothing"] = round(values["label_smoothing"], 2)  # optuna adds up its steps
    return values


def _last(scores: Iterable[float]) -> float:
    return list(scores)[-1]


def _record(trial: "FrozenTrial", number: int, best: Callable[..., Any]) -> dict[str, Any]:
    outcome = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name]
    scores = trial.intermediate_values.values()
    score = trial.value if outcome == "complete" else best(scores, default=None)
    return {"number": number, "outcome": outcome, "score": score, "evaluations": len(scores), **_values(trial)}
