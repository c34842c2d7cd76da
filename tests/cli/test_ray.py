"""`enct5 predict --ray` writes what a plain `enct5 predict` does, each row once, whoever is killed on the way."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from helpers.command import Ended
from helpers.models import saved_model
from helpers.ray_jobs import assert_same, noted, start
from helpers.tables import write

pytest.importorskip("ray", reason="needs Ray (the `ray` extra)")

pytestmark = pytest.mark.slow

COMMAND = """
sys.argv = ["enct5", "predict", *arguments, "-o", out, "--ray", "local", "--device", "cpu"]
from enct5.cli import main
main()
"""
ROWS = (30, 70, 1)  # of the files


@pytest.fixture(scope="module")
def folder(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(t5_folder(), tmp_path_factory.mktemp("model"))


def written(folder: Path, ending: str) -> Path:
    """A folder of files, with a column that is no text beside the texts."""
    folder.mkdir()
    for number, rows in enumerate(ROWS):
        columns = {"text": [f"text {number}.{row}" for row in range(rows)], "number": list(range(rows))}
        write(folder / f"{number}{ending}", columns)
    return folder


def plain(enct5: Callable[..., Ended], folder: Path, data: str, out: Path) -> pd.DataFrame:
    """What the command gives without Ray."""
    ended = enct5("predict", folder, data, "--out", out, "--device", "cpu")
    assert ended.status == 0, ended.err
    return pd.read_parquet(out)


def test_a_folder_of_parquet_though_an_actor_dies(enct5: Callable[..., Ended], folder: Path, tmp_path: Path) -> None:
    data = str(written(tmp_path / "data", ".parquet"))
    wanted = plain(enct5, folder, data, tmp_path / "plain.parquet")
    ended = start(COMMAND, tmp_path / "out", "actor", folder, data)
    assert ended.returncode == 0, ended.stderr
    assert f"101 predictions are in {tmp_path / 'out'}" in ended.stderr
    assert (tmp_path / "out.killed").exists()
    assert_same(tmp_path / "out", wanted)


def test_a_pattern_of_jsonl_though_the_command_dies(enct5: Callable[..., Ended], folder: Path, tmp_path: Path) -> None:
    out, data = tmp_path / "out", str(written(tmp_path / "data", ".jsonl") / "*.jsonl")
    wanted = plain(enct5, folder, data, tmp_path / "plain.parquet")
    assert start(COMMAND, out, "driver", folder, data).returncode == -9
    assert (tmp_path / "out.killed").exists()
    before = noted(out)
    assert before
    assert not (out / "_SUCCESS").exists()

    def refused(*arguments: object) -> str:
        ended = start(COMMAND, out, "nobody", *arguments)
        assert ended.returncode == 2, ended.stderr
        (told,) = [line for line in ended.stderr.splitlines() if line.startswith("enct5: ")]
        return told

    assert "holds what an interrupted call has done; add --resume" in refused(folder, data)
    assert "had another content of the data" in refused(folder, tmp_path / "data" / "1.jsonl", "--resume")
    assert "had another top_k" in refused(folder, data, "--resume", "--top-k", 2)
    ended = start(COMMAND, out, "nobody", folder, data, "--resume")
    assert ended.returncode == 0, ended.stderr
    assert_same(out, wanted)
    kept = {file.name.rpartition("-")[0] for file in out.glob("*.parquet")}
    assert {name.removesuffix(".parquet") for name in before} < kept  # what was written before was not done again
    assert "holds finished predictions; choose another output" in refused(folder, data)


def test_a_folder_of_something_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    data = written(tmp_path / "data", ".jsonl")
    ended = start(COMMAND, data, "nobody", folder, data / "2.jsonl")
    assert ended.returncode == 2, ended.stderr
    assert f"enct5: {data} exists and is not empty; choose another folder" in ended.stderr
    assert sorted(file.name for file in data.iterdir()) == ["0.jsonl", "1.jsonl", "2.jsonl"]
