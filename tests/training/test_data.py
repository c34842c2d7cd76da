"""The data of a run: what is read, held out, cut and refused."""

from pathlib import Path
from typing import Any

import pytest

from enct5.assets import bundled_t5
from enct5.errors import EncT5Error
from enct5.inference.evaluation import evaluate
from enct5.inference.predictor import Predictor
from enct5.training import rows as rows_of_run
from enct5.training.config import TrainConfig
from helpers.runs import Run, messages, start
from helpers.tables import write_rows
from helpers.without_torch import run_code

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"label_prompts": "names"},
            "--label-prompts names needs a prompt per label, as multi-label .* this is single",
        ),
        ({"label_descriptions": "x.json"}, "--label-descriptions needs a prompt per label"),
        ({"loss": "asymmetric"}, "`loss` is 'asymmetric'; for single_label_classification it must be one of focal"),
        ({"label_smoothing": 0.2, "loss": "focal"}, "--label-smoothing 0.2 goes with plain cross-entropy"),
        ({"label_smoothing": 0.2, "class_weights": "balanced"}, "--label-smoothing 0.2 goes with plain cross-entropy"),
    ],
)
def test_options_of_other_tasks_are_refused(run: Run, tmp_path: Path, options: dict[str, str], message: str) -> None:
    for base in (run.base, run.out):
        with pytest.raises(EncT5Error, match=f"^{message}"):
            start(base, tmp_path / "run", run.source, **options)
    assert not (tmp_path / "run").exists()


def test_label_smoothing_is_for_one_label_a_text(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", [{"text": f"a {row}", "label": row / 3} for row in range(30)])
    with pytest.raises(EncT5Error, match=r"^--label-smoothing goes with --task single, not regression; leave it out"):
        start(run.base, tmp_path / "run", source, label_smoothing=0.1)


def test_class_weights_for_numbers_are_refused(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", [{"text": f"a {row}", "label": row / 3} for row in range(30)])
    with pytest.raises(EncT5Error, match="--class-weights is for classes of texts, this is regression"):
        start(run.base, tmp_path / "run", source, class_weights="balanced")


def test_labels_in_one_field_are_split_in_training_and_evaluation(run: Run, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": f"{row['label']} | all"} for row in messages(30)]
    source = write_rows(tmp_path / "joined.jsonl", rows)
    record = start(run.base, tmp_path / "run", source, eval=source, epochs=1, label_separator="|")
    predictor = Predictor.from_pretrained(tmp_path / "run")
    assert list(predictor.model.config.label2id) == ["Café Ärger", "all", "delivery", "refund"]
    assert evaluate(predictor, source)["metrics"] == record["metrics"]


def test_an_evaluation_file_is_used_whole_and_nothing_is_held_out(run: Run, tmp_path: Path) -> None:
    held = write_rows(tmp_path / "test set.jsonl", messages(12, seed=5))
    record = start(run.base, tmp_path / "run", run.source, eval=held, epochs=1)
    assert (record["data"]["train_rows"], record["data"]["eval_rows"]) == (60, 12)
    assert record["data"]["eval_split"] == "test set.jsonl"
    again = evaluate(Predictor.from_pretrained(tmp_path / "run"), held)
    assert again["metrics"] == pytest.approx(record["metrics"], abs=1e-6)


def test_how_the_numbers_of_every_file_are_read_is_told_once(tmp_path: Path) -> None:
    texts = [row["text"] for row in messages(40)]
    written = {"train.csv": [f"{row},5" for row in range(40)], "eval.csv": [f"{row}.125" for row in range(1, 41)]}
    for name, numbers in written.items():
        rows = "".join(f'{text},"{number}"\n' for text, number in zip(texts, numbers, strict=True))
        (tmp_path / name).write_text("text,label\n" + rows, encoding="utf-8")
    data, held = (str(tmp_path / name) for name in written)
    own = "column `label` is read as numbers: `0,5` is 0.5"
    of_file = "column `label` is read as numbers with a decimal point: `1.125` is 1.125; if the point separates"
    alone, several = {"label": "label"}, {"tasks": {"n": "label"}}
    for wanted, mark in ((alone, ""), (alone | {"task": "regression"}, ""), (several, "n: ")):
        settings = {"text": ("text",), "out": str(tmp_path / "x"), **wanted}
        found = rows_of_run.read(TrainConfig.checked(data=data, eval=held, **settings))
        noted = [note for note in found.notes if "read as numbers" in note]
        assert noted[0] == mark + own
        assert [note.startswith(f"eval.csv: {mark}{of_file}") for note in noted[1:]] == [True], noted


def test_evaluation_texts_that_training_sees_are_counted_and_told(run: Run, tmp_path: Path) -> None:
    rows = messages(60)
    held = write_rows(tmp_path / "held.jsonl", [*messages(3, seed=5), *rows[:4]])
    said: list[str] = []
    record = start(run.base, tmp_path / "run", write_rows(tmp_path / "a.jsonl", rows), said, eval=held, epochs=1)
    assert record["data"]["eval_texts_in_training"] == 4
    (note,) = [note for note in record["data"]["notes"] if "training texts, too" in note]
    assert note.startswith("4 of the 7 evaluation texts are training texts, too, which makes the figures too good; ")
    assert f"note: {note}" in said
    for page in ("README.md", "report.html"):
        assert note in (tmp_path / "run" / page).read_text(encoding="utf-8")


def test_an_unseen_label_in_the_evaluation_file_is_refused(run: Run, tmp_path: Path) -> None:
    held = write_rows(tmp_path / "held.jsonl", [*messages(6), {"text": "x", "label": "Refund"}])
    with pytest.raises(
        EncT5Error,
        match=r"held.jsonl has labels that the model is not trained on in 1 of 7 rows .*did you mean `refund`",
    ):
        start(run.base, tmp_path / "run", run.source, eval=held)
    assert not (tmp_path / "run").exists()


def test_texts_cut_are_counted_and_reported(run: Run, tmp_path: Path) -> None:
    rows = messages(30)
    for row in rows[:7]:
        row["text"] = " ".join(["money"] * 60)
    source = write_rows(tmp_path / "long.jsonl", rows)
    said: list[str] = []
    record = start(run.base, tmp_path / "run", source, said, max_length=40, epochs=1)
    assert record["data"]["texts_cut"] == 7
    assert record["data"]["tokens"]["longest"] == 40
    assert 1 < record["data"]["tokens"]["median"] < record["data"]["tokens"]["percentile_95"] == 40
    read = record["data"]["unread"]
    lost = (read["training"]["tokens_cut"] + read["evaluation"]["tokens_cut"]) / (
        read["training"]["tokens"] + read["evaluation"]["tokens"]
    )
    assert lost > 0.2
    assert (
        f"7 texts are longer than 40 tokens and were cut, which loses {lost:.1%} of all tokens (--max-length)" in said
    )
    assert Predictor.from_pretrained(tmp_path / "run").tokenizer.model_max_length == 40


def test_rows_are_read_and_checked_without_torch(run: Run) -> None:
    ended = run_code(
        "import logging, sys\n"
        "from enct5.training.config import TrainConfig\n"
        "from enct5.training.data import read_rows\n"
        f"config = TrainConfig.checked(data={run.source!r}, text=('text',), label='label', out='x')\n"
        "logging.basicConfig(level='INFO', format='%(message)s', stream=sys.stdout)\n"
        "rows = read_rows(config)\n"
        "print(len(rows.split.train), len(rows.split.held_out))\n"
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0].startswith("task: single-label classification")
    assert ended.stdout.splitlines()[-1] == "54 6"


@pytest.mark.parametrize("seed", [1, 2])
def test_no_text_is_on_both_sides_of_the_split(run: Run, tmp_path: Path, seed: int) -> None:
    """However often texts are repeated; the copies are counted."""
    rows = [row | {"text": row["text"].upper() if copy else row["text"]} for copy in range(3) for row in messages(40)]
    said: list[str] = []
    record = start(run.base, tmp_path / "run", write_rows(tmp_path / "a.jsonl", rows), said, epochs=1, seed=seed)
    assert record["data"]["eval_texts_in_training"] == 0
    assert record["data"]["eval_rows"] in (9, 12)
    assert record["data"]["eval_split"].endswith(
        f"rows held out of a.jsonl (stratified, copies of a text together, seed {seed})"
    )
    (note,) = record["data"]["notes"]
    assert note.startswith("80 of 120 rows repeat the text of an earlier one (row 41 that of row 1, for example;")
    assert f"note: {note}" in said


def unread(count: int) -> list[dict[str, Any]]:
    """Messages in a script that the base's tokenizer lacks."""
    words = {"delivery": "посылка дорога", "refund": "деньги карта", "Café Ärger": "чашка молоко"}
    names = ("".join(chr(ord("а") + int(digit)) for digit in str(number)) for number in range(count))  # noqa: RUF001
    return [{**row, "text": f"{words[row['label']]} {name}"} for row, name in zip(messages(count), names, strict=True)]


def test_texts_that_the_base_does_not_know_are_refused(run: Run, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "cyrillic.jsonl", unread(60))
    refused = (
        r"100\.0% of the characters of the texts are unknown to the tokenizer of .*, most often . .*; 60 of 60 texts "
        r"hold no known letter or digit; train from a base .*google/byt5-small; or pass --allow-unknown"
    )
    with pytest.raises(EncT5Error, match=refused):
        start(run.base, tmp_path / "run", source)
    with pytest.raises(EncT5Error, match="the characters of the evaluation texts are unknown"):
        start(run.base, tmp_path / "run", run.source, eval=source)
    assert not (tmp_path / "run").exists()


def test_texts_that_the_base_does_not_know_are_trained_on_when_told(run: Run, tmp_path: Path) -> None:
    source, said = write_rows(tmp_path / "cyrillic.jsonl", unread(60)), list[str]()
    record = start(run.base, tmp_path / "run", source, said, epochs=1, allow_unknown=True)
    read = record["data"]["unread"]
    assert [read[part]["texts_wholly_unknown"] for part in ("training", "evaluation")] == [54, 6]
    assert read["training"]["unknown_characters"] == read["training"]["characters"] > 0
    (note,) = [note for note in record["data"]["notes"] if "unknown to" in note]
    assert note.startswith("warning: 100.0% of the characters of the texts")
    assert note in said
    for page in ("README.md", "report.html"):
        assert "100.0% of the characters of the texts are unknown" in (tmp_path / "run" / page).read_text("utf-8")


def test_texts_that_the_base_spells_in_bytes_are_warned_of(tmp_path: Path) -> None:
    source, said = write_rows(tmp_path / "cyrillic.jsonl", unread(60)), list[str]()
    record = start(bundled_t5(), tmp_path / "run", source, said, epochs=0.1)
    read = record["data"]["unread"]
    assert [read[part]["texts_wholly_in_bytes"] for part in ("training", "evaluation")] == [54, 6]
    assert read["training"]["characters_in_bytes"] == read["training"]["characters"] > 0
    assert read["training"]["unknown_characters"] == 0
    (note,) = [note for note in record["data"]["notes"] if "in bytes" in note]
    assert note.startswith("warning: 100.0% of the characters of the texts are spelt in bytes by the tokenizer of ")
    assert note in said
    assert "100.0% of the characters of the texts are spelt in bytes" in (tmp_path / "run" / "README.md").read_text(
        "utf-8"
    )
    evaluated = evaluate(Predictor.from_pretrained(tmp_path / "run"), source)
    assert evaluated["unread"]["characters_in_bytes"] == evaluated["unread"]["characters"]
    assert any(
        note.startswith("warning: 100.0% of the characters of the texts are spelt") for note in evaluated["notes"]
    )


def test_a_few_unknown_characters_are_noted_without_the_place_of_the_base(run: Run, tmp_path: Path) -> None:
    rows = [{**row, "text": f"{row['text']} für"} for row in messages(60)]
    source, said = write_rows(tmp_path / "german.jsonl", rows), list[str]()
    record = start(run.base, tmp_path / "run", source, said, epochs=1)
    (note,) = [note for note in record["data"]["notes"] if "unknown to" in note]
    share = 60 / sum(record["data"]["unread"][part]["characters"] for part in ("training", "evaluation"))
    assert note == (
        f"{share:.1%} of the characters of the texts are unknown to the tokenizer of {run.base.name}, most often ü"
    )
    assert 0.01 < share < 0.05
    assert f"note: {note}" in said
