"""What a model folder says of its training: read from folders of every version, and never in the way of the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from enct5.errors import EncT5Error, show
from enct5.files.hub_files import file_of
from enct5.model.folder import TRAIN_CONFIG


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
    def of(cls, source: str) -> "TrainedOn":
        """What a folder here or a checkpoint on the hub says; nothing where it has no such file.

        Raises:
            EncT5Error: when the file is damaged.
        """
        file = file_of(source, TRAIN_CONFIG)
        return cls() if file is None else cls.read(file)

    @property
    def takes_pairs(self) -> bool | None:
        """Whether it was trained on pairs of texts; None where the folder does not say."""
        return len(self.text) == 2 if self.text else None

    def check_pairs(self, pairs: bool) -> None:
        """Refuse pairs for a model of single texts, and single texts for one of pairs.

        Raises:
            EncT5Error: then.
        """
        if self.takes_pairs == (not pairs):
            columns = " and ".join(map(show, self.text))
            wanted = "single texts" if pairs else "pairs of texts"
            raise EncT5Error(f"the model was trained on {columns}; give it {wanted}")

    def task_name(self, source: str, remedy: str) -> str:
        """What the only task of a model is called, which has no name: as the column that its labels came from.

        Args:
            source: the model.
            remedy: what to do where it says of no column.

        Raises:
            EncT5Error: then.
        """
        if not self.label:
            raise EncT5Error(f"{source} does not say what its task is called; {remedy}")
        return self.label

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
