"""What a folder says of its training is read from folders of every version, and never in the way of the model."""

from pathlib import Path

import pytest

from enct5.errors import EncT5Error
from enct5.inference.evaluation import evaluate
from enct5.inference.inspection import inspect
from enct5.inference.predictor import Predictor
from enct5.model.trained_on import TrainedOn
from enct5.training.config import TrainConfig
from helpers.runs import Run

pytestmark = pytest.mark.usefixtures("one_thread")


def read(folder: Path, content: str) -> TrainedOn:
    path = folder / "train_config.yaml"
    path.write_text(content, encoding="utf-8")
    return TrainedOn.read(path)


def test_it_is_what_a_run_wrote(tmp_path: Path) -> None:
    TrainConfig.checked(data="ä.csv", text=("a", "b"), label="c: d", label_separator=";", out="x").write(
        tmp_path / "train_config.yaml"
    )
    assert TrainedOn.read(tmp_path / "train_config.yaml") == TrainedOn("ä.csv", ("a", "b"), "c: d", ";")


@pytest.mark.parametrize(
    ("content", "known"),
    [
        ("data: a.csv\ntext: [t]\nlabel: l\nnew_setting: {deep: [1]}\n1: 2\n", TrainedOn("a.csv", ("t",), "l")),
        ("dataset: a.csv\ntext: [t]\n", TrainedOn(None, ("t",))),
        ("data: [a.csv]\ntext: {a: b}\nlabel: [l, m]\nlabel_separator: 3\n", TrainedOn()),
        ("text: [1, 2]\nlabel: l\n", TrainedOn(None, (), "l")),
        ("{}", TrainedOn()),
    ],
)
def test_what_another_version_wrote_is_read_as_far_as_it_is_known(
    tmp_path: Path, content: str, known: TrainedOn
) -> None:
    assert read(tmp_path, content) == known


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "data: [unclosed\n", "data: \x00\n", "[" * 5000])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(EncT5Error, match=r"train_config\.yaml.*; get the folder again, or delete it") as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_a_model_of_another_version_is_loaded_and_asked_for_what_it_does_not_say(run: Run, tmp_path: Path) -> None:
    for file in run.out.iterdir():
        (tmp_path / file.name).symlink_to(file)
    settings = (run.out / "train_config.yaml").read_text(encoding="utf-8")
    (tmp_path / "train_config.yaml").unlink()
    (tmp_path / "train_config.yaml").write_text(settings + "temperature_of_2031: hot\n", encoding="utf-8")
    wanted = evaluate(Predictor.from_pretrained(run.out), run.source)
    assert evaluate(Predictor.from_pretrained(tmp_path), run.source) == wanted
    assert inspect(str(tmp_path))["trained on"] == "messages.jsonl, text -> label"
    (tmp_path / "train_config.yaml").write_text("columns: [text]\n", encoding="utf-8")
    predictor = Predictor.from_pretrained(tmp_path)
    with pytest.raises(EncT5Error, match="name the text column with --text"):
        evaluate(predictor, run.source)
    with pytest.raises(EncT5Error, match="name it with --label"):
        evaluate(predictor, run.source, ["text"])
    assert evaluate(predictor, run.source, ["text"], "label") == wanted
    assert "trained on" not in inspect(str(tmp_path))
