"""What README and docs say is run, not trusted."""

import re

import pytest

from helpers.paths import ROOT


def python_blocks(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)


def test_cli_docs_are_the_commands_own_help(monkeypatch):
    from write_cli_docs import DOCS, cli_docs

    assert DOCS.read_text(encoding="utf-8") == cli_docs(), "run: python scripts/write_cli_docs.py"


@pytest.fixture
def untrained(monkeypatch, t5_folder):
    """Training takes longer than a test of what is written about it may."""
    from helpers.estimators import leave_untrained

    leave_untrained(monkeypatch, t5_folder())


def test_blocks_on_python_run(tmp_path, monkeypatch, untrained):
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks("docs/python.md")
    namespace: dict = {}
    for block in blocks:
        if "logging" not in block:  # which would change it for the tests behind this one
            exec(block, namespace)
    assert (tmp_path / "runs" / "intents" / "config.json").is_file()
    assert len(namespace["search"].predict(namespace["texts"])) == len(namespace["frame"])


def test_readme_blocks_run(tmp_path, monkeypatch, t5_folder, capsys, untrained):
    from enct5 import EncT5ForSequenceClassification
    from enct5.model.loading import load_tokenizer

    folder = t5_folder()
    model = EncT5ForSequenceClassification.from_t5(str(folder), id2label={0: "parcel", 1: "invoice"})
    model.classifier.bias.data += 0.5  # as if trained
    model.save_pretrained(tmp_path / "runs" / "intents")
    load_tokenizer(str(folder)).save_pretrained(tmp_path / "runs" / "intents")
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    for block in python_blocks("README.md"):
        exec(block, namespace)
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split()[0] in ("parcel", "invoice") for line in lines] == [True, True]
    assert namespace["model"].num_labels == 3


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_between_documents_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert ((ROOT / document).parent / target).exists(), target


def test_the_code_blocks_name_commands_that_exist():
    from write_cli_docs import COMMANDS

    for document in ("README.md", "docs/training.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for command in re.findall(r"^\s*enct5 (\w+)", text, flags=re.MULTILINE):
            assert command in COMMANDS


def test_the_index_of_tests_names_files_that_exist():
    named = re.findall(r"`([\w/]*test_\w+\.py)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    assert len(named) > 100
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
