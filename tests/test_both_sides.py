"""What the command line can be told, Python can, and the other way round; where not, for a reason that stands here."""

import inspect
from typing import Any, NamedTuple

import pytest
import typer

import enct5
from enct5.cli import settings
from enct5.cli.command import app
from enct5.export import export
from enct5.inference.bench import bench
from enct5.inference.inspection import inspect as info
from enct5.model.conversion import convert
from enct5.training import TrainConfig
from enct5.training.distillation import DistillConfig

VALUE = "what is written to a file is a value in Python"
AT = "it takes `name@revision`"
KEY = "a key of EncT5Config, which `convert` takes"
NOT_COMMANDS = {
    "token": "other users of a machine see a command's options; it has HF_TOKEN and `hf auth login`",
    "labels": "a command's data is a file, whose column --label names",
    "backend": "a folder says what runs it",
    "fold": "the plain model gives the same result later",
    "compile": "the same",
    "as_frame": VALUE,
    "id2label": "the labels get their names when the checkpoint is trained",
    "model_class": "--problem-type says it",
}


class Sides(NamedTuple):
    """A command, and what does the same in Python.

    Attributes:
        python: functions, and configurations whose fields are their keywords.
        names: the command's name of a parameter that Python calls otherwise.
        not_python: options that Python has not, and why.
        not_command: parameters that the command has not, and why, beside `NOT_COMMANDS`.
    """

    python: tuple[Any, ...]
    names: dict[str, str] = {}
    not_python: dict[str, str] = {}
    not_command: dict[str, str] = {}


Predictor = enct5.Predictor
PAIR = {"second": "a pair is a tuple"}
FILES = dict.fromkeys(("delimiter", "encoding"), "a table is given as it was read, by pandas say")
CHECKED = {
    *("data", "text", "label", "eval", "task", "label_separator", "delimiter", "encoding", "skip_unknown_labels"),
    *("base", "max_length"),
}
SIDES = {
    "train": Sides((enct5.train, TrainConfig), {"tasks": "task", "add_tasks": "add_task"}),
    "distill": Sides((enct5.distill, DistillConfig)),
    "evaluate": Sides((enct5.evaluate, Predictor.from_pretrained), {"path": "model"}, {"json_file": VALUE}),
    "check": Sides(
        (enct5.check, TrainConfig),
        not_command=dict.fromkeys(
            set(TrainConfig.model_fields) - CHECKED, "of training, which a check does not look at"
        ),
    ),
    "predict": Sides(
        (Predictor.predict, Predictor.from_pretrained),
        {"path": "model", "texts": "data"},
        {
            "out": VALUE,
            "resume": VALUE,
            "shard": "a program has the rows that it gives",
            "ray": "enct5.ray does",
            **PAIR,
            **FILES,
        },
    ),
    "explain": Sides(
        (Predictor.explain, Predictor.from_pretrained),
        {"path": "model"},
        {"html": VALUE, **PAIR},
        dict.fromkeys(("device", "dtype", "quantize", "batch_tokens"), "one text, in the numbers of the checkpoint"),
    ),
    "convert": Sides(
        (convert,),
        {},
        {
            **dict.fromkeys(
                ("out", "overwrite", "push_to_hub", "private"), "the model's `save_pretrained`, `push_to_hub`"
            ),
            **dict.fromkeys(("num_decoder_layers", "token_decoder"), KEY),
        },
        dict.fromkeys(("dtype", "device"), "a checkpoint to be trained is in float32"),
    ),
    "export": Sides(
        (export,),
        {"source": "model"},
        {"overwrite": "a program can delete a folder", "file_format": "there is one format"},
    ),
    "bench": Sides((bench,), {"source": "model"}, {"revision": AT}),
    "info": Sides((info,), {"source": "model"}, {"revision": AT}),
}


def options_of(name: str) -> set[str]:
    """What a command can be told; the options of `train` and `distill` are made when they are called."""
    group: Any = typer.main.get_command(app)
    command = group.commands[name]
    if isinstance(command, settings.SettingsCommand):
        command = settings._command(*command.callback(), None)
    return {str(parameter.name) for parameter in command.params} - {"help"}


def parameters_of(side: Any) -> set[str]:
    """What something in Python can be told."""
    if inspect.isclass(side):
        return set(side.model_fields) - set(side.fixed)
    parameters = inspect.signature(side).parameters.values()
    return {one.name for one in parameters if one.kind is not one.VAR_KEYWORD} - {"self", "cls"}


def test_every_command_has_its_other_side() -> None:
    group: Any = typer.main.get_command(app)
    commands_alone = {"demo", "serve", "merge"}  # for a terminal, for other programs, from folders to a folder
    assert set(group.commands) - commands_alone == SIDES.keys()


@pytest.mark.parametrize("command", SIDES)
def test_both_sides_can_be_told_the_same(command: str) -> None:
    sides, options = SIDES[command], options_of(command)
    told = {sides.names.get(name, name) for side in sides.python for name in parameters_of(side)}
    assert options - told == sides.not_python.keys()
    assert sides.not_command.keys() <= told - options
    assert told - options - sides.not_command.keys() <= NOT_COMMANDS.keys()


def test_every_reason_is_needed() -> None:
    told = {name for sides in SIDES.values() for side in sides.python for name in parameters_of(side)}
    assert NOT_COMMANDS.keys() <= told
