"""What a run trains on and is judged by: every column is read once, and every label and text looked at once."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from enct5.data import split as data_split
from enct5.errors import EncT5Error
from enct5.inference.described import Described
from enct5.inference.evaluation import read_rows as read_evaluation_rows
from enct5.tasks.labelled import LabelledTexts
from enct5.tasks.registry import TASKS
from enct5.training.config import TrainConfig
from enct5.training.data import read_rows
from enct5.training.distillation.config import DistillConfig
from enct5.training.distillation.data import read_distillation_texts
from enct5.training.splitting import split
from helpers.runs import messages, write_rows

SINGLE = TASKS["single"]


def texts(names: str, labels: str) -> LabelledTexts:
    return LabelledTexts(list(names), list(labels), data_split.text_keys(names))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often columns are read, label values parsed, and texts brought into their normal form."""
    counts: Counter[str] = Counter()
    get, parse, form = Dataset.__getitem__, type(SINGLE).parse, data_split.normal_form

    def getting(table: Dataset, key: Any) -> Any:
        if key in ("text", "label"):
            counts[key] += 1
        return get(table, key)

    def parsing(task: Any, values: Any, column: str, separator: str | None) -> Any:
        counts["parsed"] += len(values)
        return parse(task, values, column, separator)

    def forming(text: str) -> str:
        counts["formed"] += 1
        return form(text)

    monkeypatch.setattr(Dataset, "__getitem__", getting)
    monkeypatch.setattr(type(SINGLE), "parse", parsing)
    monkeypatch.setattr(data_split, "normal_form", forming)
    return counts


def config(tmp_path: Path, kind: type[TrainConfig] = TrainConfig, held_out: int = 0, **options: Any) -> Any:
    if held_out:
        options["eval"] = write_rows(tmp_path / "held.jsonl", messages(held_out, seed=1))
    data = write_rows(tmp_path / "rows.jsonl", messages(60))
    return kind.checked(data=data, text=("text",), label="label", out="x", **options)


@pytest.mark.parametrize("task", ["auto", "single"])
@pytest.mark.parametrize("held_out", [0, 12])
def test_a_run_reads_every_column_once_and_parses_every_label_once(
    tmp_path: Path, counted: Counter[str], task: str, held_out: int
) -> None:
    rows = read_rows(config(tmp_path, held_out=held_out, task=task))
    files = 2 if held_out else 1
    assert counted == {"text": files, "label": files, "parsed": 60 + held_out, "formed": 60 + held_out}
    assert len(rows.split.train) + len(rows.split.held_out) == 60 + held_out


def test_an_evaluation_reads_every_column_once_and_parses_every_label_once(
    tmp_path: Path, counted: Counter[str]
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", messages(20))
    rows = read_evaluation_rows(Described(SINGLE, None), source, ["text"], "label")
    assert counted == {"text": 1, "label": 1, "parsed": 20, "formed": 20}
    assert rows.labelled.texts == [row["text"] for row in messages(20)]


def test_a_distillation_reads_every_column_once_and_parses_every_label_once(
    tmp_path: Path, counted: Counter[str]
) -> None:
    settings = config(tmp_path, DistillConfig, held_out=12, teacher="x")
    found = read_distillation_texts(settings, Described(SINGLE, None))
    assert counted == {"text": 2, "label": 2, "parsed": 72}
    assert found.train.texts == [row["text"] for row in messages(60)]
    assert found.train.values == [row["label"] for row in messages(60)]


def test_a_label_column_that_is_a_text_column_is_refused(tmp_path: Path) -> None:
    settings = config(tmp_path, DistillConfig, teacher="x").model_copy(update={"label": "text"})
    with pytest.raises(EncT5Error, match=r"column `text` of .* is named twice"):
        read_distillation_texts(settings, Described(SINGLE, None))


def test_a_part_is_held_out_with_its_labels(tmp_path: Path) -> None:
    data = texts("abcdefghij" * 4, "xy" * 20)
    names = {text: label for text, label in zip(data.texts, data.values, strict=True)}
    data = texts([f"{text} {row}" for row, text in enumerate(data.texts)], data.values)
    parts = split(config(tmp_path, eval_fraction=0.25), SINGLE, data, None, {"x": 20, "y": 20})
    assert sorted([*parts.rows[0], *parts.rows[1]]) == list(range(40))
    for part, rows in zip((parts.train, parts.held_out), parts.rows, strict=True):
        assert part.texts == [data.texts[row] for row in rows]
        assert part.values == [names[text[0]] for text in part.texts]
    assert parts.counts == {"x": 5, "y": 5}
    assert parts.said == "10 rows held out of rows.jsonl (stratified, seed 42)"
    assert (parts.shared, parts.notes()) == (0, [])


def test_an_evaluation_file_is_held_out_whole_and_shared_texts_are_counted(tmp_path: Path) -> None:
    data, evaluation = texts("abc", "xyx"), texts("Bd", "yx")
    parts = split(config(tmp_path, held_out=2), SINGLE, data, evaluation, {"x": 2, "y": 1})
    assert (parts.train, parts.held_out) == (data, evaluation)
    assert [rows.tolist() for rows in parts.rows] == [[0, 1, 2], [3, 4]]
    assert (parts.said, parts.shared, parts.counts) == ("held.jsonl", 1, {"x": 1, "y": 1})
    (note,) = parts.notes()
    assert note.startswith("1 of the 2 evaluation texts are training texts, too")
