"""The command: its whole path once, and one helpful line with status 2 for each mistake."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import transformers

from enct5 import __version__, training
from enct5.cli import command, start
from enct5.data.reading import read_table
from enct5.inference.predictor import Predictor
from enct5.training.config import TrainConfig
from helpers.without_torch import run_command
from inference.test_predictor import saved_model

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
COMMANDS = ("train", "evaluate", "predict", "explain", "convert", "info", "demo")


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def enct5(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ended]]:
    """Runs the command in this process."""
    verbosity = transformers.logging.get_verbosity()

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["enct5", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        written = capsys.readouterr()
        return Ended(int(ended.value.code or 0), written.out, written.err)

    yield run
    transformers.logging.set_verbosity(verbosity)
    transformers.logging.enable_progress_bar()


def rows(count: int = 30) -> str:
    words = ("parcel late", "money card", "coffee cup")
    return "".join(f'"{words[row % 3]} {row}",class {row % 3}\n' for row in range(count))


def cut(source: Path, target: Path, size: int) -> None:
    shutil.copytree(source, target)
    weights = target / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])


@pytest.fixture(scope="module")
def place(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files, models and mistakes that all cases of bad input share."""
    folder = tmp_path_factory.mktemp("place")
    texts = {
        "good.csv": "text,label\n" + rows(),
        "empty.csv": "",
        "header.csv": "text,label\n",
        "one_class.csv": "text,label\na,x\nb,x\nc,x\n",
        "broken.jsonl": '{"text": "a", "label": "x"}\n{"text": "b", "label": \n',
        "not_objects.jsonl": '{"text": "a", "label": "x"}\n[1, 2]\n',
        "no_label.csv": "text,label\na,x\nb,\nc,y\n",
        "no_text.jsonl": '{"text": null, "label": "x"}\n{"text": "b", "label": "y"}\n',
        "numbers_as_texts.jsonl": '{"text": 1, "label": "x"}\n{"text": 2, "label": "y"}\n',
        "lists.jsonl": '{"text": "a", "label": ["x", "y"]}\n{"text": "b", "label": ["y"]}\n',
        "tags.jsonl": '{"text": "a", "label": ["O", "B-x"]}\n{"text": "b", "label": ["O"]}\n',
        "twice.csv": "text,label,text\na,x,b\n",
        "ragged.csv": "text,label\na,x\nb, with comma,y\n",
        "open_quote.csv": 'text,label\na,x\n"b,y\nc,x\n',
        "three.csv": "a,b,c,label\n1,2,3,x\n4,5,6,y\n",
        "unseen.csv": "text,label\na,class 1\nb,Class 2\n",
        "notes.txt": "text,label\na,x\n",
        "described.json": '{"x": "one thing", "yy": "another"}',
        "few.csv": "text,label\na,x\nb,y\nc,z\n",
        "ids.csv": "text,label\n" + "".join(f"t{row},id {row}\n" for row in range(2500)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "latin.csv").write_bytes("text,label\nä,x\nö,y\n".encode("latin-1"))
    (folder / "bad.parquet").write_bytes(b"PAR1 no parquet")
    base = t5_folder()
    (folder / "empty").mkdir()
    (folder / "bert").mkdir()
    (folder / "bert" / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    for file in base.glob("tokenizer*"):
        shutil.copy(file, folder / "bert")
    cut(base, folder / "cut", 10_000)
    shutil.copytree(base, folder / "bin_only")
    (folder / "bin_only" / "model.safetensors").rename(folder / "bin_only" / "pytorch_model.bin")
    (folder / "bad_config").mkdir()
    (folder / "bad_config" / "config.json").write_text("{")
    shutil.copytree(base, folder / "t5")
    saved_model(base, folder / "model", ("class 0", "class 1", "class 2"))
    saved_model(base, folder / "numbers", ("value",), "regression")
    cut(folder / "model", folder / "cut_model", 10_000)
    (folder / "busy").mkdir()
    (folder / "busy" / "notes.txt").write_text("mine")
    return folder


TRAIN = "train {p}/good.csv --text text --label label --base {p}/t5 --out {p}/new"


def train(file: str, more: str = "") -> str:
    return TRAIN.replace("good.csv", file) + " " + more


BAD_INPUT = {
    # data
    "missing file": (train("nowhere.csv"), "no file `{p}/nowhere.csv`"),
    "mistyped file": (train("goood.csv"), "did you mean `good.csv`?"),
    "mistyped text column": (
        "train {p}/good.csv --text txt --label label --base {p}/t5 --out {p}/new",
        "no column `txt`",
        "did you mean `text`?",
    ),
    "unknown text column": (
        "train {p}/good.csv --text zzz --label label --base {p}/t5 --out {p}/new",
        "no column `zzz`",
        "text, label",
    ),
    "mistyped label column": (
        "train {p}/good.csv --text text --label labels --base {p}/t5 --out {p}/new",
        "no column `labels`",
        "did you mean `label`?",
    ),
    "no text column": ("train {p}/good.csv --text , --label label --base {p}/t5 --out {p}/new", "0 text columns"),
    "three text columns": (
        "train {p}/three.csv --text a,b,c --label label --base {p}/t5 --out {p}/new",
        "3 text columns given (a, b, c)",
        "name one, or two",
    ),
    "text is label": ("train {p}/good.csv --text text --label text --base {p}/t5 --out {p}/new", "named twice"),
    "empty file": (train("empty.csv"), "is empty"),
    "header only": (train("header.csv"), "has no rows"),
    "one class": (train("one_class.csv"), "holds 1 class (`x`)", "at least 2"),
    "too few rows": (train("few.csv"), "cannot hold out", "a file to evaluate on"),
    "broken JSON": (train("broken.jsonl"), "line 2 is not JSON"),
    "no JSON objects": (train("not_objects.jsonl"), "line 2 is `[1, 2]`, not an object"),
    "not UTF-8": (train("latin.csv"), "is not UTF-8", "save it again as UTF-8"),
    "no Parquet": (train("bad.parquet"), "cannot read", "as Parquet"),
    "missing label": (train("no_label.csv"), "lacks the label in 1 of 3 rows (first: row 2)"),
    "missing text": (train("no_text.jsonl"), "lacks the text in 1 of 2 rows (first: row 1)"),
    "numbers as texts": (train("numbers_as_texts.jsonl"), "`1` is not a text"),
    "words as numbers": (train("good.csv", "--task regression"), "row 1: `class 0` is not a number"),
    "lists as single labels": (train("lists.jsonl", "--task single"), "is not one label", "--task multi"),
    "words as lists": (train("good.csv", "--task multi"), "is not a list of labels", "--label-separator"),
    "tags of a text in one piece": (
        train("tags.jsonl"),
        "2 tags for a text in one piece",
        "name a column of word lists",
    ),
    "ids as labels": (train("ids.csv"), "2500 different values in 2500 rows", "--task single"),
    "separator for a single label": (train("good.csv", "--task single --label-separator ;"), "--label-separator `;`"),
    "column names twice": (train("twice.csv"), "2 columns named `text`"),
    "ragged row": (train("ragged.csv"), "row 3", "has 3 fields, the header has 2"),
    "open quote": (train("open_quote.csv"), "line 3", "is never closed"),
    "unknown file type": (train("notes.txt"), "cannot tell the format", ".csv"),
    "folder as data": (train(""), "is a folder; name one file in it"),
    "hub data without split": (
        "train imdb --text text --label label --base {p}/t5 --out {p}/new",
        "no file `imdb`",
        "`imdb:train`",
    ),
    "unseen label in --eval": (
        train("good.csv", "--eval {p}/unseen.csv"),
        "`Class 2`",
        "did you mean `class 2`",
    ),
    "missing --eval file": (train("good.csv", "--eval {p}/nowhere.csv"), "no file `"),
    # options
    "batch size 0": (train("good.csv", "--batch-size 0"), "`batch_size` is `0`", "greater than or equal to 1"),
    "epochs -1": (train("good.csv", "--epochs -1"), "`epochs` is `-1.0`", "greater than 0"),
    "endless epochs": (train("good.csv", "--epochs inf"), "`epochs` is `inf`", "finite"),
    "unknown precision": (train("good.csv", "--precision float16"), "`precision` is `float16`", "'bfloat16'"),
    "unknown task": (train("good.csv", "--task singel"), "no task `singel`", "did you mean `single`?"),
    "max length 1": (train("good.csv", "--max-length 1"), "`max_length` is `1`"),
    "negative learning rate": (train("good.csv", "--learning-rate -0.1"), "`learning_rate` is `-0.1`"),
    "eval fraction 0.9": (train("good.csv", "--eval-fraction 0.9"), "`eval_fraction` is `0.9`", "equal to 0.5"),
    "two mistakes": (train("good.csv", "--seed -1 --patience 0"), "`seed` is `-1`", "`patience` is `0`"),
    "word for a number": (train("good.csv", "--epochs many"), "'--epochs': Input should be a valid number", "`many`"),
    "huge learning rate": (train("good.csv", "--learning-rate 1e30 --out {p}/diverged"), "training diverged"),
    "unknown option": (train("good.csv", "--learning-rat 1"), "No such option: --learning-rat", "--learning-rate"),
    "missing option": ("train {p}/good.csv --text text", "Missing option '--label'", "see enct5 train --help"),
    "missing argument": ("info", "Missing argument 'MODEL'"),
    "unknown command": ("trian", "No such command 'trian'", "see enct5 --help"),
    # what can be neither here nor on the hub
    "URL as data": (
        "train https://example.org/a.csv --text text --label label --out {p}/new",
        "https://example.org/a.csv is a URL; give the path of a file here",
    ),
    "Windows path as data": (
        "train C:\\data\\a.csv --text text --label label --out {p}/new",
        "C:\\data\\a.csv is a path of Windows",
    ),
    "URL as hub data": ("evaluate {p}/model https://example.org/a:train", "is a URL"),
    "URL as base": (train("good.csv", "--base https://hf.example/t5"), "https://hf.example/t5 is a URL", "org/name"),
    "URL as model": ("predict https://hf.example/a/b {p}/good.csv", "is a URL"),
    "data as model": ("info nowhere/x.csv", "there is no folder nowhere/x.csv"),
    "weights as model": ("bench org/model.safetensors", "there is no folder org/model.safetensors"),
    "mistyped model": ("info {p}/modle", "did you mean {p}/model?"),
    "data as base": ("convert {p}/good.csv {p}/x --num-labels 2", "{p}/good.csv is a file, no checkpoint"),
    # base
    "missing base": (train("good.csv", "--base {p}/nowhere"), "{p}/nowhere"),
    "base without config": (train("good.csv", "--base {p}/empty"), "no config.json", "name a T5 or EncT5 folder"),
    "damaged base config": (train("good.csv", "--base {p}/bad_config"), "{p}/bad_config"),
    "base of another type": (train("good.csv", "--base {p}/bert"), "'bert'", "t5, mt5, umt5"),
    "truncated base": (train("good.csv", "--base {p}/cut"), "damaged or incomplete", "model.safetensors"),
    "base without safetensors": (train("good.csv", "--base {p}/bin_only"), "safetensors only", "save_pretrained"),
    "truncated EncT5 base": (train("good.csv", "--base {p}/cut_model"), "cannot load {p}/cut_model"),
    # run folder
    "out exists": (train("good.csv", "--out {p}/busy"), "not empty", "choose another --out"),
    "out is a file": (train("good.csv", "--out {p}/good.csv"), "choose another --out"),
    "nothing to resume": (train("good.csv", "--out {p}/none --resume"), "no interrupted run", "without --resume"),
    # evaluate, predict, info
    "evaluate without a model": ("evaluate {p}/empty {p}/good.csv", "{p}/empty"),
    "evaluate a missing model": ("evaluate {p}/nowhere {p}/good.csv", "{p}/nowhere"),
    "evaluate a T5": ("evaluate {p}/t5 {p}/good.csv", "'t5', not an EncT5 model", "enct5 train"),
    "evaluate unknown labels": ("evaluate {p}/model {p}/unseen.csv", "did you mean `class 2` for `Class 2`?"),
    "evaluate a missing column": ("evaluate {p}/model {p}/three.csv", "no column `text`"),
    "evaluate into a missing folder": (
        "evaluate {p}/model {p}/good.csv --json {p}/none/x.json",
        "cannot write {p}/none/x.json",
    ),
    "predict without a model": ("predict {p}/empty {p}/good.csv", "{p}/empty"),
    "predict with a truncated model": ("predict {p}/cut_model {p}/good.csv", "weights of {p}/cut_model"),
    "evaluate with an impossible score": (
        "evaluate {p}/model {p}/good.csv --abstain-below 70",
        "`abstain_below` (--abstain-below) is 70.0",
        "from 0 to 1",
    ),
    "abstain where there is no score": (
        "predict {p}/numbers {p}/good.csv --abstain-below 0.5",
        "this model does regression",
        "leave out `abstain_below` (--abstain-below)",
    ),
    "no tokens a batch": (
        "predict {p}/model {p}/good.csv --batch-tokens 0",
        "'--batch-tokens'",
        "greater than or equal to 1",
    ),
    "word for a score": ("predict {p}/model {p}/good.csv --abstain-below high", "'--abstain-below'", "`high`"),
    "predict a missing file": ("predict {p}/model {p}/nowhere.csv", "no file `"),
    "a text into a file": ("predict {p}/model parcel --out {p}/x.csv", "`parcel` is one text", "leave out --out"),
    "a pair for single texts": ("predict {p}/model late parcel", "trained on `text`; give one text"),
    "scores of numbers": (
        "predict {p}/numbers {p}/good.csv --all-scores",
        "no probabilities of labels",
        "--all-scores",
    ),
    "no labels at all": ("predict {p}/model {p}/good.csv --top-k 0", "(--top-k) is 0"),
    "two wishes": ("predict {p}/model late --top-k 2 --all-scores", "do not go together"),
    "predict a missing column": ("predict {p}/model {p}/good.csv --text texts", "did you mean `text`?"),
    "unknown numbers": ("predict {p}/model {p}/good.csv --dtype float61", "'float61' is not one of 'auto', 'float32'"),
    "unknown quantisation": ("evaluate {p}/model {p}/good.csv --quantize int4", "'int4' is not one of 'int8'"),
    "unknown format": ("export {p}/model {p}/x --format tf", "'tf' is not one of 'onnx'", "see enct5 export --help"),
    "export into a busy folder": ("export {p}/model {p}/busy", "not empty"),
    "predict into an unknown type": ("predict {p}/model {p}/good.csv -o {p}/x.txt", "must end in one of .csv"),
    "predict into a missing folder": ("predict {p}/model {p}/good.csv -o {p}/none/x.csv", "does not exist"),
    "explain an unknown label": (
        "explain {p}/model late --label klass",
        "no label `klass`",
        "class 0, class 1, class 2",
    ),
    "explain a mistyped label": ("explain {p}/model late --label class_1", "did you mean `class 1`?"),
    "explain without a model": ("explain {p}/empty late", "{p}/empty"),
    "explain without a text": ("explain {p}/model", "Missing argument 'TEXT'"),
    "explain into a missing folder": ("explain {p}/model late --html {p}/none/x.html", "cannot write {p}/none/x.html"),
    "info on a missing model": ("info {p}/nowhere", "{p}/nowhere"),
    "info on an empty folder": ("info {p}/empty", "{p}/empty"),
    "info on a truncated model": ("info {p}/cut_model", "weights of {p}/cut_model"),
    "info on a damaged config": ("info {p}/bad_config", "{p}/bad_config"),
    "info on a file": ("info {p}/good.csv", "{p}/good.csv"),
    "label prompts for one prompt": (
        train("good.csv", "--label-prompts names"),
        "--label-prompts names needs a prompt",
    ),
    "unknown label prompts": (train("lists.jsonl", "--label-prompts words"), "`label_prompts` is `words`", "'names'"),
    "missing descriptions": (train("lists.jsonl", "--label-descriptions {p}/nowhere.json"), "{p}/nowhere.json"),
    "labels not described": (
        train("lists.jsonl", "--label-descriptions {p}/described.json"),
        "described.json does not describe `y` (is `yy`",
    ),
    "unknown loss": (train("good.csv", "--loss hinge"), "`loss` is `hinge`", "'focal'"),
    "loss of another task": (train("good.csv", "--loss asymmetric"), "`loss` is 'asymmetric'", "focal"),
    "unknown weights": (train("good.csv", "--class-weights 3"), "`class_weights` is `3`", "'balanced'"),
    # convert
    "convert without labels": ("convert {p}/t5 {p}/x", "Missing option '--num-labels'"),
    "convert to no labels": ("convert {p}/t5 {p}/x --num-labels 0", "`num_labels` is 0"),
    "convert to an unknown problem": (
        "convert {p}/t5 {p}/x --num-labels 2 --problem-type singel",
        "did you mean `single`?",
    ),
    "convert into a busy folder": ("convert {p}/t5 {p}/busy --num-labels 2", "not empty"),
    "convert another type": ("convert {p}/bert {p}/x --num-labels 2", "'bert'"),
}


@pytest.mark.parametrize(("command", "phrases"), [(case[0], case[1:]) for case in BAD_INPUT.values()], ids=BAD_INPUT)
def test_a_mistake_is_one_helpful_line_and_status_2(
    place: Path, enct5: Callable[..., Ended], command: str, phrases: tuple[str, ...]
) -> None:
    status, _, err = enct5(*(part.format(p=place) for part in command.split()))
    assert status == 2, err
    assert err.startswith("enct5: ")
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    assert "Traceback" not in err
    for phrase in phrases:
        assert phrase.format(p=place) in err
    for name in ("new", "x", "x.txt", "none"):
        assert not (place / name).exists()
    assert [path.name for path in (place / "busy").iterdir()] == ["notes.txt"]


def test_explain_shows_words_and_writes_a_page(place: Path, enct5: Callable[..., Ended], tmp_path: Path) -> None:
    out = tmp_path / "why.html"
    status, shown, err = enct5("explain", place / "model", "late [b]parcel[/b]", "--label", "class 2", "--html", out)
    assert (status, err) == (0, "")
    assert shown.endswith(f"\npage: {out}\n")
    lines = shown.splitlines()
    assert re.fullmatch(r"class 2: \S+.*", lines[0])
    assert lines[1] == "late [b]parcel[/b]</s>"
    rows = [line.split("│")[1:-1] for line in lines if line.startswith("│")]
    assert {row[0].strip() for row in rows} == {"late", "[b]parcel[/b]", "</s>"}
    assert sum(float(row[2].strip().rstrip("%")) for row in rows) == pytest.approx(100, abs=0.3)
    assert "late" in out.read_text(encoding="utf-8")


def test_explain_takes_pairs_and_says_what_was_cut(place: Path, enct5: Callable[..., Ended]) -> None:
    status, shown, _ = enct5("explain", place / "model", "late parcel", "money " * 200)
    assert status == 0
    assert "the text is too long for the model: the last " in shown
    assert "late parcel</s>" in shown


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("enct5.inference.inspection.inspect", broken)
    monkeypatch.setattr(sys, "argv", ["enct5", "info", "x"])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        command.main()


def test_an_interruption_tells_how_to_go_on(
    place: Path, enct5: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "train", interrupted)
    status, _, err = enct5(*TRAIN.format(p=place).split())
    assert (status, err) == (130, "enct5: interrupted; nothing was written yet\n")
    (place / "new" / "checkpoints").mkdir(parents=True)
    status, _, err = enct5(*TRAIN.format(p=place).split())
    assert status == 130
    assert err == f"enct5: interrupted; the same command with --resume continues the run in {place}/new\n"
    shutil.rmtree(place / "new")


def test_train_evaluate_predict_and_info_work_together(
    place: Path, tmp_path: Path, enct5: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = place / "good.csv", tmp_path / "run"
    options = ("--epochs", 2, "--batch-size", 8, "--learning-rate", 0.003)
    trained = enct5("train", data, "--text", "text", "--label", "label", "--base", place / "t5", "--out", out, *options)
    assert (trained.status, trained.err) == (0, "")
    assert "task: single-label classification" in trained.out
    assert "texts a label: class 0 10, class 1 10, class 2 10" in trained.out
    assert f"enct5 predict {out} FILE" in trained.out
    record = json.loads((out / "metrics.json").read_text())
    assert f"{record['metrics']['accuracy']:.4f}" in trained.out

    evaluated = enct5("evaluate", out, data, "--json", tmp_path / "figures.json")
    assert (evaluated.status, evaluated.err) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["rows"] == 30
    assert f"{figures['metrics']['accuracy']:.4f}" in evaluated.out
    assert "30 rows of good.csv" in evaluated.out

    predicted = enct5("predict", out, data, "-o", tmp_path / "predicted.csv")
    assert (predicted.status, predicted.err) == (0, f"30 predictions written to {tmp_path / 'predicted.csv'}\n")
    assert predicted.out.startswith("predicted with form: inference form, device: ")
    assert predicted.out.endswith(", batch tokens: 2048\n")
    table = read_table(str(tmp_path / "predicted.csv"))
    assert table.column_names == ["text", "label", "predicted_label", "score"]
    right = [a == b for a, b in zip(table["label"][:], table["predicted_label"][:], strict=True)]
    assert sum(right) / 30 == pytest.approx(figures["metrics"]["accuracy"])

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"parcel late 0\nmoney\n")))
    piped = enct5("predict", out, "-")
    assert (piped.status, piped.err) == (0, "")
    lines = piped.out.splitlines()
    assert lines[0] == "text,label,score"
    assert lines[1].startswith(f"parcel late 0,{table['predicted_label'][0]},")

    facts = enct5("info", out)
    assert facts.status == 0
    assert "3: class 0, class 1, class 2" in facts.out
    again = enct5("train", data, "--text", "text", "--label", "label", "--base", place / "t5", "--out", out, *options)
    assert again.status == 2
    assert "not empty" in again.err


def test_abstaining_leaves_cells_empty_and_is_measured(
    place: Path, tmp_path: Path, enct5: Callable[..., Ended]
) -> None:
    model, data = place / "model", place / "good.csv"
    assert enct5("predict", model, data, "-o", tmp_path / "all.csv").status == 0
    scores = [float(score) for score in read_table(str(tmp_path / "all.csv"))["score"][:]]
    limit = sorted(scores)[len(scores) // 2]
    assert enct5("predict", model, data, "-o", tmp_path / "some.csv", "--abstain-below", limit).status == 0
    table, whole = read_table(str(tmp_path / "some.csv")), read_table(str(tmp_path / "all.csv"))
    assert table["score"][:] == whole["score"][:]
    wanted = [label if score >= limit else "" for label, score in zip(whole["predicted_label"][:], scores, strict=True)]
    assert [label or "" for label in table["predicted_label"][:]] == wanted
    answered = [label == row for label, row in zip(wanted, table["label"][:], strict=True) if label]
    evaluated = enct5("evaluate", model, data, "--json", tmp_path / "figures.json", "--abstain-below", limit)
    figures = json.loads((tmp_path / "figures.json").read_text())["metrics"]
    assert figures["coverage"] == pytest.approx(len(answered) / len(scores))
    assert figures["answered_accuracy"] == pytest.approx(sum(answered) / len(answered))
    assert f"{figures['coverage']:.4f}" in evaluated.out
    assert enct5("predict", model, data, "-o", tmp_path / "some.jsonl", "--abstain-below", limit).status == 0
    lines = [json.loads(line) for line in (tmp_path / "some.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["predicted_label"] for line in lines] == [label or None for label in wanted]


def cells(shown: str) -> list[list[str]]:
    """The rows of a table on the terminal, but for its head."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]


def test_one_text_is_answered_on_the_terminal(place: Path, enct5: Callable[..., Ended]) -> None:
    model, text = place / "model", "parcel late, where is it?"
    one, two, three = (enct5("predict", model, text, *more) for more in ((), ("--top-k", 2), ("--all-scores",)))
    assert (one.status, one.err) == (0, "")
    wanted = [
        [found["label"], f"{found['score']:.3f}"]
        for found in Predictor.from_pretrained(model).predict(text, top_k=None)
    ]
    assert cells(one.out) == wanted[:1]
    assert cells(two.out) == wanted[:2]
    assert cells(three.out) == wanted
    number = Predictor.from_pretrained(place / "numbers").predict(text)["value"]
    assert cells(enct5("predict", place / "numbers", text).out) == [[f"{number:.3f}"]]


def test_a_pair_is_two_texts(place: Path, tmp_path: Path, enct5: Callable[..., Ended]) -> None:
    saved_model(place / "t5", tmp_path / "pairs", ("no", "yes"), text=("question", "answer"))
    status, out, _ = enct5("predict", tmp_path / "pairs", "late?", "no, it came")
    assert status == 0
    (wanted,) = Predictor.from_pretrained(tmp_path / "pairs").predict([("late?", "no, it came")])
    assert cells(out) == [[wanted["label"], f"{wanted['score']:.3f}"]]
    ended = enct5("predict", tmp_path / "pairs", "is it late?")
    assert ended.err == "enct5: the model was trained on `question` and `answer`; give two texts\n"


def test_all_scores_are_columns(place: Path, enct5: Callable[..., Ended]) -> None:
    status, out, _ = enct5("predict", place / "model", place / "good.csv", "--all-scores")
    assert status == 0
    header, first = (line.split(",") for line in out.splitlines()[:2])
    assert header == [*("text", "label", "predicted_label", "score"), *(f"score_class {number}" for number in range(3))]
    assert sum(map(float, first[4:])) == pytest.approx(1, abs=1e-6)
    assert max(map(float, first[4:])) == float(first[3])


def test_the_run_folder_is_named_after_the_data(
    place: Path, tmp_path: Path, enct5: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainConfig] = []

    def remember(config: TrainConfig, *arguments: Any) -> None:
        seen.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "train", remember)
    enct5("train", place / "good.csv", "--text", "a, b", "--label", "label")
    enct5("train", "org/name:train", "--text", " a", "--label", "label", "--max-length", 99)
    assert [config.out for config in seen] == ["runs/good", "runs/name"]
    assert (seen[0].text, seen[1].text) == (("a", "b"), (" a",))  # one alone is as it was written
    assert (seen[0].max_length, seen[1].max_length) == (512, 99)


def test_convert_says_what_is_new(place: Path, tmp_path: Path, enct5: Callable[..., Ended]) -> None:
    problem = ("--problem-type", "multi_label_classification")
    ended = enct5("convert", place / "t5", tmp_path / "out", "--num-labels", 4, *problem)
    assert (ended.status, ended.err) == (0, "")
    assert "new, to be fine-tuned before use: transformer.decoder.embed_tokens.weight, classifier" in ended.out
    assert "no: train it before use" in enct5("info", tmp_path / "out").out


def test_the_demo_trains_measures_and_predicts(
    place: Path, tmp_path: Path, enct5: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training.train

    def short(config: TrainConfig, **options: Any) -> dict[str, Any]:
        assert (config.base, config.epochs) == ("bundled", None)
        tiny = {"base": str(place / "t5"), "epochs": 0.05, "max_length": 16}
        return whole(config.model_copy(update=tiny), **options)

    monkeypatch.setattr(training, "train", short)
    ended = enct5("demo", "--out", tmp_path / "demo")
    assert (ended.status, ended.err) == (0, "")
    assert "$ enct5 train train.jsonl" in ended.out
    assert "test messages" in ended.out
    assert "predicted" in ended.out
    assert f"the run folder is {tmp_path / 'demo'}" in ended.out
    assert (tmp_path / "demo" / "report.html").is_file()


def test_labels_that_look_like_markup_are_shown_as_they_are(enct5: Callable[..., Ended], capsys: Any) -> None:
    from enct5.cli import tables

    per_label = [{"label": name, "f1": 0.5, "support": 3} for name in ("[/close]", "[red]", ":smile:")]
    tables.show_metrics({"accuracy": 0.5}, per_label, "6 rows of [b]data[/b].csv")
    tables.show_predictions([{"text": "[/x]", "predicted": "[b]"}])
    out = capsys.readouterr().out
    for name in ("[/close]", "[red]", ":smile:", "6 rows of [b]data[/b].csv", "[/x]", "[b]"):
        assert name in out


@pytest.mark.parametrize("arguments", [[], ["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_is_printed_and_succeeds(enct5: Callable[..., Ended], arguments: list[str]) -> None:
    status, out, err = enct5(*arguments)
    assert (status, err) == (0, "")
    assert "Usage: " in out
    if arguments in ([], ["--help"]):
        assert all(command in out for command in COMMANDS)


_HELP = """
import sys
from enct5.cli import main
for arguments in (["--help"], ["train", "--help"], ["predict", "--help"], ["train", "x.csv"], ["nonsense"]):
    sys.argv = ["enct5", *arguments]
    try:
        main()
    except SystemExit:
        pass
slow = {"torch", "transformers", "datasets", "pandas", "pyarrow", "sklearn", "scipy"} & set(sys.modules)
assert not slow, slow
"""


def test_help_does_not_import_slow_libraries() -> None:
    ended = subprocess.run([sys.executable, "-c", _HELP], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


# Told while torch cannot even be imported.
_TOLD_AT_ONCE = (
    *("missing file", "mistyped text column", "words as numbers", "broken JSON", "no Parquet", "unknown task"),
    *("missing base", "out exists", "nothing to resume", "unseen label in --eval", "labels not described"),
    *("evaluate a missing column", "evaluate with an impossible score", "predict a missing file"),
    *("abstain where there is no score", "explain without a model", "convert into a busy folder", "unknown format"),
)


@pytest.mark.parametrize("name", _TOLD_AT_ONCE)
def test_a_mistake_is_told_before_torch_is_imported(place: Path, name: str) -> None:
    command, *phrases = BAD_INPUT[name]
    ended = run_command(*(part.format(p=place) for part in command.split()))
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("enct5: ")
    for phrase in phrases:
        assert phrase.format(p=place) in ended.stderr


def test_what_cannot_be_told_without_torch_is_seen_to_need_it(place: Path) -> None:
    ended = run_command("info", place / "model")
    assert "torch was imported" in ended.stderr


def test_the_installed_command_exits_with_2_and_one_line(place: Path) -> None:
    command = [sys.executable, "-m", "enct5.cli", *train("good.csv", "--base {p}/cut").format(p=place).split()]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("enct5: ")
    assert ended.stderr.count("\n") == 1
    assert "damaged or incomplete" in ended.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["-h"], ["train", "-h"]])
def test_version_and_short_help(enct5: Callable[..., Ended], arguments: list[str]) -> None:
    status, out, err = enct5(*arguments)
    assert (status, err) == (0, "")
    assert out.startswith(f"enct5 {__version__}\n" if arguments == ["--version"] else "Usage: enct5 ")


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "enct5.cli", "--help"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert ended.stderr == ""
