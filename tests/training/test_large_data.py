"""Data that is too large for memory: a run and a measurement are, to the last bit, those of data in memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enct5.data.lazy_columns import LazyColumns
from enct5.errors import EncT5Error
from enct5.files import scratch
from enct5.inference.evaluation import evaluate
from enct5.inference.predictor import Predictor
from enct5.training.config import TrainConfig
from enct5.training.rows import read
from helpers.runs import (
    RUN_FILES,
    Run,
    assert_same_weights,
    interrupt,
    messages,
    numbers,
    several_labels,
    start,
    weights,
)
from helpers.several_tasks import write_partly_labelled
from helpers.small_memory import make_memory_small
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")

TIMES = ("seconds", "runtime", "per_second")
TASKS = {"intent": "intent", "topics": "topics:multi", "urgency": "urgency:regression"}
KINDS: dict[str, tuple[Callable[[], list[dict[str, Any]]], dict[str, Any]]] = {
    "single": (lambda: [*messages(60), *messages(6)], {"class_weights": "balanced"}),
    "pairs": (lambda: [{**row, "other": row["text"][::-1]} for row in messages(60)], {"text": ("text", "other")}),
    "multi": (
        lambda: [{**row, "label": ";".join(row["label"])} for row in several_labels(40)],
        {"label_separator": ";"},
    ),
    "regression": (lambda: numbers(60), {}),
    "several tasks": (list, {"label": "", "tasks": TASKS}),
}


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: make_memory_small(monkeypatch)


def timeless(record: Any) -> Any:
    """A record without what differs from run to run."""
    if isinstance(record, dict):
        return {name: timeless(value) for name, value in record.items() if not name.endswith(TIMES)}
    return [timeless(value) for value in record] if isinstance(record, list) else record


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_from_files_is_that_of_memory(
    kind: str, run: Run, tmp_path: Path, small_memory: Callable[[], None]
) -> None:
    """Its weights, its record with all losses and figures, its report, and the figures of a measurement."""
    rows, options = KINDS[kind]
    source = write_rows(tmp_path / "rows.jsonl", rows())
    if kind == "several tasks":
        source = write_partly_labelled(tmp_path / "rows.jsonl", 90)
    said: dict[str, list[str]] = {"memory": [], "files": []}
    records = {}
    for name in said:
        if name == "files":
            small_memory()
        record = start(run.base, tmp_path / name, source, said[name], epochs=2, **options)
        measured = evaluate(Predictor.from_pretrained(tmp_path / name), source)
        records[name] = (timeless(record), measured)
    assert records["files"] == records["memory"]
    assert said["files"][:-1] == said["memory"][:-1]
    assert_same_weights(weights(tmp_path / "files"), weights(tmp_path / "memory"))
    pages = [(tmp_path / name / "report.html").read_text(encoding="utf-8") for name in said]
    assert pages[0].count("<tr") == pages[1].count("<tr")
    written, others = ({path.name for path in (tmp_path / name).iterdir()} for name in said)
    assert written == others >= RUN_FILES


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_rows_are_read_from_files(
    ending: str, run: Run, tmp_path: Path, small_memory: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The texts of a split are columns of a file, and what a wrong row is called does not change."""
    small_memory()
    written: list[int] = []
    original = scratch._mapped
    monkeypatch.setattr(scratch, "_mapped", lambda file: written.append(file.tell()) or original(file))
    rows = messages(40)
    file = tmp_path / f"rows.{ending}"

    def write() -> str:
        if ending == "jsonl":
            return write_rows(file, rows)
        file.write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows), encoding="utf-8")
        return str(file)

    config = TrainConfig.checked(data=write(), text=("text",), label="label", out=str(tmp_path / "run"))
    parts = read(config).split  # type: ignore[union-attr]
    assert written
    for part in (parts.train, parts.held_out):
        assert isinstance(part.texts, LazyColumns)
        assert isinstance(part.keys, np.ndarray)
    found = dict(zip([*parts.train.texts, *parts.held_out.texts], [*parts.train.values, *parts.held_out.values]))  # noqa: B905
    assert found == {row["text"]: row["label"] for row in rows}
    rows[22]["label"] = ""
    write()
    with pytest.raises(EncT5Error, match=r"lacks the label in 1 of 40 rows \(first: row 23\)"):
        read(config)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_nothing_is_left_of_an_interrupted_run_but_its_checkpoints(
    run: Run, tmp_path: Path, small_memory: Callable[[], None]
) -> None:
    """And a resumed one ends with the weights of one that was not interrupted, in memory."""
    small_memory()
    interrupt(run, tmp_path / "run", evaluation=3)
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert all(name.startswith("checkpoint-") for name in names - {"run.json", "lock"}), names
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"checkpoints"}
    record = start(run.base, tmp_path / "run", run.source, resume=True)
    assert record["resumed"]
    assert json.loads(json.dumps(record["metrics"])) == run.record["metrics"]
    assert_same_weights(weights(tmp_path / "run"), weights(run.out))
