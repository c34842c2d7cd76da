"""A student learns from its teacher, on every kind of task, with labels and without."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enct5.assets import bundled_t5
from enct5.errors import EncT5Error
from enct5.export.onnx import export
from enct5.inference.predictor import Predictor
from enct5.model.loading import load_tokenizer
from enct5.training import distillation
from enct5.training import run as training_run
from enct5.training.distillation.config import DistillConfig
from enct5.training.distillation.teacher_outputs import FILE
from helpers.runs import (
    LABELS,
    InterruptedRunError,
    Run,
    assert_same_weights,
    heard,
    messages,
    numbers,
    several_labels,
    start,
    steps_of,
    weights,
)
from helpers.several_tasks import saved_tasks
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")


def distill(teacher: Path, base: Path, out: Path, source: str, said: list[str] | None = None, **options: Any) -> Any:
    """A short distillation on the column `text`, unless options say otherwise."""
    settings = {"text": ("text",), "epochs": 5, "batch_size": 8, "learning_rate": 3e-3} | options
    resume = settings.pop("resume", False)
    hear = settings.pop("hear", (said if said is not None else []).append)
    config = DistillConfig.checked(teacher=str(teacher), data=source, base=str(base), out=str(out), **settings)
    with heard(hear):
        return distillation.distill(config, resume=resume)


def without_labels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"text": row["text"], "label": None} for row in rows]


@pytest.fixture(scope="module")
def teacher(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that has seen many labelled messages."""
    folder = tmp_path_factory.mktemp("teacher")
    record = start(run.base, folder / "big", write_rows(folder / "many.jsonl", messages(400, seed=3)), epochs=6)
    assert record["metrics"]["accuracy"] > 0.95
    return folder / "big"


def many_words(count: int, seed: int) -> list[dict[str, Any]]:
    """Texts of many words, three of four of which are of the label's own: a few texts do not hold them all."""
    vocabulary = load_tokenizer(str(bundled_t5())).get_vocab()
    words = [token[1:] for token in sorted(vocabulary, key=vocabulary.__getitem__) if re.fullmatch("▁[a-z]{5,}", token)]
    own = {label: words[number:90:3] for number, label in enumerate(LABELS)}
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = LABELS[number % 3]
        chosen = [*random.choice(own[label], size=3), random.choice(words[:90])]
        rows.append({"text": " ".join(random.permutation(chosen)), "label": label})
    return rows


def test_a_student_of_unlabelled_texts_beats_the_few_labels(run: Run, tmp_path: Path) -> None:
    few, new, held = many_words(12, seed=11), many_words(400, seed=12), many_words(150, seed=13)
    big = write_rows(tmp_path / "big.jsonl", many_words(600, seed=10))
    start(run.base, tmp_path / "teacher", big, epochs=8, learning_rate=1e-2)
    test = write_rows(tmp_path / "test.jsonl", held)
    source = write_rows(tmp_path / "few.jsonl", few)
    alone = start(run.base, tmp_path / "alone", source, eval=test, epochs=40, learning_rate=1e-2)
    source = write_rows(tmp_path / "mixed.jsonl", [*few, *without_labels(new)])
    said: list[str] = []
    options = {"label": "label", "eval": test, "epochs": 8, "learning_rate": 1e-2}
    taught = distill(tmp_path / "teacher", run.base, tmp_path / "student", source, said, **options)
    assert taught["metrics"]["accuracy"] > alone["metrics"]["accuracy"] + 0.1
    found = taught["distillation"]
    judged_and_counted = (found["judged_by"], found["counted_by"])
    assert (found["labelled_texts"], *judged_and_counted) == (12, "the labels", "the teacher's decisions")
    assert "labels: 12 of 412 training texts have one, with a weight of 0.1 beside the teacher" in said
    assert "evaluation: test.jsonl, judged by the labels" in said
    # the teacher's own figures are those that it has on these texts, and the agreement is theirs
    answers, own = (
        [one["label"] for one in Predictor.from_pretrained(tmp_path / name).predict([row["text"] for row in held])]
        for name in ("teacher", "student")
    )
    right = [answer == row["label"] for answer, row in zip(answers, held, strict=True)]
    assert found["teacher_metrics"]["accuracy"] == pytest.approx(np.mean(right))
    same = [answer == other for answer, other in zip(answers, own, strict=True)]
    assert found["agreement"]["accuracy"] == pytest.approx(np.mean(same))
    assert "expected_calibration_error" in taught  # fitted to the labels


def test_a_student_without_labels_is_judged_by_its_teacher(run: Run, teacher: Path, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "new.jsonl", without_labels(messages(300, seed=12)))
    said: list[str] = []
    out = tmp_path / "student"
    record = distill(teacher, run.base, out, source, said, eval_fraction=0.3)
    found = record["distillation"]
    assert record["metrics"] == found["agreement"]
    assert record["metrics"]["accuracy"] > 0.9
    assert found["teacher"] == "big"
    assert (found["label"], found["labelled_texts"], found["label_weight"]) == (None, 0, None)
    assert (found["judged_by"], found["temperature"]) == ("the teacher's decisions", 2.0)
    assert "teacher_metrics" not in found
    assert record["data"]["label"] is None
    answers = [
        one["label"] for one in Predictor.from_pretrained(teacher).predict([r["text"] for r in messages(300, 12)])
    ]
    assert record["data"]["class_counts"] == {name: answers.count(name) for name in LABELS}
    assert any(line.endswith("seed 42), judged by the teacher's decisions") for line in said)
    # its scores are the teacher's, not what is sure of the teacher's decisions
    texts = [row["text"] for row in messages(100, seed=20)]
    scores = [
        np.mean([one["score"] for one in Predictor.from_pretrained(folder).predict(texts)]) for folder in (teacher, out)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)
    assert "temperature" in record
    assert "expected_calibration_error" not in record
    card, page = ((out / name).read_text(encoding="utf-8") for name in ("README.md", "report.html"))
    assert "It was distilled from big: it learned what that model says about the texts of new.jsonl," in card
    assert "\nwithout labels.\n" in card
    assert "The right answers are the teacher's decisions, whose mistakes these figures do not count." in card
    assert "| Label | Texts in the file, by the teacher's decisions |" in card
    assert f"| Teacher | big (SHA-256 `{found['teacher_sha256']}`) |" in card
    assert "fitted on the same split to the teacher's scores" in card
    assert "distilled from big" in page
    assert "On this page right and true is what the teacher, big, decides" in page
    assert "How far to trust the scores" not in page  # whether the teacher is right is not known
    for name in ("README.md", "report.html", "metrics.json", "train_config.yaml"):
        assert str(tmp_path) not in (out / name).read_text(encoding="utf-8")
        assert str(teacher.parent) not in (out / name).read_text(encoding="utf-8")
    assert "teacher: big" in (out / "train_config.yaml").read_text(encoding="utf-8")
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8"))["distillation"] == found
    assert not (out / "checkpoints").exists()


def test_where_all_texts_have_labels_they_judge(run: Run, teacher: Path, tmp_path: Path) -> None:
    said: list[str] = []
    out = tmp_path / "student"
    record = distill(teacher, run.base, out, run.source, said, label="label", label_weight=0.5, epochs=1)
    assert record["distillation"]["judged_by"] == record["distillation"]["counted_by"] == "the labels"
    assert record["distillation"]["label_weight"] == 0.5
    assert record["data"]["class_counts"] == dict.fromkeys(LABELS, 20)
    assert "texts a label, by the labels: Café Ärger 20, delivery 20, refund 20" in said
    card, page = ((out / name).read_text(encoding="utf-8") for name in ("README.md", "report.html"))
    assert "and the labels of 54 of them." in card
    assert "labels weigh 0.5 where there are some" in card
    assert "| Metric | Agreement with the teacher | The teacher's own |" in card
    assert "The teacher's own figure" in page
    assert "How far to trust the scores" in page


def test_labels_in_columns_judge_as_those_in_one(run: Run, tmp_path: Path) -> None:
    rows, teacher = several_labels(40), tmp_path / "teacher"
    start(run.base, teacher, write_rows(tmp_path / "rows.jsonl", rows), epochs=1)
    wide = [{"text": row["text"], **{label: int(label in row["label"]) for label in LABELS}} for row in rows]
    figures = []
    for name, own, column in (("one", rows, "label"), ("wide", wide, ",".join(LABELS))):
        source, held_out = (
            write_rows(tmp_path / f"{name}-{part}.jsonl", own[:end]) for part, end in (("a", 40), ("b", 20))
        )
        record = distill(teacher, run.base, tmp_path / name, source, label=column, eval=held_out, epochs=1)
        assert record["distillation"]["judged_by"] == "the labels"
        figures.append((record["metrics"], record["distillation"]["teacher_metrics"]))
    assert figures[0] == figures[1]


def test_an_exported_teacher_says_the_same(run: Run, tmp_path: Path) -> None:
    export(str(run.out), tmp_path / "exported")
    source = write_rows(tmp_path / "new.jsonl", without_labels(messages(60, seed=12)))
    for name, folder in (("plain", run.out), ("graph", tmp_path / "exported")):
        record = distill(folder, run.base, tmp_path / name, source, epochs=1)
        assert record["distillation"]["teacher"] == folder.name
    for name, tensor in weights(tmp_path / "graph").items():
        assert np.allclose(tensor, weights(tmp_path / "plain")[name], atol=1e-4), name


def test_several_labels(run: Run, tmp_path: Path) -> None:
    rows = several_labels(300)
    start(run.base, tmp_path / "teacher", write_rows(tmp_path / "rows.jsonl", rows), epochs=8)
    source = write_rows(tmp_path / "new.jsonl", [*rows[:30], *without_labels(several_labels(330)[30:])])
    record = distill(tmp_path / "teacher", run.base, tmp_path / "student", source, label="label", epochs=8)
    assert record["task"] == "multi_label_classification"
    assert record["metrics"]["micro_f1"] > 0.85
    assert record["distillation"]["labelled_texts"] <= 30
    student = Predictor.from_pretrained(tmp_path / "student").model.config
    assert list(student.label2id) == list(LABELS)
    assert len(student.thresholds) == 3


def test_numbers_are_learned_in_the_teachers_unit(run: Run, tmp_path: Path) -> None:
    rows = numbers(300, 1000, 5)
    start(run.base, tmp_path / "teacher", write_rows(tmp_path / "rows.jsonl", rows), epochs=8)
    source = write_rows(tmp_path / "new.jsonl", [*rows[:20], *without_labels(numbers(300, 1000, 5)[20:])])
    record = distill(tmp_path / "teacher", run.base, tmp_path / "student", source, label="label", epochs=8)
    assert record["metrics"]["pearson"] > 0.9
    assert record["distillation"]["temperature"] is None
    texts = [row["text"] for row in numbers(60)]
    values = [
        np.array([one["value"] for one in Predictor.from_pretrained(tmp_path / name).predict(texts)])
        for name in ("teacher", "student")
    ]
    assert np.abs(values[0] - values[1]).mean() < 0.4 * values[0].std()
    assert "distance from the teacher's values" in (tmp_path / "student" / "README.md").read_text(encoding="utf-8")


def test_a_resumed_student_ends_with_the_weights_of_an_uninterrupted_one(
    run: Run, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_rows(tmp_path / "new.jsonl", without_labels(messages(60, seed=12)))
    distill(teacher, run.base, tmp_path / "whole", source)
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        if sum(one.startswith("epoch ") for one in said) == 7:
            raise InterruptedRunError

    out = tmp_path / "run"
    with pytest.raises(InterruptedRunError):
        distill(teacher, run.base, out, source, hear=hear)
    assert steps_of(out)
    assert (out / "checkpoints" / FILE).is_file()
    with pytest.raises(EncT5Error, match=r"the teacher has changed since the run in .*; restore, or start anew"):
        distill(run.out, run.base, out, source, resume=True)
    with pytest.raises(EncT5Error, match=r"`temperature` is 1.0, but the interrupted run in .* has 2.0"):
        distill(teacher, run.base, out, source, temperature=1, resume=True)
    other = write_rows(tmp_path / "other.jsonl", without_labels(messages(60, seed=14)))
    with pytest.raises(EncT5Error, match="the texts have changed since"):
        distill(teacher, run.base, out, other, resume=True)

    def asked(*arguments: object) -> None:
        raise AssertionError("the teacher is asked again")

    monkeypatch.setattr(Predictor, "logits", asked)
    with monkeypatch.context() as patched:
        patched.setattr(training_run, "conclude", lambda *arguments: {})  # which asks the student
        distill(teacher, run.base, out, source, resume=True)
    monkeypatch.undo()
    distill(teacher, run.base, out, source, resume=True)
    assert_same_weights(weights(out), weights(tmp_path / "whole"))


def test_what_does_not_fit_is_refused_in_one_line(
    run: Run, teacher: Path, tmp_path: Path, t5_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from enct5.cli.conversion import convert_folder

    def asked(*arguments: object) -> None:
        raise AssertionError("the teacher is asked first")

    monkeypatch.setattr(Predictor, "logits", asked)
    convert_folder(str(run.base), tmp_path / "untrained", num_labels=3)
    rows = messages(60, seed=12)
    source = write_rows(tmp_path / "rows.jsonl", [{**row, "second": row["text"]} for row in rows])
    strange = write_rows(tmp_path / "strange.jsonl", [*rows, {"text": "x", "label": "Refund"}])
    for options, message in (
        ({"teacher": tmp_path / "untrained"}, "the teacher .*untrained has never been trained; train it first"),
        (
            {"teacher": saved_tasks(run.base, tmp_path / "tasks")},
            "does 5 tasks in one pass: .*; take one that does one",
        ),
        ({"teacher": run.base}, "is a checkpoint of type 't5', not an EncT5 model"),
        ({"teacher": tmp_path / "nowhere"}, "there is no folder .*nowhere"),
        ({"text": ("text", "second")}, r"trained on single texts \(`text`\), and --text names 2 columns; name 1"),
        ({"text": ("txt",)}, "no column `txt` in .*did you mean `text`"),
        ({"label": "lable"}, "no column `lable` in .*did you mean `label`"),
        ({"source": strange, "label": "label"}, "labels unknown to the model: `Refund`; did you mean `refund`"),
        ({"label_weight": 0.5}, "--label-weight needs a label column"),
        ({"label": "label", "label_weight": 1.5}, "`label_weight` is `1.5`"),
        ({"temperature": 0}, "`temperature` is `0`"),
        ({"loss": "focal"}, "`loss` does not go with a teacher, which decides it; leave it out"),
        ({"base": tmp_path / "nothing"}, "there is no folder .*nothing"),
        ({"base": t5_folder(vocab_size=500)}, "token ids up to [0-9]+, but the model 500 embeddings"),
    ):
        settings: dict[str, Any] = {"teacher": teacher, "base": run.base, "source": source} | options
        with pytest.raises(EncT5Error, match=message) as refused:
            distill(settings.pop("teacher"), settings.pop("base"), tmp_path / "run", settings.pop("source"), **settings)
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "run").exists(), message


def test_a_column_without_any_label_is_refused(run: Run, teacher: Path, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"text": row["text"], "label": ""} for row in messages(60)])
    with pytest.raises(EncT5Error, match=r"column `label` of .* has no label in any row; leave out --label"):
        distill(teacher, run.base, tmp_path / "run", source, label="label")


def test_the_command(run: Run, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    from enct5.cli import command

    source = write_rows(tmp_path / "new.jsonl", without_labels(messages(60, seed=12)))
    arguments = ["enct5", "distill", str(teacher), source, "--text", "text", "--base", str(run.base), "--epochs", "1"]
    monkeypatch.setattr("sys.argv", [*arguments, "--out", str(tmp_path / "run"), "--batch-size", "8"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    said = capfd.readouterr().out
    assert "teacher: big, single-label classification: one class per text, 3 outputs" in said
    assert "agreement with the teacher big: accuracy " in said
    assert Predictor.from_pretrained(tmp_path / "run").task.alias == "single"
