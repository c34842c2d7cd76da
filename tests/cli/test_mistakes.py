"""Mistakes: one helpful line and status 2 for each, those of the command line before torch is imported."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enct5.cli import command
from helpers.command import TRAIN, Ended
from helpers.without_torch import run_command

pytestmark = pytest.mark.usefixtures("one_thread")
Base = Callable[..., Path]


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
    "files as two arguments": (
        train("good.csv {p}/good.csv"),
        "{p}/good.csv and {p}/good.csv are two arguments, and several files are one: write `{p}/good.csv,{p}/good.csv`",
        "pattern between quotes",
    ),
    "what is no file as a second argument": (
        train("good.csv nowhere.csv"),
        "unexpected extra argument(s) (nowhere.csv)",
    ),
    "text columns as two options": (
        "train {p}/three.csv --text a --text b --label label --base {p}/t5 --out {p}/new",
        "'--text': given twice",
        "separated by commas",
    ),
    "label columns as two options": (train("three.csv") + " --label b", "'--label': given twice"),
    "text is label": ("train {p}/good.csv --text text --label text --base {p}/t5 --out {p}/new", "named twice"),
    "empty file": (train("empty.csv"), "is empty"),
    "header only": (train("header.csv"), "has no rows"),
    "one class": (train("one_class.csv"), "holds 1 class (`x`)", "at least 2"),
    "too few rows": (train("few.csv"), "cannot hold out", "a file to evaluate on"),
    "broken JSON": (train("broken.jsonl"), "line 2 is not JSON"),
    "no JSON objects": (train("not_objects.jsonl"), "line 2 is `[1, 2]`, not an object"),
    "not UTF-8": (train("latin.csv"), "is not UTF-8", "--encoding"),
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
    "unknown file type": (train("notes.html"), "cannot tell the format", ".csv"),
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
    "unknown precision": (
        train("good.csv", "--precision float16"),
        "`precision` is `float16`",
        "did you mean `bfloat16`?",
    ),
    "unknown task": (train("good.csv", "--task singel"), "no task `singel`", "did you mean `single`?"),
    "max length 1": (train("good.csv", "--max-length 1"), "`max_length` is `1`"),
    "negative learning rate": (train("good.csv", "--learning-rate -0.1"), "`learning_rate` is `-0.1`"),
    "eval fraction 0.9": (train("good.csv", "--eval-fraction 0.9"), "`eval_fraction` is `0.9`", "equal to 0.5"),
    "two mistakes": (train("good.csv", "--seed -1 --patience 0"), "`seed` is `-1`", "`patience` is `0`"),
    "word for a number": (train("good.csv", "--epochs many"), "'--epochs': Input should be a valid number", "`many`"),
    "huge learning rate": (train("good.csv", "--learning-rate 1e30 --out {p}/diverged"), "training diverged"),
    "unknown option": (train("good.csv", "--learning-rat 1"), "No such option: --learning-rat", "--learning-rate"),
    "missing option": ("train {p}/good.csv --text text", "`label` (--label) is missing"),
    "nothing given": (
        "train",
        "`data` (DATA) is missing",
        "`text` (--text) is missing",
        "`label` (--label) is missing",
    ),
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
    "evaluate unknown labels": (
        "evaluate {p}/model {p}/unseen.csv",
        "unseen.csv has labels that the model is not",
        "did you mean `class 2`?",
    ),
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
    "a pair for single texts": ("predict {p}/model late parcel", "trained on `text`; give it single texts"),
    "two columns for single texts": (
        "predict {p}/model {p}/good.csv --text text,label",
        "trained on `text`; give it single texts",
    ),
    "evaluate two columns": ("evaluate {p}/model {p}/good.csv --text text,label", "give it single texts"),
    "explain a pair": ("explain {p}/model late parcel", "trained on `text`; give it single texts"),
    "scores of numbers": (
        "predict {p}/numbers {p}/good.csv --all-scores",
        "no probabilities of labels",
        "--all-scores",
    ),
    "no labels at all": ("predict {p}/model {p}/good.csv --top-k 0", "(--top-k) is 0"),
    "two wishes": ("predict {p}/model late --top-k 2 --all-scores", "do not go together"),
    "a shard too far": ("predict {p}/model {p}/good.csv -o {p}/x --shard 3/2", "`3/2`", "the last of 2 is `1/2`"),
    "a shard to the terminal": ("predict {p}/model {p}/good.csv --shard 0/2", "--shard is for", "name both"),
    "a shard of a text": ("predict {p}/model parcel -o {p}/x --shard 0/2", "`parcel` is one text", "--shard"),
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


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("enct5.inference.inspection.inspect", broken)
    monkeypatch.setattr(sys, "argv", ["enct5", "info", "x"])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        command.main()


# Told while torch cannot even be imported.
_TOLD_AT_ONCE = (
    *("missing file", "mistyped text column", "words as numbers", "broken JSON", "no Parquet", "unknown task"),
    *("missing base", "out exists", "nothing to resume", "unseen label in --eval", "labels not described"),
    *("evaluate a missing column", "evaluate with an impossible score", "predict a missing file"),
    *("abstain where there is no score", "explain without a model", "convert into a busy folder", "unknown format"),
)


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_installed_command_exits_with_2_and_one_line(place: Path) -> None:
    command = [sys.executable, "-m", "enct5.cli", *train("good.csv", "--base {p}/cut").format(p=place).split()]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("enct5: ")
    assert ended.stderr.count("\n") == 1
    assert "damaged or incomplete" in ended.stderr


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "enct5.cli", "--help"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert ended.stderr == ""
