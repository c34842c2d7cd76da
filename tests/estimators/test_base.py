"""Parameters are the settings of a run, by their names and defaults; `fit` is such a run."""

import inspect
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

import enct5
from enct5.errors import EncT5Error
from enct5.estimators import EncT5Classifier, EncT5Regressor, EncT5Tagger
from enct5.estimators.base import NOT_PARAMETERS
from enct5.tasks.registry import find_task
from enct5.training.config import TrainConfig
from helpers.estimators import leave_untrained
from helpers.runs import messages
from helpers.texts import sentences

pytestmark = pytest.mark.usefixtures("one_thread")

ESTIMATORS = {EncT5Classifier: ("single", "multi"), EncT5Regressor: ("regression",), EncT5Tagger: ("tokens",)}
TEXTS, LABELS = [row["text"] for row in messages(24)], [row["label"] for row in messages(24)]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, t5_folder: Callable[..., Path]) -> list[TrainConfig]:
    return leave_untrained(monkeypatch, t5_folder())


def parameters(kind: type[BaseEstimator]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_setting_is_a_parameter_unless_the_estimator_or_its_task_has_no_use_for_it(kind: Any) -> None:
    fields = TrainConfig.model_fields
    assert set(NOT_PARAMETERS) <= set(fields)
    wanted = {name: info.default for name, info in fields.items() if name not in (*NOT_PARAMETERS, *kind.without)}
    assert parameters(kind) == wanted | {"out": None, "random_state": fields["seed"].default}
    assert kind().get_params() == parameters(kind)
    assert all(f"    {name}: " in kind.__doc__ for name in parameters(kind))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_settings_that_an_estimator_lacks_are_those_that_its_task_refuses(kind: Any) -> None:
    options = {name for task in ESTIMATORS[kind] for name in find_task(task).options}
    others = {name for task in ("single", "tokens") for name in find_task(task).options} - options
    assert others <= set(kind.without)
    assert not options & set(kind.without)
    if not any(find_task(task).balance for task in ESTIMATORS[kind]):
        assert {"loss", "class_weights"} <= set(kind.without)
    if not any(find_task(task).prompt_per_label for task in ESTIMATORS[kind]):
        assert {"label_prompts", "label_descriptions"} <= set(kind.without)


def test_public_names_are_the_estimators() -> None:
    assert (enct5.EncT5Classifier, enct5.EncT5Regressor, enct5.EncT5Tagger) == tuple(ESTIMATORS)


def test_parameters_reach_the_run(seen: list[TrainConfig]) -> None:
    given = {"epochs": 2.5, "batch_size": 4, "loss": "focal", "max_length": 64, "report_to": ("wandb",)}
    EncT5Classifier(random_state=np.int64(7), **given).fit(TEXTS, LABELS)
    assert {name: getattr(seen[0], name) for name in given} == given
    assert (seen[0].seed, seen[0].task) == (7, "single")
    others = set(TrainConfig.model_fields) - {*given, *NOT_PARAMETERS}
    assert all(seen[0].is_default(name) for name in others)


def test_clones_have_the_parameters_and_nothing_learned(seen: list[TrainConfig]) -> None:
    fitted = EncT5Regressor(epochs=3, lora=True).fit(TEXTS, range(24))
    copy = clone(fitted).set_params(epochs=4)
    assert copy.get_params() == fitted.get_params() | {"epochs": 4}
    with pytest.raises(NotFittedError):
        copy.predict(TEXTS)


def test_random_states_are_seeds_or_draw_one(seen: list[TrainConfig]) -> None:
    for state in (3, np.random.RandomState(0), np.random.RandomState(0), None, None):
        EncT5Classifier(random_state=state).fit(TEXTS, LABELS)
    seeds = [config.seed for config in seen]
    assert seeds[0] == 3
    assert seeds[1] == seeds[2] == np.random.RandomState(0).randint(2**31)
    assert seeds[3] != seeds[4]


def test_no_folder_is_left_unless_it_is_named(
    seen: list[TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"  # one's own: other processes make such folders, too
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    fitted = EncT5Classifier().fit(TEXTS, LABELS)
    assert temporary in Path(seen[-1].out).parents
    assert not list(temporary.iterdir())
    assert fitted.metrics_ == {"figure": 1.0}
    kept = EncT5Classifier(out=tmp_path / "run").fit(TEXTS, LABELS)
    loaded = enct5.Predictor.from_pretrained(tmp_path / "run")
    assert [row["label"] for row in loaded.predict(TEXTS)] == kept.predict(TEXTS).tolist()


def test_texts_come_in_any_column_and_pairs_in_two(seen: list[TrainConfig]) -> None:
    texts, others = sentences(24), sentences(48)[24:]
    single = EncT5Classifier().fit(pd.Series(texts, index=range(24, 0, -1)), LABELS)
    wanted = single.predict_proba(texts)
    for given in (
        np.array(texts),
        np.array(texts, dtype=object).reshape(-1, 1),
        pd.DataFrame({"x": texts}),
        tuple(texts),
    ):
        np.testing.assert_array_equal(single.predict_proba(given), wanted)
    pairs = list(zip(texts, others, strict=True))
    double = EncT5Classifier().fit(pairs, LABELS)
    assert seen[-1].text == ("text", "text_pair")
    wanted = double.predict_proba(pairs)
    for given in (np.array(pairs), pd.DataFrame(pairs), [list(pair) for pair in pairs]):
        np.testing.assert_array_equal(double.predict_proba(given), wanted)
    assert EncT5Classifier().fit(pd.DataFrame(pairs), LABELS).predict(pairs).tolist() == double.predict(pairs).tolist()


@pytest.mark.parametrize(
    ("parameters", "data", "message"),
    [
        ({"epochs": -1}, (TEXTS, LABELS), "`epochs` is `-1`: input should be greater than 0"),
        ({}, (TEXTS, LABELS[1:]), "inconsistent numbers of samples"),
        ({}, ([*TEXTS[1:], None], LABELS), r"lacks the text in 1 of 24 rows \(first: row 24\)"),
        ({}, (np.ones((24, 3)), LABELS), "text 1 is"),
        ({}, (range(24), LABELS), "row 1: `0` is not a text but of type int"),
        ({}, ("one text", ["x"]), r"X is `'one text'` \(str\); give a list"),
        ({"base": "no/such/folder"}, (TEXTS, LABELS), "there is no folder no/such/folder"),
    ],
)
def test_mistakes_are_value_errors(parameters: dict[str, Any], data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EncT5Classifier(**parameters).fit(*data)


def test_a_wrong_parameter_is_told_with_the_nearest_right_one() -> None:
    with pytest.raises(ValueError, match="no parameter `tasks`"):  # `fit` is given the labels of one
        EncT5Classifier(tasks={"intent": "label"})
    with pytest.raises(EncT5Error, match="no parameter `epoch`; did you mean `epochs`"):
        EncT5Classifier(epoch=3)
    with pytest.raises(EncT5Error, match="no parameter `token_decoder`"):
        EncT5Classifier(token_decoder=True)
