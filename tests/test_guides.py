"""The Python of the guides is run on tiny random models; each page's blocks share their names."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.documents import python_blocks
from helpers.models import saved_model
from helpers.paths import ROOT
from helpers.runs import messages
from helpers.tables import write_rows

pytestmark = pytest.mark.usefixtures("one_thread")

INTENTS = ("account", "invoice", "parcel")
ELSEWHERE = ("README.md", "docs/python.md", "docs/tutorials/")  # test_docs.py, test_tutorials.py
# What stands in a page for a checkpoint on the hub.
HUB = ("google-t5/t5-base", "google-t5/t5-small", "google/flan-t5-base", "google/flan-t5-xl")


@pytest.fixture
def run(t5_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs the blocks of a page in a folder of its own, with a tiny T5 in the place of the hub's; their names."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    base = str(t5_folder())

    def of(page: str, **replaced: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        for block in python_blocks(page):
            for named, here in {**dict.fromkeys(HUB, base), **replaced}.items():
                block = block.replace(named, here)
            exec(block, names)
        return names

    yield of
    root.handlers[:], root.level = before


def test_distillation(run: Any, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    saved_model(t5_folder(), tmp_path / "runs" / "teacher", INTENTS, text=("message",))
    rows = [{"message": row["text"]} for row in messages(40)]
    write_rows(tmp_path / "all_messages.jsonl", rows)
    record = run("docs/distillation.md", **{"all_messages.csv": "all_messages.jsonl", "out=": "epochs=1, out="})[
        "record"
    ]
    assert set(record["distillation"]["agreement"]) == set(record["metrics"])
    assert (tmp_path / "runs" / "student" / "report.html").is_file()


def test_explanations(run: Any, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    saved_model(t5_folder(), tmp_path / "runs" / "intents", INTENTS)
    (label,) = run("docs/explanations.md")["explanation"].labels
    assert label.label in INTENTS


def test_inference(run: Any, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    import torch

    saved_model(t5_folder(), tmp_path / "runs" / "intents", INTENTS)
    names = run("docs/inference.md")
    for text, logits in zip(names["texts"], names["logits"], strict=True):
        with torch.no_grad():
            torch.testing.assert_close(logits, names["model"](torch.tensor([text])).logits[0], atol=1e-4, rtol=0)


def test_model(run: Any) -> None:
    assert run("docs/model.md")["model"].num_labels == 3


def test_serving(
    run: Any,
    t5_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from huggingface_hub import constants

    from enct5.inference.predictor import Predictor
    from helpers.serving import listening, near

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # else the client would ask nobody, not even this machine
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    predictor = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path / "runs" / "intents", INTENTS))
    with listening({"intents": predictor}) as address:
        found = run("docs/serving.md", **{"http://localhost:8080": address})["labels"]
    wanted = predictor.predict("where is my parcel?", top_k=None)
    assert [(one.label, one.score) for one in found] == [(one["label"], near(one["score"])) for one in wanted]
    assert capsys.readouterr().out.startswith(f"{wanted[0]['label']} 0.")


def test_tasks(run: Any, t5_folder: Callable[..., Path]) -> None:
    names = run("docs/tasks.md", **{"out=": f"base={str(t5_folder())!r}, epochs=0.3, out="})
    assert set(names["found"]) == {"intent", "topics", "urgency", "entities"}
    assert len(names["table"]) == len(names["frame"])
    assert names["two"].config.task_names == ["urgency", "intent"]


def test_tokens(run: Any, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    saved_model(t5_folder(), tmp_path / "runs" / "entities", ("O", "B-place", "I-place"), "token_classification")
    names = run("docs/tokens.md")
    strings = names["predictor"].predict(["Send it to Rome"])[0]["entities"]
    assert all(entity["label"] == "place" for entity in strings)
    assert [found["entity_group"] for found in names["find"]("Send it to Rome")] == ["place"] * len(strings)


def test_training(run: Any, t5_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from helpers.estimators import leave_untrained

    leave_untrained(monkeypatch, t5_folder())
    saved_model(t5_folder(), tmp_path / "runs" / "ranker", ("0", "1"), text=("query", "document"))
    write_rows(tmp_path / "train.jsonl", messages(30))
    assert run("docs/training.md", **{"train.csv": "train.jsonl"})["record"]["metrics"]


def test_runs(run: Any, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    from enct5.model.conversion import convert
    from enct5.training.lora import add_adapters, merge

    base = t5_folder()
    (tmp_path / "runs" / "intents").mkdir(parents=True)
    adapted = add_adapters(convert(str(base), num_labels=12).model)
    merge(adapted)[1].write(tmp_path / "runs" / "intents" / "adapter", str(base))
    assert run("docs/runs.md")["trainer"].state.global_step == 3


def test_every_page_with_python_is_run() -> None:
    pages = [str(path.relative_to(ROOT)) for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))]
    here = {name.removeprefix("test_") for name in globals()}
    others = [page for page in pages if python_blocks(page) and Path(page).stem not in here]
    assert [page for page in others if not page.startswith(ELSEWHERE)] == []
