"""Data sets of the hub, and names in the place of class ids."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.errors import EncT5Error, show
from enct5.files.hub_names import on_hub

if TYPE_CHECKING:
    from datasets import Dataset


def read_hub(source: str, rows: int | None) -> Iterator["Dataset"]:
    """Tables of a data set of the hub, of so many rows; None for one."""
    table = load_hub(source)
    for start in range(0, len(table), rows or len(table)):
        yield table.select(range(start, min(len(table), start + (rows or len(table)))))


def load_hub(source: str) -> "Dataset":
    """Load a data set of the hub, `name:split` or `name@revision:split`, as it is there.

    Raises:
        EncT5Error: If it cannot be loaded.
    """
    import datasets

    name, _, split = source.partition(":")
    name, places = on_hub(name)
    if Path(name).is_dir():
        raise EncT5Error(f"{name} in {show(source)} is a local folder; name one file in it instead")
    try:
        with quiet():
            return datasets.load_dataset(name, split=split, **places)
    except (OSError, ValueError, RuntimeError) as error:
        # a missing data set, no network, an unknown split, a missing configuration: datasets explains each of them
        raise EncT5Error(
            f"cannot load {show(source)} from the hub: {show(error, 200)}; "
            "check the name, the split and the network, or download it and give the file"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress bars and log lines of the data set libraries off the terminal."""
    import datasets.utils
    import huggingface_hub.utils

    with ExitStack() as restore:
        for library in (datasets.utils, huggingface_hub.utils):
            restore.callback(library.logging.set_verbosity, library.logging.get_verbosity())
            library.logging.set_verbosity(library.logging.CRITICAL)
            if not library.are_progress_bars_disabled():
                restore.callback(library.enable_progress_bars)
                library.disable_progress_bars()
        yield


def name_classes(table: "Dataset", source: str) -> "Dataset":
    """Replace class ids that carry names by the names; an id below 0 is the hub's mark for a missing label."""
    from datasets import ClassLabel, List, Value

    features = table.features.copy()
    names: dict[str, list[str]] = {}
    for column, feature in table.features.items():
        inner = feature.feature if isinstance(feature, List) else feature
        if isinstance(inner, ClassLabel):
            names[column] = inner.names
            features[column] = List(Value("string")) if isinstance(feature, List) else Value("string")
    if not names:
        return table

    def rename(batch: dict[str, list[Any]]) -> dict[str, list[object]]:
        try:
            return {column: [_class_name(value, names[column]) for value in batch[column]] for column in names}
        except IndexError as error:
            known = ", ".join(f"{len(of)} in {show(column)}" for column, of in names.items())
            raise EncT5Error(f"{source} has ids of classes beyond its names ({known}); save it with names") from error

    with quiet():
        return table.map(rename, batched=True, features=features)


def _class_name(value: int | list[int | None] | None, names: list[str]) -> object:
    if isinstance(value, list):
        return [_class_name(item, names) for item in value]
    return None if value is None or value < 0 else names[value]
