"""Training options: all mistakes at once, and a YAML file that says the same as the object."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from enct5.errors import EncT5Error
from enct5.training.config import TrainConfig
from enct5.training.settings import explained
from helpers.runs import settings_of

NEEDED = {"data": "reviews.csv", "text": ("review",), "label": "verdict", "out": "runs/reviews"}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30)


def refusal(**values: object) -> str:
    with pytest.raises(EncT5Error) as caught:
        TrainConfig.checked(**(NEEDED | values))
    return str(caught.value)


def test_defaults_are_the_documented_ones() -> None:
    config = TrainConfig.checked(**NEEDED)
    assert (config.task, config.base, config.precision) == ("auto", "bundled", "auto")
    assert (config.batch_size, config.eval_fraction) == (32, 0.1)
    assert (config.patience, config.seed, config.warmup, config.weight_decay) == (8, 42, 0.1, 0.01)
    assert config.max_length is config.window is None
    assert config.epochs is config.learning_rate is config.eval is config.label_separator is None
    assert config.label_prompts is config.label_descriptions is config.loss is config.class_weights is None


def test_all_problems_come_at_once() -> None:
    message = refusal(batch_size=0, epochs=-1, precision="float16", learning_rate="fast")
    for part in ("`batch_size` is `0`", "`epochs` is `-1`", "`precision` is `float16`", "`learning_rate` is `fast`"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("batch_size", 0, "greater than or equal to 1"),
        ("batch_size", 1.5, "valid integer"),
        ("epochs", 0, "greater than 0"),
        ("epochs", float("inf"), "finite"),
        ("epochs", float("nan"), "finite"),
        ("learning_rate", -1e-3, "greater than 0"),
        ("learning_rate", float("inf"), "finite"),
        ("max_length", 1, "greater than or equal to 2"),
        ("eval_fraction", 0, "greater than 0"),
        ("eval_fraction", 0.9, "less than or equal to 0.5"),
        ("patience", 0, "greater than or equal to 1"),
        ("warmup", 1, "less than 1"),
        ("weight_decay", -0.1, "greater than or equal to 0"),
        ("seed", -1, "greater than or equal to 0"),
        ("label_prompts", "words", "'names' or 'pad'"),
        ("loss", "hinge", "'bce', 'focal' or 'asymmetric'"),
        ("class_weights", "inverse", "'balanced'"),
        ("precision", "float16", "'auto', 'float32' or 'bfloat16'"),
    ],
)
def test_impossible_values_are_refused_with_the_value_and_the_reason(name: str, value: object, reason: str) -> None:
    message = refusal(**{name: value})
    assert f"`{name}` is `{value}`" in message
    assert reason in message


def test_an_unknown_option_is_answered_with_the_nearest_one() -> None:
    assert "no training option `learning_rat`; did you mean `learning_rate`?" in refusal(learning_rat=1)


def test_a_missing_option_is_named() -> None:
    with pytest.raises(EncT5Error, match="`label`"):
        TrainConfig.checked(data="a.csv", text=("text",), out="runs/a")


def test_every_option_is_described() -> None:
    for name, info in TrainConfig.model_fields.items():
        assert info.description, name
        assert info.description.endswith("."), name


def test_a_written_configuration_is_read_back_equal(tmp_path: Path) -> None:
    config = TrainConfig.checked(
        **NEEDED | {"text": ("question", "answer: long"), "label_separator": ";", "label": "ärger 🙂"},
        learning_rate=1e-5,
        epochs=2.5,
        eval="held out.jsonl",
        seed=7,
    )
    config.write(tmp_path / "train_config.yaml")
    assert settings_of(tmp_path) == config


def test_the_yaml_file_has_each_option_below_its_description(tmp_path: Path) -> None:
    path = tmp_path / "train_config.yaml"
    TrainConfig.checked(**NEEDED).write(path)
    lines = path.read_text().splitlines()
    assert list(yaml.safe_load(path.read_text())) == list(TrainConfig.model_fields)
    for name, info in TrainConfig.model_fields.items():
        assert lines[lines.index(f"# {explained(info)}") + 1].startswith(f"{name}:")


@given(data=TEXT, text=st.lists(TEXT, min_size=1, max_size=2), label=TEXT, rate=st.floats(1e-300, 1e300))
@settings(max_examples=60, deadline=None)
def test_any_names_and_numbers_survive_the_yaml_file(
    tmp_path_factory: pytest.TempPathFactory, data: str, text: list[str], label: str, rate: float
) -> None:
    config = TrainConfig.checked(data=data, text=tuple(text), label=label, out="runs/x", learning_rate=rate)
    folder = tmp_path_factory.getbasetemp()
    config.write(folder / "train_config.yaml")
    assert settings_of(folder) == config


def test_what_is_published_has_names_and_no_paths(tmp_path: Path) -> None:
    for name in ("a.csv", "words.json"):
        (tmp_path / name).touch()
    (tmp_path / "t5").mkdir()
    sources = {"data": tmp_path / "a.csv", "eval": tmp_path / "a.csv", "label_descriptions": tmp_path / "words.json"}
    paths = {name: str(path) for name, path in sources.items()} | {"base": str(tmp_path / "t5"), "out": str(tmp_path)}
    config = TrainConfig.checked(**NEEDED | paths)
    changed = {"data": "a.csv", "eval": "a.csv", "label_descriptions": "words.json", "base": "t5", "out": tmp_path.name}
    assert config.published() == config.model_copy(update=changed)
    on_the_hub = TrainConfig.checked(**NEEDED | {"data": "imdb:train", "base": "google-t5/t5-base"})
    assert on_the_hub.published() == on_the_hub.model_copy(update={"out": on_the_hub.out})
    assert TrainConfig.checked(**NEEDED).published().eval is None


@pytest.mark.parametrize(
    ("source", "published"),
    [
        ("{}/*.csv", "*.csv"),
        ("{}/a.csv,{}/b.csv", "a.csv,b.csv"),
        ("{}/book.xlsx:Sheet 2", "book.xlsx:Sheet 2"),
        ("org/reviews:train", "org/reviews:train"),
        ("-", "standard input"),
    ],
)
def test_what_is_published_of_several_files_or_a_part_has_no_paths(tmp_path: Path, source: str, published: str) -> None:
    for name in ("a.csv", "b.csv", "book.xlsx"):
        (tmp_path / name).touch()
    config = TrainConfig.checked(**NEEDED | {"data": source.format(tmp_path, tmp_path), "eval": None})
    assert config.published().data == published
    evaluated = TrainConfig.checked(**NEEDED | {"eval": source.format(tmp_path, tmp_path)})
    assert evaluated.published().eval == published
