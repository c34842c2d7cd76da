"""Data sets of the hub: what is asked for, and every failure in one line."""

from typing import Any

import datasets
import datasets.utils
import pytest
from datasets import Dataset as Table

from enct5.data.reading import read_table
from enct5.errors import EncT5Error


@pytest.mark.parametrize("source", ["imdb:train", "org/imdb.v2:train[:10%]"])
def test_hub_id(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """The part before the first colon is the name, the rest the split; progress bars are back on afterwards."""
    seen: dict[str, Any] = {}

    def load(name: str, split: str) -> Table:
        seen.update(name=name, split=split, quiet=datasets.utils.are_progress_bars_disabled())
        return Table.from_dict({"text": ["a"]})

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert read_table(source)["text"][:] == ["a"]
    name, split = source.split(":", 1)
    assert seen == {"name": name, "split": split, "quiet": True}
    assert not datasets.utils.are_progress_bars_disabled()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach 'imdb' on the Hub"),
        datasets.exceptions.DatasetNotFoundError("Dataset 'imdb' doesn't exist on the Hub"),
        ValueError("Unknown split \"trian\".\nShould be one of ['train']."),
    ],
)
def test_hub_failures(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """What the datasets library says is kept, on one line, with what to do."""

    def load(name: str, split: str) -> Table:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(EncT5Error, match=r"cannot load `imdb:trian` from the hub: `.*`; check the name") as caught:
        read_table("imdb:trian")
    assert str(error).split("\n")[0] in str(caught.value)
    assert "\n" not in str(caught.value)
