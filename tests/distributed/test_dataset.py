"""Ray gives what one call gives, each row once, also where an actor or the driver is killed in the middle."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from enct5.inference.prediction_file import predict_table
from enct5.inference.predictor import Predictor
from helpers.paths import ROOT
from helpers.tables import write

pytest.importorskip("ray", reason="needs Ray (the `ray` extra)")

pytestmark = pytest.mark.slow

START = """
import sys
sys.path.insert(0, sys.argv[1])
import os, signal, time
from pathlib import Path
import ray
import enct5.distributed.ray_data
from enct5.errors import EncT5Error
from enct5.ray import BatchPredictor, predict_dataset

_, _, model, source, out, kills, *options = sys.argv
driver, flag = os.getpid(), Path(out + ".killed")
noted = Path(out + ".partial") / "checkpoint"

def written():
    return [file for file in noted.glob("*.parquet") if ".pending." not in file.name]

class Killing(BatchPredictor):
    def __call__(self, table):
        if "text 1.40" in table["text"].to_pylist() and not flag.exists():
            limit = time.monotonic() + 90
            while kills == "driver" and not written() and time.monotonic() < limit:
                time.sleep(0.1)
            flag.touch()
            os.kill(driver if kills == "driver" else os.getpid(), signal.SIGKILL)
        return super().__call__(table)

if kills != "nobody":
    enct5.distributed.ray_data.BatchPredictor = Killing
enct5.distributed.ray_data._BATCH_ROWS = 10
enct5.distributed.ray_data._BLOCK_BYTES = 1000
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
try:
    print(predict_dataset(model, source, out, resume="--resume" in options, device="cpu"))
except EncT5Error as error:
    sys.exit(f"told: {error}")
"""


def start(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START, ROOT / "tests", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


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


def assert_same(out: Path, whole: pd.DataFrame) -> None:
    found = pd.concat([pd.read_parquet(file) for file in out.glob("*.parquet")]).sort_values("row_id")
    assert found.pop("row_id").tolist() == list(range(len(whole)))
    pd.testing.assert_frame_equal(found.reset_index(drop=True), whole, check_exact=False, atol=1e-5)
    assert (out / "_SUCCESS").is_file()
    assert not out.with_name(f"{out.name}.partial").exists()


@pytest.mark.parametrize("killed", ["nobody", "actor"])
def test_all_rows_are_there_once_whatever_dies(
    folder: Path, data: Path, whole: pd.DataFrame, tmp_path: Path, killed: str
) -> None:
    ended = start(folder, data, tmp_path / "out", killed)
    assert ended.stdout.splitlines()[-1:] == ["101"], ended.stderr
    assert (tmp_path / "out.killed").exists() == (killed == "actor")
    assert_same(tmp_path / "out", whole)


def test_a_killed_job_goes_on(folder: Path, data: Path, whole: pd.DataFrame, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert start(folder, data, out, "driver").returncode == -9
    assert (tmp_path / "out.killed").exists()
    assert not (out / "_SUCCESS").exists()
    noted = {file.name for file in (tmp_path / "out.partial" / "checkpoint").iterdir() if ".pending." not in file.name}
    assert noted
    ended = start(folder, data, out, "nobody")
    assert "told: " in ended.stderr
    assert "holds what an interrupted call has done; add --resume" in ended.stderr
    ended = start(folder, f"{data}/*.csv", f"file://{out}", "nobody", "--resume")  # the same files by another name
    assert ended.stdout.splitlines()[-1:] == ["101"], ended.stderr
    assert_same(out, whole)
    record = json.loads((out / "_SUCCESS").read_text())
    assert record["text"] == ["text"]
    kept = {file.name.rpartition("-")[0] for file in out.glob("*.parquet")}
    assert {name.removesuffix(".parquet") for name in noted} < kept  # what was written before was not done again
    files = sorted(out.iterdir())
    assert start(folder, data, out, "nobody", "--resume").stdout.splitlines()[-1:] == ["101"]  # and is not done again
    assert sorted(out.iterdir()) == files
    assert "holds finished predictions; choose another" in start(folder, data, out, "nobody").stderr
    assert "had another content of the data" in start(folder, data / "1.csv", out, "nobody", "--resume").stderr


def test_a_mistake_of_a_file_is_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", {"text": ["x"]})
    write(tmp_path / "b.csv", {"words": ["x"]})
    ended = start(folder, tmp_path / "*.csv", tmp_path / "out", "nobody")
    told = [line for line in ended.stderr.splitlines() if line.startswith("told: ")]
    assert told == [f"told: no column `text` in {tmp_path / 'b.csv'} (columns: words)"]
    assert not (tmp_path / "out").exists()
