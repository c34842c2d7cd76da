"""Settings: a field's type, default, bounds and description are written once; options, help and files come of them."""

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from enct5.errors import EncT5Error, nearest, show, unknown
from enct5.files.yaml_mappings import MappingError, read_mapping

Config = TypeVar("Config", bound="Settings")
_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}  # of bounds, by pydantic's names for them


class Settings(BaseModel):
    """Settings that are checked together, documented by their fields, and read from YAML and written to it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    fixed: ClassVar[tuple[str, ...]] = ()  # fields that are nobody's to set
    positional: ClassVar[tuple[str, ...]] = ()  # fields that are a command's arguments, in this order; others: options
    # options that are given once for each entry, `NAME=VALUE`, and the mappings whose entries these are
    entries: ClassVar[dict[str, str]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        listed = "\n".join(
            f"    {name} ({_type_name(info)}{', required' * info.is_required()}): {explained(info)}"
            for name, info in cls.model_fields.items()
            if name not in cls.fixed
        )
        cls.__doc__ = f"{cls.__doc__}\n\nAttributes:\n{listed}\n"

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, about: ValidationInfo) -> Any:
        """Python, and so pydantic, takes true for 1."""
        if isinstance(value, bool) and kind_of(cls.model_fields[str(about.field_name)]) in (int, float):
            raise ValueError(f"`{about.field_name}` is `{value}`: input should be a number")
        return value

    @classmethod
    def checked(cls: type[Config], **values: object) -> Config:
        """The settings, or one `EncT5Error` that lists all that is wrong with them."""
        return cls._validated(values, {})

    @classmethod
    def from_yaml(cls: type[Config], path: str | Path, **given: object) -> Config:
        """The settings of a YAML file, such as a run folder's.

        Args:
            path: the file.
            given: settings that take the place of the file's.

        Raises:
            EncT5Error: for a file that cannot be read, or what is wrong with the settings; the message names the file
                and, for its settings, the line.
        """
        values, lines = _read(Path(path).expanduser())
        places = {name: f"{path}, line {line}: " for name, line in lines.items() if name not in given}
        cls._check_file({name: values[name] for name in places}, places)
        return cls._validated({**values, **given}, places)

    @classmethod
    def _check_file(cls, values: Mapping[str, Any], places: Mapping[str, str]) -> None:
        """Refuse what a file cannot tell."""

    @classmethod
    def _validated(cls: type[Config], values: Mapping[str, Any], places: Mapping[str, str]) -> Config:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            # a default that is made of other settings is not made where those are wrong, and is no problem of its own
            problems = [item for item in error.errors() if item["type"] != "default_factory_not_called"]
            told = [places.get(str(item["loc"][0] if item["loc"] else ""), "") + cls._told(item) for item in problems]
            raise EncT5Error("; ".join(told)) from error

    @classmethod
    def _told(cls, problem: ErrorDetails) -> str:
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            return str(unknown("training option", name, [one for one in cls.model_fields if one not in cls.fixed]))
        if problem["type"] == "missing":
            return f"`{name}` ({cls.option_of(name)}) is missing"
        if problem["type"] == "value_error":
            return str(problem["ctx"]["error"])
        told = f"`{name}` is {show(problem['input'])}: {problem['msg'].lower()}"
        if problem["type"] == "literal_error":
            field = cls.model_fields.get(name)  # not of what is within a mapping
            guess = field and nearest(str(problem["input"]), choices_of(field))
            told += f"; did you mean `{guess}`?" if guess else ""
        return told

    @classmethod
    def option_of(cls, name: str) -> str:
        """How the command line calls a field."""
        return name.upper() if name in cls.positional else f"--{name.replace('_', '-')}"

    def is_default(self, name: str) -> bool:
        """Whether a field has the value that it has unless one is given."""
        return bool(getattr(self, name) == type(self).model_fields[name].default)

    def described(self) -> list[tuple[str, Any, str | None]]:
        """Every field's name, value and description."""
        return [(name, getattr(self, name), info.description) for name, info in type(self).model_fields.items()]

    def write(self, path: Path) -> None:
        """Write all fields as YAML, each below what it means."""
        lines = []
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            lines.append(f"# {explained(info)}")
            lines.append(yaml.safe_dump({name: _plain(value)}, sort_keys=False).strip())
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """A value in YAML's types."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_defaults=True)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _read(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        return read_mapping(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        guess = nearest(path.name, [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else [])
        meant = f"did you mean `{guess}`?" if guess else "check the path"
        raise EncT5Error(f"no file of settings {show(path, 200)}; {meant}") from error
    except MappingError as error:
        raise EncT5Error(f"cannot read the settings in {path}: {error}; write `name: value`, one a line") from error
    except UnicodeDecodeError as error:
        raise EncT5Error(f"cannot read the settings in {path}: it is not UTF-8; save it again as UTF-8") from error
    except OSError as error:
        raise EncT5Error(f"cannot read the settings in {path}: {error.strerror}; check the path") from error


def kind_of(info: FieldInfo) -> Any:
    """A field's type, but for the `None` that it may be: `int`, `str`, `tuple[str, ...]`, `Literal[...]`."""
    if get_origin(info.annotation) not in (Union, types.UnionType):
        return info.annotation
    (kind,) = (kind for kind in get_args(info.annotation) if kind is not type(None))
    return kind


def choices_of(info: FieldInfo) -> tuple[str, ...]:
    """What a field may be, where that is a list of words."""
    kind = kind_of(info)
    return get_args(kind) if get_origin(kind) is Literal else ()


def explained(info: FieldInfo) -> str:
    """What a field means, with its default and its bounds: `Texts of a step.  [default: 32; x>=1]`."""
    notes = [f"default: {info.default}"] if _has_default(info) else []
    notes += [
        f"x{sign}{getattr(item, at)}" for item in info.metadata for at, sign in _SIGNS.items() if hasattr(item, at)
    ]
    return f"{info.description}  [{'; '.join(notes)}]" if notes else str(info.description)


def _has_default(info: FieldInfo) -> bool:
    """Whether a default says something by itself: `None` and an empty one are explained by the description."""
    return not info.is_required() and info.default_factory is None and info.default not in (None, (), False, "")


def _type_name(info: FieldInfo) -> str:
    kind = kind_of(info)
    if choices := choices_of(info):
        return " | ".join(f'"{choice}"' for choice in choices)
    return kind.__name__ if get_origin(kind) is None else str(kind).replace("enct5.training.task_settings.", "")
