"""A saved model loads where enct5 is not installed, from the two files that travel with it."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers.dynamic_module_utils import get_imports, get_relative_imports

import enct5
from enct5 import EncT5ForSequenceClassification
from helpers.paths import ROOT
from helpers.without_enct5 import HIDE

PACKAGE = Path(enct5.__file__).parent / "model"
FILES = ("configuration_enct5.py", "modeling_enct5.py")

# Runs with enct5 hidden. Prints what happened, as JSON.
ELSEWHERE = (
    HIDE
    + """
import json
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

source, target, ids = sys.argv[1], sys.argv[2], torch.tensor(json.loads(sys.argv[3]))
refusals = []
for auto_class in (AutoConfig, AutoModelForSequenceClassification):
    try:
        auto_class.from_pretrained(source)
    except ValueError as error:
        refusals.append(str(error))
loaded_untrusted = [name for name in sys.modules if "enct5" in name]

model = AutoModelForSequenceClassification.from_pretrained(source, trust_remote_code=True)
with torch.no_grad():
    logits = model(ids).logits
labels = torch.ones_like(logits)
model(ids, labels=labels).loss.backward()
model.zero_grad()
model.save_pretrained(target)
try:
    type(model).from_t5(source, 2)
except ModuleNotFoundError as error:
    from_t5 = str(error)
print("\\n" + json.dumps({
    "refusals": refusals,
    "loaded_untrusted": loaded_untrusted,
    "module": type(model).__module__,
    "logits": logits.tolist(),
    "from_t5": from_t5,
    "installed": "enct5" in sys.modules,
}))
"""
)


def python_of_the_other_versions() -> str:
    """The Python that has the oldest dependencies where this one has the newest, and the other way round."""
    for environment in (ROOT / ".venv", ROOT / ".venv-oldest"):
        python = environment / "bin" / "python"
        if python.exists() and environment.resolve() != Path(sys.prefix).resolve():
            return str(python)
    pytest.skip("there is one environment only; `make test-oldest` makes the other one")


@pytest.mark.parametrize(("kind", "times", "other_versions"), [("t5", 2, False), ("umt5", 1, False), ("t5", 1, True)])
def test_a_saved_folder_loads_and_saves_again_where_enct5_is_not_installed(
    kind: str, times: int, other_versions: bool, tmp_path: Path, t5_folder: Callable[..., Path]
) -> None:
    python = python_of_the_other_versions() if other_versions else sys.executable
    model = EncT5ForSequenceClassification.from_t5(
        str(t5_folder(kind)),
        4,
        problem_type="multi_label_classification",
        num_decoder_layers=2,
        encoder_window=5,
        loss="asymmetric",
        class_weights=[1.0, 2.0, 3.0, 0.5],
        thresholds=[0.1, 0.2, 0.3, 0.4],
    )
    torch.manual_seed(0)
    with torch.no_grad():
        model.classifier.bias.normal_()
        model.transformer.decoder.embed_tokens.weight.normal_()
    ids = torch.randint(2, 60, (3, 7))
    ids[1, 4:] = 0
    with torch.no_grad():
        expected = model(ids).logits
    folders = [tmp_path / name for name in ("first", "second", "third")[: times + 1]]
    model.save_pretrained(folders[0])
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_MODULES_CACHE": str(tmp_path / "modules")}
    for source, target in pairwise(folders):
        assert {file.name for file in source.glob("*.py")} == set(FILES)
        for file in FILES:
            assert (source / file).read_text() == (PACKAGE / file).read_text()
        command = [python, "-I", "-c", ELSEWHERE, str(source), str(target), json.dumps(ids.tolist())]
        run = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        found = json.loads(run.stdout.splitlines()[-1])
        assert len(found["refusals"]) == 2
        assert all("trust_remote_code=True" in refusal for refusal in found["refusals"])
        assert found["loaded_untrusted"] == []
        assert found["module"].startswith("transformers_modules.")
        assert found["from_t5"] == "No module named 'enct5'"
        assert not found["installed"]
        torch.testing.assert_close(torch.tensor(found["logits"]), expected, atol=1e-5, rtol=0)
    again = EncT5ForSequenceClassification.from_pretrained(folders[-1])
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_a_folder_names_its_code_once_each(tmp_path: Path, t5_folder: Callable[..., Path]) -> None:
    EncT5ForSequenceClassification.from_t5(str(t5_folder()), 3).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["auto_map"] == {
        "AutoConfig": "configuration_enct5.EncT5Config",
        "AutoModelForSequenceClassification": "modeling_enct5.EncT5ForSequenceClassification",
    }
    assert config["architectures"] == ["EncT5ForSequenceClassification"]
    assert config["model_type"] == "enct5"


@pytest.mark.parametrize(
    ("file", "relative"), [("configuration_enct5.py", set()), ("modeling_enct5.py", {"configuration_enct5"})]
)
def test_the_two_files_import_only_what_is_everywhere(file: str, relative: set[str]) -> None:
    absolute, siblings = set(), set()
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.Import):
            absolute |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1
            siblings.add(node.module)
        elif isinstance(node, ast.ImportFrom):
            absolute.add(node.module.partition(".")[0])
    assert absolute - sys.stdlib_module_names <= {"torch", "transformers", "huggingface_hub"}
    assert siblings == relative
    # transformers finds imports by its own text search, which also reads strings and docstrings.
    assert set(get_relative_imports(PACKAGE / file)) == relative
    assert set(get_imports(PACKAGE / file)) - sys.stdlib_module_names <= {"torch", "transformers", "huggingface_hub"}
