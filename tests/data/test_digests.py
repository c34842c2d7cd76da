"""Data are known by their content: files by their bytes, data sets of the hub by their rows."""

import hashlib
from pathlib import Path

import datasets
import pytest
from datasets import Dataset, DatasetInfo, concatenate_datasets

from enct5.data.digests import digest_of_data

HALVES = (slice(0, 1234), slice(1234, None))


def test_data_of_the_hub_are_known_by_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they lie in memory, and whatever else the hub says of them; a file is known by its bytes."""
    rows = {"text": [f"text {number}" for number in range(2500)], "label": [None, *range(2499)]}
    whole = Dataset.from_dict(rows)
    halves = concatenate_datasets([Dataset.from_dict({name: rows[name][part] for name in rows}) for part in HALVES])
    described = Dataset.from_dict(rows, info=DatasetInfo(description="a word more"))
    changed = Dataset.from_dict({**rows, "text": [*rows["text"][:-1], "another"]})
    swapped = Dataset.from_dict({**rows, "label": [0, None, *range(1, 2499)]})

    def digest_of(found: Dataset) -> str:
        monkeypatch.setattr(datasets, "load_dataset", lambda name, split: found)
        return digest_of_data("org/name:train")

    assert digest_of(whole) == digest_of(halves) == digest_of(described)
    assert len({digest_of(whole), digest_of(changed), digest_of(swapped), digest_of(whole.select(range(2400)))}) == 4
    (tmp_path / "a.csv").write_bytes(b"text\na\n")
    assert digest_of_data(str(tmp_path / "a.csv")) == hashlib.sha256(b"text\na\n").hexdigest()
