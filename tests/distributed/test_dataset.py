"""Ray gives what one call gives, each row once, also where an actor or the driver is killed in the middle."""

import json
from pathlib import Path

import pandas as pd
import pytest

from enct5.inference.prediction_file import predict_table
from enct5.inference.predictor import Predictor
from helpers.ray_jobs import assert_same, noted, start
from helpers.tables import write

pytest.importorskip("ray", reason="needs Ray (the `ray` extra)")

pytestmark = pytest.mark.slow

CALL = """
import ray
from enct5.errors import EncT5Error
from enct5.ray import predict_dataset

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
try:
    print(predict_dataset(*arguments[:2], out, resume="--resume" in arguments, device="cpu"))
except EncT5Error as error:
    sys.exit(f"told: {error}")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for number, rows in enumerate((30, 70, 1)):
        columns = {"id": [f"{row:03d}" for row in range(rows)], "text": [f"text {number}.{row}" for row in range(rows)]}
        write(folder / f"{number}.csv", columns)
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    out = tmp_path_factory.mktemp("whole") / "out.parquet"
    predict_table(Predictor.from_pretrained(folder), str(data), None, out)
    return pd.read_parquet(out)


@pytest.mark.parametrize("killed", ["nobody", "actor"])
def test_all_rows_are_there_once_whatever_dies(
    folder: Path, data: Path, whole: pd.DataFrame, tmp_path: Path, killed: str
) -> None:
    ended = start(CALL, tmp_path / "out", killed, folder, data)
    assert "101" in ended.stdout.splitlines(), ended.stderr
    assert (tmp_path / "out.killed").exists() == (killed == "actor")
    assert_same(tmp_path / "out", whole)


def test_a_killed_job_goes_on(folder: Path, data: Path, whole: pd.DataFrame, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert start(CALL, out, "driver", folder, data).returncode == -9
    assert (tmp_path / "out.killed").exists()
    assert not (out / "_SUCCESS").exists()
    before = noted(out)
    assert before
    ended = start(CALL, out, "nobody", folder, data)
    assert "told: " in ended.stderr
    assert "holds what an interrupted call has done; add --resume" in ended.stderr
    the_same = f"{data}/*.csv"
    ended = start(CALL, f"file://{out}", "nobody", folder, the_same, "--resume")
    assert "101" in ended.stdout.splitlines(), ended.stderr
    assert_same(out, whole)
    record = json.loads((out / "_SUCCESS").read_text())
    assert record["text"] == ["text"]
    kept = {file.name.rpartition("-")[0] for file in out.glob("*.parquet")}
    assert {name.removesuffix(".parquet") for name in before} < kept  # what was written before was not done again
    files = sorted(out.iterdir())
    assert "101" in start(CALL, out, "nobody", folder, data, "--resume").stdout.splitlines()
    assert sorted(out.iterdir()) == files  # what is finished is not done again
    assert "holds finished predictions; choose another" in start(CALL, out, "nobody", folder, data).stderr
    assert "had another content of the data" in start(CALL, out, "nobody", folder, data / "1.csv", "--resume").stderr


def test_a_mistake_of_a_file_is_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", {"text": ["x"]})
    write(tmp_path / "b.csv", {"words": ["x"]})
    ended = start(CALL, tmp_path / "out", "nobody", folder, tmp_path / "*.csv")
    told = [line for line in ended.stderr.splitlines() if line.startswith("told: ")]
    assert told == [f"told: no column `text` in {tmp_path / 'b.csv'} (columns: words)"]
    assert not (tmp_path / "out").exists()
