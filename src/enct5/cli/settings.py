"""Commands whose options are the fields of a configuration: named, typed, explained and checked there alone.

pydantic takes a tenth of a second to import, so such a command is made when it is called.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand
from typer.main import get_command

from enct5.cli.once import OnceCommand
from enct5.cli.options import Private, PushToHub, columns_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from enct5.training.settings import Settings

# What a command has beside its configuration's fields.
_OTHERS = {
    "config": Annotated[
        str | None,
        typer.Option(
            "--config",
            help="YAML file of settings, such as a run folder's train_config.yaml; what is given here wins over it.",
        ),
    ],
    "resume": Annotated[bool, typer.Option("--resume", help="Continue the interrupted run in --out.")],
    "overwrite": Annotated[
        bool, typer.Option("--overwrite", help="Replace the finished run in --out, when the new one is complete.")
    ],
    "push_to_hub": PushToHub,
    "private": Private,
}


class SettingsCommand(TyperCommand):
    """A command whose function has no parameters, and returns the configuration and what is to be done with it."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """As ever, with the options of the configuration."""
        assert self.callback is not None
        config, run = self.callback()
        return _command(config, run, self.help).make_context(info_name, args, parent, **extra)


def _command(config: "type[Settings]", run: Callable[..., None], help: str | None) -> Any:
    def command(**given: Any) -> None:
        others = {name: given.pop(name) for name in _OTHERS}
        file = others.pop("config")
        given |= _entries(config, given)
        values = {name: _read(config, name, value) for name, value in given.items() if value is not None}
        run(config.checked(**values) if file is None else config.from_yaml(file, **values), **others)

    fields = {name: info for name, info in config.model_fields.items() if name not in config.fixed}
    parameters = {name: _parameter(config, name, fields[name]) for name in [*config.positional, *fields]}
    for option, mapping in config.entries.items():
        if mapping in fields:
            parameters[option] = _repeated(config, option, parameters.pop(mapping), fields.get(option))
    defaults = {name: False if get_args(kind)[0] is bool else None for name, kind in _OTHERS.items()}
    others = {name: _keyword(name, kind, defaults[name]) for name, kind in _OTHERS.items()}
    command.__signature__ = inspect.Signature([*parameters.values(), *others.values()])  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(cls=OnceCommand, help=help)(command)
    return get_command(app)


def _keyword(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _parameter(config: "type[Settings]", name: str, info: "FieldInfo") -> inspect.Parameter:
    """A field as an option or argument, which is `None` where it is not given."""
    from enct5.training.settings import choices_of, explained, kind_of

    kind, spelt = kind_of(info), config.option_of(name)
    help = explained(info) + "  [required]" * info.is_required()
    if name in config.positional:
        return _keyword(name, Annotated[str | None, typer.Argument(metavar=spelt, help=help)], None)
    if kind is bool:
        return _keyword(name, Annotated[bool | None, typer.Option(f"{spelt}/--no-{spelt[2:]}", help=help)], None)
    shown = f"<{'|'.join(choices)}>" if (choices := choices_of(info)) else None
    if get_origin(kind) is tuple:
        shown = "<str[,str]>"
    plain = kind if kind in (int, float) else str
    return _keyword(name, Annotated[plain | None, typer.Option(spelt, metavar=shown, help=help)], None)


def _repeated(
    config: "type[Settings]", option: str, entries: inspect.Parameter, single: "FieldInfo | None"
) -> inspect.Parameter:
    """An option that is given once for each entry of a mapping, or has a value of its own, too."""
    from enct5.training.settings import explained

    _, described = entries.annotation.__metadata__, entries.annotation.__metadata__[0].help
    help = described if single is None else f"{explained(single)} {described}"
    shown = "NAME=COLUMN[:KIND]" if single is None else "KIND | NAME=COLUMN[:KIND]"
    kind = Annotated[list[str] | None, typer.Option(config.option_of(option), metavar=shown, help=help)]
    return _keyword(option, kind, None)


def _entries(config: "type[Settings]", given: dict[str, Any]) -> dict[str, Any]:
    """Options that may be repeated, as the values and mappings of the configuration."""
    from enct5.errors import EncT5Error, show

    found: dict[str, Any] = {}
    for option, mapping in config.entries.items():
        if option not in given:
            continue
        values = given.pop(option) or []
        named = [value.partition("=") for value in values if "=" in value]
        single = [value for value in values if "=" not in value]
        if len({name for name, _, _ in named}) < len(named) or (single and (named or len(single) > 1)):
            spelt = config.option_of(option)
            raise EncT5Error(f"{spelt} is {', '.join(map(show, values))}: give one kind, or NAME=COLUMN for each task")
        if single and option not in config.model_fields:
            raise EncT5Error(f"{config.option_of(option)} is {show(single[0])}; name the task: NAME=COLUMN[:KIND]")
        found |= {option: single[0]} if single else {}
        found |= {mapping: {name.strip(): value for name, _, value in named}} if named else {}
    return found


def _read(config: "type[Settings]", name: str, value: Any) -> Any:
    """A value as the configuration takes it: names are separated by commas here."""
    from enct5.training.settings import kind_of

    return columns_of(value) if get_origin(kind_of(config.model_fields[name])) is tuple else value
