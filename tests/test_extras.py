"""Every command, and every public name, tells in one line which extra it needs; and extras bring what they say."""

import json
import re
from pathlib import Path

import pytest

import enct5
from enct5.extras import PACKAGES
from helpers.bare import bare, bare_command, run
from helpers.paths import ROOT

IMPORTED_AS = {"prometheus-client": "prometheus_client", "scikit-learn": "sklearn"}
NOT_ASKED_FOR = {"protobuf", "sentencepiece"}  # of a few bases of the hub


@pytest.fixture(scope="module")
def extras() -> dict[str, list[str]]:
    tomllib = pytest.importorskip("tomllib", reason="part of Python from 3.11 on")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def brought(extras: dict[str, list[str]], name: str) -> set[str]:
    """The packages of an extra and of those that it includes."""
    found = set()
    for requirement in extras[name]:
        if included := re.fullmatch(r"enct5\[(.+)\]", requirement):
            found |= {package for part in included[1].split(",") for package in brought(extras, part)}
        else:
            found.add(re.split(r"[<>=]", requirement)[0])
    return found


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_what_is_asked_for_is_what_the_extra_brings(extras: dict[str, list[str]], name: str) -> None:
    assert {IMPORTED_AS.get(package, package) for package in brought(extras, name) - NOT_ASKED_FOR} == {*PACKAGES[name]}


def test_dev_brings_everything(extras: dict[str, list[str]]) -> None:
    # but what builds the docs, and what is for a cluster: Ray is larger than all else that tests need
    everything = {
        package for name in extras if name not in ("docs", "ray", "ray-serve") for package in brought(extras, name)
    }
    assert brought(extras, "dev") == everything


def test_every_extra_that_a_message_names_exists(extras: dict[str, list[str]]) -> None:
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py")]
    documents = [file.read_text(encoding="utf-8") for file in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))]
    named = re.compile(r"""(?:\bneed\(|\brequire\([^,]+,\s*|\bload_for\([^\n]*extra=)"(\w+)\"""")
    asked = {name for text in sources for name in named.findall(text)}
    told = {
        name
        for text in documents
        for names in re.findall(r"(?:enct5|\.)\[([\w,-]+)\]['\"]", text)
        for name in names.split(",")
    }
    assert asked >= {"data", "predict", "train", "runtime", "serve", "excel", "onnx", "report"}
    assert told >= {"excel", "runtime"}
    assert (asked | told) - set(extras) == set()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of texts, and a folder that is like that of a model of torch as far as it is looked at."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "texts.csv").write_text("text,label\nyes,a\nno,b\n", encoding="utf-8")
    for name, file in (("model", "model.safetensors"), ("exported", "model.onnx")):
        (folder / name).mkdir()
        (folder / name / file).touch()
        config = {"model_type": "enct5", "problem_type": "single_label_classification"}
        (folder / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


COMMANDS = {
    "train": ("train texts.csv --text text --label label --out new", "train"),
    "distill": ("distill model texts.csv --text text --out new", "train"),
    "demo": ("demo", "train"),
    "check": ("check texts.csv --text text --label label", "train"),
    "convert": ("convert model new --num-labels 2", "train"),
    "merge": ("merge a=model b=model --out new", "train"),
    "export": ("export model new", "onnx"),
    "predict a text": ("predict model yes", "predict"),
    "predict a table": ("predict model texts.csv", "predict"),
    "evaluate": ("evaluate model texts.csv", "predict"),
    "explain": ("explain model yes", "predict"),
    "bench": ("bench model", "predict"),
    "info": ("info model", "predict"),
    "serve": ("serve model", "serve"),
    "predict a text by an exported model": ("predict exported yes", "runtime"),
    "info of an exported model": ("info exported", "runtime"),
    "evaluate an exported model": ("evaluate exported texts.csv", "runtime"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "extra"), COMMANDS.values(), ids=COMMANDS)
def test_a_bare_installation_tells_the_extra_in_one_line(here: Path, arguments: str, extra: str) -> None:
    places = {name: here / name for name in ("texts.csv", "model", "exported", "new")}
    name = re.compile(r"(?<![\w-])(texts\.csv|model|exported|new)$")
    given = [name.sub(lambda found: str(places[found[1]]), word) for word in arguments.split()]
    done = run(bare_command([], *given))
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("enct5: ")
    assert line.endswith(f"not installed: pip install 'enct5[{extra}]'")
    assert not (here / "new").exists()


@pytest.mark.slow
def test_tables_for_an_exported_model_need_the_extra_for_data(here: Path) -> None:
    for command in ("predict", "evaluate"):
        done = run(bare_command(["runtime"], command, here / "exported", here / "texts.csv"))
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.endswith("pip install 'enct5[data]'\n")


@pytest.mark.slow
def test_help_and_version_need_nothing_more() -> None:
    for arguments in (["--help"], ["--version"], *([name, "--help"] for name in ("train", "predict", "serve"))):
        done = run(bare_command([], *arguments))
        assert (done.returncode, done.stderr) == (0, "")
        assert "enct5" in done.stdout


@pytest.mark.slow
def test_public_names_tell_their_extra_when_they_are_asked_for() -> None:
    code = """
import enct5
for name in enct5.__all__:
    try:
        getattr(enct5, name)
        print(name, "-")
    except enct5.errors.EncT5Error as error:
        print(name, str(error).rpartition("pip install ")[2])
"""
    done = run(bare([], code))
    assert done.returncode == 0, done.stderr
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert set(told) == set(enct5.__all__)
    assert {name for name, extra in told.items() if extra == "-"} == {"Predictor"}
    assert {name for name, extra in told.items() if extra == "'enct5[data]'"} == {"evaluate"}
    assert {"train", "distill", "check", "EncT5Classifier"} <= {n for n, extra in told.items() if "[train]" in extra}
