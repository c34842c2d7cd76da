"""A field is written once: its option, its help, its comment in YAML and its line of the docstring say the same."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from enct5.cli import command, start
from enct5.errors import EncT5Error
from enct5.tasks.registry import TASKS
from enct5.training.config import TrainConfig
from enct5.training.distillation.config import DistillConfig
from enct5.training.settings import choices_of, explained
from helpers.without_torch import run_command

CONFIGS = {"train": TrainConfig, "distill": DistillConfig}
NEEDED = {"data": "a.csv", "text": ("b",), "label": "c"}
# A value other than the default for every field there is, and how the command line has it.
VALUES: dict[str, tuple[Any, str]] = {
    "teacher": ("big", "big"),
    "data": ("x/a.csv", "x/a.csv"),
    "text": (("q", "a"), "--text q,a"),
    "label": ("kind", "--label kind"),
    "eval": ("held.csv", "--eval held.csv"),
    "task": ("multi", "--task multi-label"),
    "label_separator": (";", "--label-separator ;"),
    "delimiter": ("|", "--delimiter |"),
    "encoding": ("cp1252", "--encoding cp1252"),
    "skip_unknown_labels": (True, "--skip-unknown-labels"),
    "label_prompts": ("pad", "--label-prompts pad"),
    "label_descriptions": ("d.json", "--label-descriptions d.json"),
    "loss": ("focal", "--loss focal"),
    "class_weights": ("balanced", "--class-weights balanced"),
    "label_smoothing": (0.2, "--label-smoothing .2"),
    "token_decoder": (True, "--token-decoder"),
    "lora": (True, "--lora"),
    "gradient_checkpointing": (True, "--gradient-checkpointing"),
    "base": ("org/t5", "--base org/t5"),
    "out": ("there", "--out there"),
    "epochs": (2.5, "--epochs 2.5"),
    "batch_size": (7, "--batch-size 7"),
    "learning_rate": (1e-5, "--learning-rate 1e-5"),
    "warmup": (0.0, "--warmup 0"),
    "weight_decay": (0.5, "--weight-decay 0.5"),
    "max_length": (64, "--max-length 64"),
    "window": (128, "--window 128"),
    "allow_unknown": (True, "--allow-unknown"),
    "eval_fraction": (0.5, "--eval-fraction 0.5"),
    "hpo": (3, "--hpo 3"),
    "patience": (1, "--patience 1"),
    "precision": ("bfloat16", "--precision bfloat16"),
    "seed": (0, "--seed 0"),
    "report_to": (("wandb", "mlflow"), "--report-to wandb,mlflow"),
    "freeze_encoder": (True, "--freeze-encoder"),
    "add_labels": (True, "--add-labels --base big"),
    "tasks": ({"a": {"label": "b", "task": "multi"}, "c": {"label": "d"}}, "--task a=b:multi --task c=d"),
    "add_tasks": ({"a": {"label": "b:c"}}, "--add-task a=b:c --base big"),
    "temperature": (3.0, "--temperature 3"),
    "label_weight": (1.0, "--label-weight 1"),
}


# Settings that go with others only, or without: they have tests of their own.
APART = ("tasks", "add_tasks", "freeze_encoder", "add_labels")


def settable(config: type[TrainConfig]) -> list[str]:
    return [name for name in config.model_fields if name not in config.fixed]


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls a command and returns the configuration that it would run by, or its error."""
    seen: list[TrainConfig] = []

    def remember(config: TrainConfig, *others: object) -> None:
        seen.append(config)
        raise KeyboardInterrupt

    def call(name: str, *arguments: object) -> Any:
        monkeypatch.setattr(start, name, remember)
        result = CliRunner().invoke(command.app, [name, *map(str, arguments)])
        if isinstance(result.exception, EncT5Error) and not seen:
            return str(result.exception)
        return seen.pop()

    return call


def test_every_setting_has_a_value_here() -> None:
    assert set(VALUES) == set(TrainConfig.model_fields) | set(DistillConfig.model_fields)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_setting_is_reached_from_the_command_line_and_from_python(configured: Any, name: str) -> None:
    config = CONFIGS[name]
    places = [VALUES[field][1] for field in config.positional]
    fields = [field for field in settable(config) if field not in APART]
    words = [word for field in fields if field not in config.positional for word in VALUES[field][1].split()]
    by_options = configured(name, *places, *words)
    assert by_options == config.checked(**{field: VALUES[field][0] for field in fields})
    for field in fields:
        assert getattr(by_options, field) == VALUES[field][0]
        assert by_options.is_default(field) is False


@pytest.mark.parametrize("field", APART)
def test_settings_that_go_without_others_are_reached_from_both_sides(configured: Any, field: str) -> None:
    value, words = VALUES[field]
    given = {"data": "a.csv", "text": ("b",), field: value}
    of_one = field in ("freeze_encoder", "add_labels")
    given |= {"base": "big"} if field.startswith("add_") else {}
    given |= {"label": "c"} if of_one else {}
    label = ["--label", "c"] if of_one else []
    by_options = configured("train", "a.csv", "--text", "b", *label, *words.split())
    assert by_options == TrainConfig.checked(**given)
    assert by_options.is_default(field) is False


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_not_given_has_the_default(configured: Any, name: str) -> None:
    given = {"teacher": "big", **NEEDED} if name == "distill" else NEEDED
    arguments = ["big"] if name == "distill" else []
    assert configured(name, *arguments, "a.csv", "--text", "b", "--label", "c") == CONFIGS[name].checked(**given)


@pytest.mark.parametrize("name", CONFIGS)
def test_help_docstring_and_yaml_say_what_the_field_says(tmp_path: Path, name: str) -> None:
    config = CONFIGS[name]
    shown = " ".join(CliRunner().invoke(command.app, [name, "--help"]).output.split())
    config.checked(**{"teacher": "big"} if name == "distill" else {}, **NEEDED).write(tmp_path / "a.yaml")
    written = (tmp_path / "a.yaml").read_text(encoding="utf-8")
    for field in settable(config):
        info = config.model_fields[field]
        text = explained(info)
        assert " ".join(text.split()).replace("- ", "-") in shown.replace("- ", "-")  # help breaks lines at hyphens
        assert re.search(rf"^# {re.escape(text)}\n{field}:", written, flags=re.MULTILINE)
        assert re.search(rf"^    {field} \(.+\): {re.escape(text)}$", str(inspect.getdoc(config)), flags=re.MULTILINE)
        options = {mapping: option for option, mapping in config.entries.items()}
        assert re.search(rf"(^| ){config.option_of(options.get(field, field))} ", shown)
        if choices := choices_of(info):
            assert f"{config.option_of(field)} <{'|'.join(choices)}>" in shown
    for field in config.fixed:
        assert config.option_of(field) not in shown


def test_defaults_and_bounds_are_shown() -> None:
    fields = TrainConfig.model_fields
    assert explained(fields["batch_size"]).endswith("  [default: 32; x>=1]")
    assert explained(fields["eval_fraction"]).endswith("  [default: 0.1; x>0; x<=0.5]")
    assert explained(fields["label_smoothing"]).endswith("  [x>=0; x<1]")
    assert explained(fields["lora"]) == fields["lora"].description


@pytest.mark.parametrize("config", CONFIGS.values())
def test_a_setting_chosen_from_the_data_says_what_is_chosen(config: type[TrainConfig]) -> None:
    for name in settable(config):
        info = config.model_fields[name]
        off_by_default = name in ("label_descriptions", "tasks", "add_tasks")
        if info.default is None and not off_by_default:
            assert "default: " in str(info.description), name


def test_the_task_is_known_by_all_its_names() -> None:
    for task in TASKS.values():
        assert task.alias in str(TrainConfig.model_fields["task"].description)
        for name in (task.name, task.alias, *task.synonyms):
            assert TrainConfig.checked(**NEEDED, task=name).task == task.alias
    with pytest.raises(EncT5Error, match=r"^no task `singel`; did you mean `single`\? "):
        TrainConfig.checked(**NEEDED, task="singel")


def test_one_column_is_a_text_or_a_list_of_one() -> None:
    assert TrainConfig.checked(**NEEDED | {"text": "a, b"}).text == ("a, b",)
    assert TrainConfig.checked(**NEEDED | {"text": ["a", "b"]}).text == ("a", "b")


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("name", ["epochs", "batch_size", "seed", "hpo", "warmup"])
def test_yes_and_no_are_no_numbers(name: str, value: bool) -> None:
    with pytest.raises(EncT5Error, match=f"^`{name}` is `{value}`: input should be a number$"):
        TrainConfig.checked(**NEEDED, **{name: value})


def test_the_run_folder_is_named_after_the_data_only_where_the_data_is_told() -> None:
    assert TrainConfig.checked(**NEEDED | {"data": "x/org.csv"}).out == "runs/org"
    assert TrainConfig.checked(**NEEDED | {"data": "org/name:train"}).out == "runs/name"
    assert DistillConfig.checked(**NEEDED | {"data": "x/org.csv"}, teacher="big").out == "runs/org-student"
    with pytest.raises(EncT5Error, match=r"^`data` \(DATA\) is missing$"):
        TrainConfig.checked(text="b", label="c")


# Files of settings


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    return tmp_path


def written(text: str) -> str:
    Path("run.yaml").write_text(text, encoding="utf-8")
    return "run.yaml"


def test_options_win_over_the_file_and_the_file_over_the_defaults(here: Path, configured: Any) -> None:
    file = written("data: a.csv\ntext: b\nlabel: c\nbatch_size: 8\nepochs: 2\nlora: yes\nlearning_rate: 1e-3\n")
    assert configured("train", "--config", file) == TrainConfig.checked(
        **NEEDED, batch_size=8, epochs=2, lora=True, learning_rate=1e-3
    )
    found = configured("train", "--config", file, "--batch-size", 9, "--no-lora", "--text", "q,a")
    assert (found.batch_size, found.epochs, found.lora, found.text) == (9, 2.0, False, ("q", "a"))
    assert found.seed == 42
    assert configured("train", "b.csv", "--config", file).data == "b.csv"
    assert "batch_size" in configured("train", "--config", file).model_fields_set  # which a search leaves as it is


@pytest.mark.parametrize("name", CONFIGS)
def test_a_file_that_a_run_wrote_starts_the_same_run(here: Path, configured: Any, name: str) -> None:
    fields = [field for field in settable(CONFIGS[name]) if field not in APART]
    values = {field: VALUES[field][0] for field in fields} | {"base": "bundled", "data": "a.csv"}
    for file in ("held.csv", "d.json", "big"):
        Path(file).touch()
    config = CONFIGS[name].checked(**values)
    config.published().write(Path("train_config.yaml"))
    assert configured(name, "--config", "train_config.yaml") == config
    plain = CONFIGS[name].checked(**{"teacher": "big"} if name == "distill" else {"label": "c"}, data="a.csv", text="b")
    plain.write(Path("train_config.yaml"))  # of a distillation without labels
    assert CONFIGS[name].from_yaml("train_config.yaml") == plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3\n", "run.yaml, line 4: no training option `epoch`; did you mean `epochs`?"),
        ("\nepochs: many\n", "run.yaml, line 5: `epochs` is `many`: input should be a valid number"),
        ("batch_size: 1.5\n", "run.yaml, line 4: `batch_size` is `1.5`: input should be a valid integer"),
        ("seed: on\n", "run.yaml, line 4: `seed` is `True`: input should be a number"),
        ("eval_fraction: 0.9\n", "run.yaml, line 4: `eval_fraction` is `0.9`: input should be less than or equal"),
        ("precision: float61\n", "did you mean `bfloat16`?"),
        ("task: singel\n", "run.yaml, line 4: no task `singel`; did you mean `single`?"),
        ("eval: [a.csv]\n", "run.yaml, line 4: `eval` is `['a.csv']`: input should be a valid string"),
        ("eval: 2024-01-01\n", "run.yaml, line 4: `eval` is `2024-01-01`: input should be a valid string"),
        ("label: d\n", "cannot read the settings in run.yaml: line 4: `label` stands there for the second time"),
        ("{", "cannot read the settings in run.yaml: line 4: "),
        ("1: 2\n", "run.yaml, line 4: no training option `1`"),
        ("teacher: big\n", "run.yaml, line 4: no training option `teacher`"),
        ("eval: there.csv\n", "run.yaml, line 4: `eval` is `there.csv`, which is not here (a run folder keeps names"),
        ("base: my-t5\n", "name it beside the file: --base"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(here: Path, configured: Any, text: str, message: str) -> None:
    told = configured("train", "--config", written("data: a.csv\ntext: b\nlabel: c\n" + text))
    assert message in told
    assert "\n" not in told


def test_the_line_is_not_told_of_what_the_command_line_gave(here: Path, configured: Any) -> None:
    file = written("data: gone.csv\ntext: b\nlabel: c\nseed: 1\nbase: gone\n")
    message = configured("train", "a.csv", "--base", "org/t5", "--config", file, "--seed", -1, "--batch-size", 0)
    assert message == (
        "`batch_size` is `0`: input should be greater than or equal to 1; "
        "`seed` is `-1`: input should be greater than or equal to 0"
    )


def test_names_on_the_hub_are_no_files_that_are_not_here(here: Path, configured: Any) -> None:
    file = written("data: imdb:train\ntext: b\nlabel: c\nbase: google-t5/t5-base\n")
    assert configured("train", "--config", file).base == "google-t5/t5-base"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ran.yaml", "no file of settings `ran.yaml`; did you mean `run.yaml`?"),
        ("zzz", "check the path"),
        (".", "cannot"),
    ],
)
def test_a_file_that_is_not_there_is_told(here: Path, configured: Any, name: str, message: str) -> None:
    written("data: a.csv\n")
    assert message in configured("train", "--config", name)


def test_missing_settings_are_told_where_the_file_has_none_either(here: Path, configured: Any) -> None:
    assert configured("train", "--config", written("text: b\n")) == (
        "`data` (DATA) is missing; `label` (--label) is missing"
    )
    assert (
        configured("distill") == "`data` (DATA) is missing; `text` (--text) is missing; `teacher` (TEACHER) is missing"
    )


def test_help_of_a_command_does_not_wait_for_another_commands_settings(tmp_path: Path) -> None:
    import subprocess

    code = "import sys; from enct5.cli import main\nsys.argv[1:] = ['--help']\ntry: main()\nexcept SystemExit: pass\n"
    code += "assert not {'pydantic', 'yaml', 'numpy'} & set(sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_what_is_wrong_with_a_file_is_told_before_torch_is_imported(here: Path) -> None:
    ended = run_command("train", "--config", written("data: a.csv\ntext: b\nlabel: c\nseed: -1\n"))
    assert ended.stderr == ("enct5: run.yaml, line 4: `seed` is `-1`: input should be greater than or equal to 0\n")


def test_a_file_that_a_run_of_several_tasks_wrote_starts_the_same_run(here: Path, configured: Any) -> None:
    config = TrainConfig.checked(data="a.csv", text="b", tasks={"a": {"label": "x", "weight": 0.5}, "b": "y:multi"})
    config.published().write(Path("train_config.yaml"))
    assert configured("train", "--config", "train_config.yaml") == config


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tasks": {"a": "x"}, "label": "y"}, "`label` is `y`, but `tasks` names the tasks' columns; give one of them"),
        ({}, "`label` (--label) is missing"),
        ({"tasks": {"a": "x"}, "loss": "focal"}, "`loss` is `focal`, which is of one task; with several, say it of"),
        ({"tasks": {"a": "x"}, "lora": True}, "`lora` (--lora) is for one task; leave it out"),
        ({"tasks": {"a.b": "x"}}, "a task is called `a.b`; names of tasks are letters, digits, `_` and `-`"),
        ({"add_tasks": {"": "x"}, "base": "runs/a"}, "a task is called ``; names of tasks are letters, digits"),
        ({"tasks": {"a": {"label": "x", "los": "focal"}}}, "no task setting `los`; did you mean `loss`?"),
        ({"tasks": {"a": {"label": "x", "task": "multy"}}}, "no task `multy`; did you mean `multi`?"),
        (
            {"add_tasks": {"a": "x"}},
            "`add_tasks` (--add-task) adds to the tasks of a model; name it by `base` (--base)",
        ),
        (
            {"tasks": {"a": "x"}, "add_tasks": {"b": "y"}, "base": "z"},
            "`tasks` (--task) and `add_tasks` (--add-task) do",
        ),
        ({"label": "y", "lora": True, "freeze_encoder": True}, "`freeze_encoder` and `lora` do not go together"),
        ({"label": "y", "add_labels": True}, "`add_labels` (--add-labels) adds to the labels of a model; name it by"),
        (
            {"label": "y", "add_labels": True, "base": "z", "lora": True},
            "`lora` and `add_labels` do not go together; leave out one of them",
        ),
        (
            {"tasks": {"a": {"label": "x", "class_weights": "balanced"}}, "add_labels": True, "base": "z"},
            "`class_weights` and `add_labels` do not go together",
        ),
    ],
)
def test_settings_of_several_tasks_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(EncT5Error) as error:
        TrainConfig.checked(data="a.csv", text="b", **given)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--task a=x --task multi", "--task is `a=x`, `multi`: give one kind, or NAME=COLUMN for each task"),
        ("--task single --task multi", "--task is `single`, `multi`: give one kind, or NAME=COLUMN for each task"),
        ("--task a=x --task a=y", "--task is `a=x`, `a=y`: give one kind, or NAME=COLUMN for each task"),
        ("--add-task a", "--add-task is `a`; name the task: NAME=COLUMN[:KIND]"),
    ],
)
def test_options_of_several_tasks_that_cannot_be(configured: Any, words: str, message: str) -> None:
    assert configured("train", "a.csv", "--text", "b", *words.split()) == message
