"""`enct5 bench`: every way to run a model is measured on every workload, and the last line is JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enct5.cli import command
from enct5.errors import is_installed
from enct5.inference import bench
from helpers.models import saved_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def test_the_last_line_has_every_way_and_workload(
    t5_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = saved_model(t5_folder(), tmp_path)
    monkeypatch.setattr(bench, "ROUNDS", 2)
    monkeypatch.setattr("sys.argv", ["enct5", "bench", str(folder)])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert not stopped.value.code
    lines = capsys.readouterr().out.splitlines()
    record: dict[str, Any] = json.loads(lines[-1])
    ways = ["plain", "folded (default)", "folded bfloat16"] + (
        ["onnx", "onnx int8"] if is_installed("onnxscript") else []
    )
    works = [bench.SHORT, bench.LONG, bench.REQUEST]
    assert [(entry["work"], entry["way"]) for entry in record["results"]] == [(w, way) for w in works for way in ways]
    for entry in record["results"]:
        assert entry["ratio"] == 1 or entry["way"] != "plain"
        if entry["work"] == bench.REQUEST:
            assert 0 < entry["p50_ms"] <= entry["p99_ms"]
        else:
            assert 0 < entry["texts_per_second"] < entry["tokens_per_second"]
    assert all(any(way in line for line in lines) for way in ways)


def test_workloads_are_the_same_every_time() -> None:
    first, second = bench.workloads(1000), bench.workloads(1000)
    assert all((a == b).all() for name in first for a, b in zip(first[name], second[name], strict=True))
    assert [len(row) for row in first[bench.LONG]] == [512] * 8
    assert {len(row) for row in first[bench.REQUEST]} == {16}
    assert 18 < sum(map(len, first[bench.SHORT])) / 256 < 28
