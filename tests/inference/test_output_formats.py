"""Files of rows: every value as it was."""

from pathlib import Path

import pandas as pd
import pytest

from enct5.inference.output_formats import WRITERS

ROWS = {"id": [2**60 + 1, None, 3], "share": [0.5, 2, None], "tags": [["a", "é"], [], None], "text": ["x", 'y "z"', ""]}


@pytest.mark.parametrize(("ending", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_whole_numbers_beside_nulls_stay_whole_and_lists_become_json(
    tmp_path: Path, ending: str, separator: str
) -> None:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in ROWS.items()})
    WRITERS[ending].write(frame, tmp_path / f"rows{ending}", True)
    written = pd.read_csv(tmp_path / f"rows{ending}", sep=separator, dtype=str, keep_default_na=False)
    assert written.to_dict("list") == {
        "id": ["1152921504606846977", "", "3"],
        "share": ["0.5", "2", ""],
        "tags": ['["a", "é"]', "[]", ""],
        "text": ROWS["text"],
    }
    assert frame["tags"][0] == ["a", "é"]  # what is written is a copy
