"""One choice of texts to judge by for all tasks."""

from pathlib import Path
from typing import Any

import pytest

from enct5.errors import EncT5Error
from enct5.training.config import TrainConfig
from enct5.training.multi_task.data import TaskRows, read_task_rows
from helpers.several_tasks import TASKS, partly_labelled
from helpers.tables import write_rows


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages name files as the user did."""
    monkeypatch.chdir(tmp_path)


def read(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> TaskRows:
    source = Path(write_rows(folder / "rows.jsonl", rows)).name
    return read_task_rows(TrainConfig.checked(**{"data": source, "text": "text", "tasks": TASKS} | settings))


def test_copies_of_a_text_stay_together_and_every_label_is_trained(tmp_path: Path) -> None:
    rows = [{**row, "text": f"{row['text']} {number}"} for number, row in enumerate(partly_labelled(60))]
    copies = [{**row, "intent": None} for row in rows[::2]]
    rare = [{"text": f"rare {number}", "intent": f"rare {number}", "topics": [f"odd {number}"]} for number in range(4)]
    for seed in range(8):
        found = read(tmp_path, [*rows, *copies, *rare], seed=seed, eval_fraction=0.3)
        assert not set(found.train.texts) & set(found.held_out.texts)
        assert len(found.train.texts) + len(found.held_out.texts) <= 60 + 30 + 4
        assert len(found.held_out.texts) > 15
        for name, part in found.parts.items():
            trained = set().union(*map(_labels_of, part.split.train.values))
            judged = set().union(*map(_labels_of, part.split.held_out.values))
            assert judged <= trained, name
            if name in ("intent", "topics"):
                assert trained == set(part.label_names)


def _labels_of(value: Any) -> set[str]:
    return {value} if isinstance(value, str) else set(value) if isinstance(value, list) else set()


def test_each_task_has_its_labelled_rows(tmp_path: Path) -> None:
    rows = partly_labelled(60)
    found = read(tmp_path, rows)
    for name in TASKS:
        labelled = [row["text"] for row in rows if row[name] is not None]
        (train, held_out), sides = found.places[name], (found.train, found.held_out)
        texts = [sides[0].texts[row] for row in train] + [sides[1].texts[row] for row in held_out]
        assert sorted(texts) == sorted(labelled)
        assert list(found.parts[name].split.train.texts) == [sides[0].texts[row] for row in train]


def test_a_task_of_few_labels_is_judged_by_one_of_them(tmp_path: Path) -> None:
    rows = [{**row, "text": f"{row['text']} {number}", "rare": None} for number, row in enumerate(partly_labelled(60))]
    rows[7]["rare"], rows[20]["rare"], rows[41]["rare"] = "x", "y", "x"
    for seed in range(8):
        found = read(tmp_path, rows, tasks={"intent": "intent", "rare": "rare:single"}, seed=seed)
        part = found.parts["rare"].split
        assert sorted([*part.train.values, *part.held_out.values]) == ["x", "x", "y"]
        assert list(part.held_out.values) == ["x"]
    rows[41]["rare"] = None
    with pytest.raises(EncT5Error, match="task rare: none of the evaluation rows has a label for it; give more rows"):
        read(tmp_path, rows, tasks={"intent": "intent", "rare": "rare:single"})


def test_rows_without_any_label_are_left_out_and_told(tmp_path: Path) -> None:
    rows = [*partly_labelled(40), {"text": "nothing"}, {"text": "nothing at all"}]
    found = read(tmp_path, rows, tasks={"intent": "intent", "urgency": "urgency"})
    without = [number + 1 for number, row in enumerate(rows) if row.get("intent") is row.get("urgency") is None]
    assert not {"nothing", "nothing at all"} & {*found.train.texts, *found.held_out.texts}
    assert len(without) == 5
    assert f"no task has a label in 5 rows ({', '.join(map(str, without))}), left out" in found.notes


@pytest.mark.parametrize(
    ("changes", "tasks", "message"),
    [
        ({}, {"a": "nix"}, "task a: no column `nix` in rows.jsonl"),
        ({"topics": None}, {"a": "intent", "b": "topics"}, "task b: column `topics` of rows.jsonl has no label in any"),
        ({"intent": "one"}, {"a": "intent"}, "task a: the label column holds 1 class"),
        ({"topics": 5}, {"t": "topics:multi"}, "task t: column `topics`, row 1: `5`"),
        ({}, {"a": "intent", "a_score": "urgency"}, "the tasks a, a_score have a result called `a_score`"),
        ({}, {"a": "text"}, "task a: column `text` of rows.jsonl is named twice"),
    ],
)
def test_what_is_wrong_names_the_task(
    changes: dict[str, Any], tasks: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(EncT5Error) as told:
        read(tmp_path, [{**row, **changes} for row in partly_labelled(30)], tasks=tasks)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_pairs_and_tags_do_not_go_together(tmp_path: Path) -> None:
    rows = [{**row, "other": "b"} for row in partly_labelled(30)]
    with pytest.raises(EncT5Error, match="task places: tagging tokens reads one text column, not two"):
        read(tmp_path, rows, text=("text", "other"))
    found = read(tmp_path, rows, text=("text", "other"), tasks={"intent": "intent"})
    assert found.train.texts[0][1] == "b"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"topics": None}, "task topics: column `topics` of eval.jsonl has no label in any row"),
        ({"intent": "new"}, r"task intent: eval.jsonl has labels that the model is not trained on in 20 of 20 rows"),
    ],
)
def test_an_evaluation_file_has_labels_of_every_task(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    held_out = write_rows(Path("eval.jsonl"), [{**row, **changes} for row in partly_labelled(20, 1)])
    with pytest.raises(EncT5Error, match=message):
        read(tmp_path, partly_labelled(30), eval=held_out)
    without = [{name: value for name, value in row.items() if name != "places"} for row in partly_labelled(20, 1)]
    held_out = write_rows(Path("eval.jsonl"), without)
    with pytest.raises(EncT5Error, match=r"task places: no column `places` in eval\.jsonl"):
        read(tmp_path, partly_labelled(30), eval=held_out)
