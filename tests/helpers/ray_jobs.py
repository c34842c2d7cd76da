"""Jobs on Ray in processes of their own, of which an actor or the driver is killed in the middle."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from helpers.paths import ROOT

# What kills is in the script, so that Ray sends it to the actors.
_KILLING = """
import sys
sys.path.insert(0, {tests!r})
import os, signal, time
from pathlib import Path
import enct5.distributed.ray_data
from enct5.ray import BatchPredictor

out, kills, *arguments = sys.argv[1:]
driver, flag, noted = os.getpid(), Path(out + ".killed"), Path(out + ".partial") / "checkpoint"

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
"""


def start(script: str, out: Path | str, kills: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in small batches; it has `arguments`.

    Args:
        script: what is run.
        out: the folder that it writes to; `<out>.killed` is there once somebody was killed.
        kills: `actor` or `driver`, at the row of the text "text 1.40", the driver not before some rows are written; or
            `nobody`.
        arguments: the script's.
    """
    code = _KILLING.format(tests=str(ROOT / "tests")) + script
    command = [sys.executable, "-c", code, out, kills, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def assert_same(out: Path, whole: pd.DataFrame) -> None:
    """Make sure that a folder is finished and holds each row once, as in a table that was predicted in one go."""
    found = pd.concat([pd.read_parquet(file) for file in out.glob("*.parquet")]).sort_values("row_id")
    assert found.pop("row_id").tolist() == list(range(len(whole)))
    pd.testing.assert_frame_equal(found.reset_index(drop=True), whole, check_exact=False, atol=1e-5)
    assert (out / "_SUCCESS").is_file()
    assert not out.with_name(f"{out.name}.partial").exists()


def noted(out: Path) -> set[str]:
    """The names of the written files that Ray has noted, for a job that goes on."""
    folder = out.with_name(f"{out.name}.partial") / "checkpoint"
    return {file.name for file in folder.iterdir() if ".pending." not in file.name}
