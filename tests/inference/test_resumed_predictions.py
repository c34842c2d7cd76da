"""Interrupted predictions go on after the last finished part, with the same data, model and version only."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset
from safetensors.torch import load_file, save_file

from enct5.cli import command
from enct5.data.reading import read_table
from enct5.errors import EncT5Error
from enct5.inference import prediction_file
from enct5.inference.prediction_file import WRITERS, Asked, predict_table
from enct5.inference.predictor import Predictor
from helpers.command import feed
from helpers.echo import Echo
from helpers.models import saved_model
from helpers.paths import ROOT
from helpers.tables import write


class Counting(Echo):
    """Stops at a text, and remembers what it was asked for."""

    def __init__(self, stop_at: str = "") -> None:
        super().__init__()
        self.stop_at, self.seen = stop_at, list[str]()

    def stream(self, texts: Iterable[Any], abstain_below: float | None = None) -> Iterator[dict[str, Any]]:
        for text, result in zip(texts, super().stream(texts, abstain_below), strict=True):
            if text == self.stop_at:
                raise KeyboardInterrupt
            self.seen.append(text)
            yield result


@pytest.mark.parametrize("kind", list(WRITERS))
def test_an_interrupted_call_is_resumed_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 3)
    texts = [f"text {row}" for row in range(11)]
    given, out = write(tmp_path / "in.csv", {"text": texts}), tmp_path / f"out{kind}"
    predict_table(Echo(), str(given), None, tmp_path / f"whole{kind}")
    with pytest.raises(EncT5Error, match="interrupted; the same command with --resume goes on with what is done"):
        predict_table(Counting(stop_at="text 7"), str(given), None, out, Asked(run={"model": "m"}))
    assert not out.exists()
    with pytest.raises(EncT5Error, match="holds what an interrupted call has done; add --resume, or delete it"):
        predict_table(Echo(), str(given), None, out, Asked(run={"model": "m"}))
    for run, below, message in (({"model": "n"}, None, "another model"), ({"model": "m"}, 0.5, "abstain_below")):
        with pytest.raises(EncT5Error, match=message):
            predict_table(Echo(), str(given), None, out, Asked(below, run=run), resume=True)
    second = Counting()
    predict_table(second, str(given), None, out, Asked(run={"model": "m"}), resume=True)
    assert second.seen == texts[6:]  # the part that was not finished is done again
    assert read_table(str(out)).to_dict() == read_table(str(tmp_path / f"whole{kind}")).to_dict()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.csv", out.name, f"whole{kind}"])
    with pytest.raises(EncT5Error, match=r"no interrupted call for .* to resume; leave out --resume"):
        predict_table(Echo(), str(given), None, out, Asked(run={"model": "m"}), resume=True)


def test_other_data_of_the_hub_cannot_be_resumed_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 1)
    found = Dataset.from_dict({"text": ["a", "b", "c"]})
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: found)
    out = tmp_path / "out.csv"
    with pytest.raises(EncT5Error, match="interrupted"):
        predict_table(Counting(stop_at="b"), "org/name:train", None, out)
    found = Dataset.from_dict({"text": ["a", "b", "C"]})
    with pytest.raises(EncT5Error, match="another content of the data"):
        predict_table(Echo(), "org/name:train", None, out, resume=True)
    found = Dataset.from_dict({"text": ["a", "b", "c"]})
    predict_table(Echo(), "org/name:train", None, out, resume=True)
    assert read_table(str(out))["label"][:] == ["<a>", "<b>", "<c>"]


def test_other_data_cannot_be_resumed_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 1)
    given, out = write(tmp_path / "in.csv", {"text": ["a", "b", "c"]}), tmp_path / "out.csv"
    with pytest.raises(EncT5Error, match="interrupted"):
        predict_table(Counting(stop_at="b"), str(given), None, out)
    write(given, {"text": ["a", "b", "c", "d"]})
    with pytest.raises(EncT5Error, match="another content of the data"):
        predict_table(Echo(), str(given), None, out, resume=True)
    write(given, {"text": ["a", "b", "c"]})  # at another time
    predict_table(Echo(), str(given), None, out, resume=True)
    assert read_table(str(out))["label"][:] == ["<a>", "<b>", "<c>"]


def test_parts_of_another_version_or_damaged_ones_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 1)
    given, out = write(tmp_path / "in.csv", {"text": ["a", "b"]}), tmp_path / "out.csv"
    with pytest.raises(EncT5Error, match="interrupted"):
        predict_table(Counting(stop_at="b"), str(given), None, out)
    record = tmp_path / "out.csv.partial" / "asked_for.json"
    asked_for = json.loads(record.read_text(encoding="utf-8"))
    older = {name: value for name, value in asked_for.items() if name != "content of the data"}
    for content, message in (
        (json.dumps(older), "another version of enct5 wrote .*; go on with that one, or delete .*partial"),
        (json.dumps(asked_for | {"more": 1}), "another version of enct5 wrote"),
        (json.dumps(asked_for | {"version of enct5": "9.9"}), "another version of enct5 "),
        ("[1]", "does not say what was asked for; delete .*partial, and start anew"),
        ("", "does not say what was asked for; delete .*partial, and start anew"),
    ):
        record.write_text(content, encoding="utf-8")
        with pytest.raises(EncT5Error, match=message) as refused:
            predict_table(Echo(), str(given), None, out, resume=True)
        assert "\n" not in str(refused.value)


def test_a_model_is_resumed_with_by_its_weights_wherever_it_lies(
    t5_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = saved_model(t5_folder(), tmp_path / "model"), tmp_path / "out.csv"
    given = write(tmp_path / "in.csv", {"text": ["a", "b"]})

    def predict(model: Path, *options: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["enct5", "predict", str(model), str(given), "-o", str(out), *options])
        with pytest.raises(SystemExit) as ended:
            command.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    def interrupted(*arguments: object) -> Iterator[dict[str, Any]]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "stream", interrupted)
        assert predict(model)[0] == 130
    retrained = Path(shutil.copytree(model, tmp_path / "retrained"))
    tensors = load_file(model / "model.safetensors")
    tensors["classifier.bias"] += 1
    save_file(tensors, retrained / "model.safetensors", metadata={"format": "pt"})
    retrained.rename(other := tmp_path / "other")
    model.rename(moved := tmp_path / "moved")
    other.rename(model)  # under the name of the first
    status, err = predict(model, "--resume")
    assert (status, "the interrupted call had another model" in err) == (2, True)
    status, err = predict(moved, "--resume", "--dtype", "bfloat16")
    assert (status, "another dtype (`float32`, not `bfloat16`)" in err) == (2, True)
    assert predict(moved, "--resume")[0] == 0
    assert read_table(str(out))["text"][:] == ["a", "b"]


def test_what_was_read_from_standard_input_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b"a\nb\n")
    with pytest.raises(EncT5Error, match=r"^interrupted$"):
        predict_table(Counting(stop_at="b"), "-", None, tmp_path / "out.csv")
    assert not list(tmp_path.iterdir())


def test_only_files_can_be_resumed(tmp_path: Path) -> None:
    given = write(tmp_path / "in.csv", {"text": ["a"]})
    for source, out in ((str(given), None), ("-", tmp_path / "out.csv")):
        with pytest.raises(EncT5Error, match="only predictions of a file's rows to another file can be resumed"):
            predict_table(Echo(), source, None, out, resume=True)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from enct5 import cli
from enct5.inference import prediction_file
from helpers.echo import Echo

class Killed(Echo):
    def stream(self, texts, abstain_below=None):
        for text, result in zip(texts, super().stream(texts, abstain_below)):
            if text == "text 8":
                os.kill(os.getpid(), signal.SIGKILL)
            yield result

prediction_file.CHUNK_ROWS = 3
prediction_file.predict_table(Killed(), sys.argv[2], None, Path(sys.argv[3]))
"""


@pytest.mark.slow
def test_a_killed_call_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, out = write(tmp_path / "in.csv", {"text": [f"text {row}" for row in range(11)]}), tmp_path / "out.jsonl"
    script = [sys.executable, "-c", KILLED, str(ROOT / "tests"), str(given), str(out)]
    assert subprocess.run(script, capture_output=True, check=False).returncode == -9
    assert not out.exists()
    monkeypatch.setattr(prediction_file, "CHUNK_ROWS", 3)
    second = Counting()
    predict_table(second, str(given), None, out, resume=True)
    assert second.seen == [f"text {row}" for row in range(6, 11)]
    assert read_table(str(out))["label"][:] == [f"<text {row}>" for row in range(11)]
