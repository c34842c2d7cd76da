"""The command: its whole path once, what it shows, its help."""

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enct5 import __version__, training
from enct5.cli import start
from enct5.data.reading import read_table
from enct5.inference.output_parts import Parts
from enct5.inference.predictor import Predictor
from enct5.training.config import TrainConfig
from helpers.command import TRAIN, Ended
from helpers.models import saved_model

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
COMMANDS = ("train", "evaluate", "predict", "explain", "convert", "info", "demo")


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


def test_explain_takes_pairs_and_says_what_was_cut(place: Path, tmp_path: Path, enct5: Callable[..., Ended]) -> None:
    saved_model(place / "t5", tmp_path / "pairs", ("no", "yes"), text=("question", "answer"))
    status, shown, _ = enct5("explain", tmp_path / "pairs", "late parcel", "money " * 200)
    assert status == 0
    assert "the text is too long for the model: the last " in shown
    assert "late parcel</s>" in shown


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
    assert predicted.out.startswith("predicted with form: folded model, device: ")
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


def test_predictions_go_on_in_the_same_encoding_only(
    place: Path, tmp_path: Path, enct5: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_bytes("text\nÈ\n".encode("cp1252"))  # `Č` in cp1250
    command = ("predict", place / "model", tmp_path / "in.csv", "--text", "text", "-o", tmp_path / "out.csv")

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Parts, "join", interrupt)
        assert enct5(*command, "--encoding", "cp1252").status == 130
    for other in (("--encoding", "cp1250"), ()):
        status, _, error = enct5(*command, *other, "--resume")
        assert status == 2
        assert "the interrupted call had another encoding (`cp1252`, not `" in error
    assert enct5(*command, "--encoding", "cp1252", "--resume").status == 0
    assert read_table(str(tmp_path / "out.csv"))["text"][:] == ["È"]


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
    assert ended.err == "enct5: the model was trained on `question` and `answer`; give it pairs of texts\n"


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
    assert (seen[0].max_length, seen[1].max_length) == (None, 99)


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
    assert all(f" {task}" in ended.out for task in ("intent", "topics", "urgency", "entities"))
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


@pytest.mark.parametrize("arguments", [["--version"], ["-h"], ["train", "-h"]])
def test_version_and_short_help(enct5: Callable[..., Ended], arguments: list[str]) -> None:
    status, out, err = enct5(*arguments)
    assert (status, err) == (0, "")
    assert out.startswith(f"enct5 {__version__}\n" if arguments == ["--version"] else "Usage: enct5 ")
