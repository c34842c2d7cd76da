"""transformers' Auto classes know EncT5 once enct5 is imported; loading refuses what is no EncT5 model."""

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig

import enct5
from enct5 import EncT5Config, EncT5ForSequenceClassification
from enct5.errors import EncT5Error, first_line
from enct5.model.loading import load_model, load_tokenizer
from enct5.model.registration import register_when_needed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, t5_folder: Callable[..., Path]) -> Path:
    """A saved model, with the files of its remote code beside it."""
    folder = tmp_path_factory.mktemp("enct5")
    model = EncT5ForSequenceClassification.from_t5(str(t5_folder()), 3)
    torch.manual_seed(0)
    with torch.no_grad():
        model.classifier.bias.normal_()
    model.save_pretrained(folder)
    return folder


def fresh(code: str, *arguments: object) -> str:
    """What a new process prints last."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    # Without standard input the question whether to trust the folder's code is a refusal.
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ})
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1]


LOAD = """
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
config = AutoConfig.from_pretrained(sys.argv[1])
found = [type(config)]
for auto_class in (AutoModelForSequenceClassification, AutoModel):
    found.append(type(auto_class.from_pretrained(sys.argv[1])))
assert not any(name.startswith("transformers_modules") for name in sys.modules)
print(*(f"{item.__module__}.{item.__name__}" for item in found))
"""


@pytest.mark.parametrize(
    "before",
    [
        "import enct5",
        "from transformers import AutoConfig; import enct5",  # knows configurations, not yet models
        "from transformers import AutoModelForSequenceClassification; import enct5",
        # These load the Auto classes in the middle of loading themselves, when no other model can be loaded.
        "import enct5; from transformers import BertModel",
        "import enct5.model.modeling_enct5",
    ],
)
def test_auto_classes_load_a_folder_without_trusting_it(before: str, folder: Path) -> None:
    assert fresh(f"import sys\n{before}\n{LOAD}", folder).split() == [
        "enct5.model.configuration_enct5.EncT5Config",
        "enct5.model.modeling_enct5.EncT5ForSequenceClassification",
        "enct5.model.modeling_enct5.EncT5Model",
    ]


def test_only_a_configuration_needs_no_model_code(folder: Path) -> None:
    code = """
import sys, enct5
from transformers import AutoConfig
AutoConfig.from_pretrained(sys.argv[1])
print([name for name in sys.modules if name.endswith(("modeling_enct5", "modeling_t5"))])
"""
    assert fresh(code, folder) == "[]"


def test_the_installed_code_is_used_even_for_a_trusted_folder(folder: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
    assert type(model) is EncT5ForSequenceClassification
    assert type(AutoConfig.from_pretrained(folder, trust_remote_code=True)) is EncT5Config


def test_registering_again_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    register_when_needed()
    assert type(AutoConfig.from_pretrained(folder)) is EncT5Config


def test_transformers_modules_keep_their_own_loader() -> None:
    module = importlib.import_module("transformers.models.auto.modeling_auto")
    assert isinstance(module.__spec__.loader, importlib.machinery.SourceFileLoader)
    assert "class AutoModelForSequenceClassification" in inspect.getsource(module)


def test_the_maps_of_transformers_stay_readable() -> None:
    """Whoever lists transformers' models gets EncT5 too, as classes."""
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    assert CONFIG_MAPPING["enct5"] is EncT5Config
    assert MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[EncT5Config] is EncT5ForSequenceClassification
    assert EncT5Config in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    assert BertConfig in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'enct5' has no attribute 'EncT5ForPoetry'"):
        _ = enct5.EncT5ForPoetry
    for name in enct5.__all__:
        assert getattr(enct5, name).__name__ == name


# Loading


def test_a_whole_folder_is_loaded(folder: Path) -> None:
    model = load_model(str(folder))
    assert type(model) is EncT5ForSequenceClassification
    assert model.is_fine_tuned()
    assert not model.training


def damaged(how: str, folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to, dirs_exist_ok=True)
    config = json.loads((to / "config.json").read_text())
    file = to / "model.safetensors"
    if how == "truncated":
        file.write_bytes(file.read_bytes()[:5000])
    elif how == "no weights":
        file.unlink()
    elif how == "no config":
        (to / "config.json").unlink()
    elif how == "damaged config":
        (to / "config.json").write_text("{")
    else:
        config |= json.loads(how)
        (to / "config.json").write_text(json.dumps(config))
    return to


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "cannot load the weights of .*get the model again"),
        ("no weights", r"cannot load the weights of .*model.safetensors.*get the model again"),
        ("no config", r"holds no config.json, so it is no checkpoint"),
        ("damaged config", "cannot read a model at .*: config.json is damaged"),
        ('{"problem_type": "ranking"}', "cannot read a model at .*: `problem_type` is 'ranking'; it must be one of"),
        ('{"decoder_vocab_size": 2}', "cannot read a model at .*: `decoder_vocab_size` is 2; it must be 1"),
        ('{"prompt_position_bias": "no"}', "cannot read a model at .*: .*expected bool, got str"),
        ('{"d_ff": 50}', "weights of"),
        ('{"num_decoder_layers": 2}', r"the weights of .* lack transformer\.decoder\.block\.1\."),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(how: str, message: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match=message) as raised:
        load_model(str(damaged(how, folder, tmp_path)))
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_t5_checkpoint_is_no_enct5_model(t5_folder: Callable[..., Path]) -> None:
    with pytest.raises(EncT5Error, match=r"is a checkpoint of type 't5', not an EncT5 model; .*`enct5 train`"):
        load_model(str(t5_folder()))


def test_a_tokenizer_is_loaded_or_missed_by_name(t5_folder: Callable[..., Path], folder: Path, tmp_path: Path) -> None:
    assert load_tokenizer(str(t5_folder()))("yes").input_ids[-1] == 1
    with pytest.raises(EncT5Error, match="cannot load the tokenizer of "):
        load_tokenizer(str(folder))  # weights and configuration only
    with pytest.raises(EncT5Error, match=r"holds no config\.json, so it is no checkpoint; name a T5 or EncT5 folder"):
        load_tokenizer(str(tmp_path))


def test_the_first_line_of_an_error_says_why() -> None:
    assert first_line(ValueError("reason\ndetails")) == "reason"
    assert first_line(KeyError()) == "KeyError"
    with pytest.raises(Exception, match="Class validation") as raised:
        EncT5Config(num_labels=0)
    assert first_line(raised.value) == "`num_labels` is 0; a model needs at least one label"
