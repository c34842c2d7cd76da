"""What README and docs say is run, not trusted."""

import re

import pytest

from helpers.documents import python_blocks
from helpers.paths import ROOT


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


DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/*.md")
    for path in ROOT.glob(pattern)
)


def anchors(document) -> set[str]:
    """Those that GitHub gives the headings of a document."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
        path = (ROOT / document).parent / target if target else ROOT / document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_code_blocks_name_commands_and_options_that_exist(document):
    from write_cli_docs import COMMANDS

    text = (ROOT / document).read_text(encoding="utf-8")
    described = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").split("\n## enct5 ")
    helps = {part.split("\n", 1)[0]: part for part in described}
    blocks = [*re.findall(r"```\n(.*?)```", text, flags=re.DOTALL), *re.findall(r"(?m)^    enct5 .+$", text)]
    for line in "\n".join(blocks).splitlines():
        if called := re.match(r"\s*(?:\$ )?enct5 (\w+)(.*)", line):
            command, arguments = called.groups()
            assert command in COMMANDS, line
            for option in re.findall(r"(?<=\s)--[a-z][a-z0-9-]*", arguments.partition(" # ")[0]):
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", helps[command]), line


def test_public_names_are_documented_and_on_the_page_of_python():
    import importlib
    import inspect

    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    modules = re.findall(r":: ([\w.]+)\n", page)
    assert {"enct5", "enct5.training", "enct5.export", "enct5.folding", "enct5.assets"} <= set(modules)
    undocumented = []
    for module in map(importlib.import_module, (name for name in modules if not name.endswith("Error"))):
        public = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
        for name in public:
            found = getattr(module, name)
            if not callable(found) or not found.__module__.startswith("enct5"):
                continue
            own = vars(found) if inspect.isclass(found) else {}
            methods = [m for n, m in own.items() if not n.startswith("_") and isinstance(m, property | staticmethod)]
            methods += [m for n, m in own.items() if not n.startswith("_") and inspect.isfunction(m)]
            undocumented += [f"{name} {each}" for each in (found, *methods) if not inspect.getdoc(each)]
    assert undocumented == []


def test_the_index_of_tests_names_files_that_exist():
    named = re.findall(r"`([\w/]*test_\w+\.py)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    assert len(named) > 100
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
