"""What a model folder says of its training: read from folders of every version, and never in the way of the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from enct5.errors import EncT5Error, show


@dataclass(frozen=True)
class TrainedOn:
    """The data that a model was trained on, as far as its folder says so.

    Attributes:
        data: name of the file or hub dataset.
        text: the text columns.
        label: the label column.
        label_separator: what separated several labels in one field.
    """

    data: str | None = None
    text: tuple[str, ...] = ()
    label: str | None = None
    label_separator: str | None = None

    @classmethod
    def read(cls, path: Path) -> "TrainedOn":
        """Read a folder's `train_config.yaml`.

        Names that are not known here, and values of another kind, are passed over: another version wrote them.

        Raises:
            EncT5Error: when the file is damaged.
        """
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise EncT5Error(f"cannot read {path}: {show(error, 200)}; get the folder again, or delete it") from error
        if not isinstance(values, dict):
            raise EncT5Error(
                f"{path} is damaged: it holds {show(values)} instead of names and values; get the folder again, or "
                "delete it"
            )
        return cls(
            data=_string(values.get("data")),
            text=_strings(values.get("text")),
            label=_string(values.get("label")),
            label_separator=_string(values.get("label_separator")),
        )


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _strings(value: Any) -> tuple[str, ...]:
    known = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return tuple(value) if known else ()
