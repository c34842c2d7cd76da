"""Data sets of the hub: what is asked for, and every failure in one line."""

from typing import Any

import datasets
import datasets.utils
import pytest
from datasets import Dataset as Table

from enct5.data.digests import digest_of_data
from enct5.data.reading import read_table
from enct5.errors import EncT5Error
from enct5.files.hub_names import hub_token


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


def test_a_revision_and_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """`name@revision:split`; the token is that of the block around it, and otherwise the library's own."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def load(name: str, **places: Any) -> Table:
        seen.append((name, places))
        return Table.from_dict({"text": ["a"]})

    monkeypatch.setattr(datasets, "load_dataset", load)
    with hub_token("hf_mine"):
        read_table("org/imdb@refs/pr/1:train")
        digest_of_data("org/imdb:train")
    read_table("imdb@v1.0:test[:2]")
    assert seen == [
        ("org/imdb", {"split": "train", "revision": "refs/pr/1", "token": "hf_mine"}),
        ("org/imdb", {"split": "train", "token": "hf_mine"}),
        ("imdb", {"split": "test[:2]", "revision": "v1.0"}),
    ]


def test_a_data_set_without_split_is_told_with_its_revision() -> None:
    with pytest.raises(EncT5Error, match=r"no file `org/imdb@v1\.0`; a data set of the hub needs its split"):
        read_table("org/imdb@v1.0")


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
