"""The command in this process, and a folder of files, models and mistakes."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import transformers

from enct5.cli import command
from helpers.command import Ended
from helpers.models import saved_model

Base = Callable[..., Path]


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
        "notes.html": "text,label\na,x\n",
        "described.json": '{"x": "one thing", "yy": "another"}',
        "few.csv": "text,label\na,x\nb,y\nc,z\n",
        "ids.csv": "text,label\n" + "".join(f"t{row},id {row}\n" for row in range(2500)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "latin.csv").write_bytes("text,label\nłz,x\nö,y\n".encode("cp1250"))
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
